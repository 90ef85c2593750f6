"""JPEGs whose headers lie: sound ones of every kind, taken apart into segments, changed and put together again."""

from functools import cache

from PIL import Image
from support import jpeg_frames, thumbnail_jpegs
from support.decodable_photos import encode, scene
from support.jpeg_files import app1

_MARKERS = (*jpeg_frames.KINDS, 0xC8, 0xDE)
_SIDES = (0, 1, 2, 7, 8, 9, 16, 33, 64, 65, 128, 255, 256, 300, 1000, 5000, 65500, 65535)
_FACTORS = (0x11, 0x12, 0x14, 0x21, 0x22, 0x24, 0x31, 0x33, 0x41, 0x42, 0x44, 0x01, 0x10, 0x55, 0xFF)
_BARE = (
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xd9\xff\xd8",
    b"\xff\x01",
    b"\xff\xd3",
    b"\xff\0",
    b"\xff\xff",
    b"\0",
    b"junk",
    b"\xff\xf0",
)


@cache
def sound():
    """JPEGs of every kind that can be drawn here, of 80 × 60 pixels."""
    image, found = Image.fromarray(scene(80, 60)), []
    for is_progressive in (False, True):
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            found.append(encode(image, "JPEG", subsampling=sampling, progressive=is_progressive))
        for mode in ("L", "CMYK"):
            found.append(encode(image.convert(mode), "JPEG", progressive=is_progressive, restart_marker_blocks=3))
    found += [jpeg_frames.lossless(scene(80, 60).repeat(2, axis=2)[..., :channels]) for channels in (1, 3, 4)]
    found.append(jpeg_frames.lossless(scene(80, 60).astype(int) * 16, bits=12))
    small = thumbnail_jpegs.encoded(image.resize((160, 120)))
    found += [b"\xff\xd8" + app1(thumbnail_jpegs.exif(small)) + each[2:] for each in (found[0], found[5], found[-3])]
    return found


def mutated(random):
    """One of them with one to four changes."""
    data = random.choice(sound())
    parts = _parts(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        random.choice((_frame, _frame, _frame, _table, _foreign, _order))(random, parts)
    data = b"\xff\xd8" + b"".join(parts)
    return data[: random.randrange(len(data))] if random.random() < 0.05 else data


def _parts(data):
    """The segments, that of a scan with its data; the last one holds all from the last marker on."""
    starts, place = [], 2
    while data[place + 1] != 0xD9:
        starts.append(place)
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if data[starts[-1] + 1] == 0xDA:
            place = next(at for at in range(place, len(data)) if data[at] == 0xFF and data[at + 1] not in (0, *range(0xD0, 0xD8)))
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def _frame(random, parts):
    """Another kind, number of bits, side, number of components or sampling factor, in one frame header."""
    headers = [number for number, part in enumerate(parts) if len(part) > 10 and part[1] in _MARKERS]
    if not headers:
        return
    header = bytearray(parts[number := random.choice(headers)])
    change = random.randrange(6)
    if change == 0:
        header[1] = random.choice(_MARKERS)
    elif change == 1:
        header[4] = random.choice((8, 12, 16, 7, 2, 0, 255))
    elif change in (2, 3):
        place = 5 if change == 2 else 7
        header[place : place + 2] = random.choice(_SIDES).to_bytes(2, "big")
    elif change == 4:
        channels = random.choice((0, 1, 2, 3, 4, 5, 10))
        header = header[:9] + bytes((channels,)) + (header[10:] + bytes((9, 0x11, 0)) * 10)[: 3 * channels]
        header[2:4] = (8 + 3 * channels).to_bytes(2, "big")
    else:
        for place in range(11, len(header), 3):
            header[place] = random.choice((header[place], random.choice(_FACTORS)))
    parts[number] = bytes(header)


def _table(random, parts):
    """A table or a scan header with another byte, or a restart interval."""
    part = bytearray(parts[number := random.randrange(len(parts))])
    for _ in range(random.randrange(1, 4)):
        part[random.randrange(min(len(part), 40))] = random.randrange(256)
    parts[number] = bytes(part)
    if random.random() < 0.3:
        parts.insert(number, jpeg_frames.segment(0xDD, random.choice((1, 3, 65535)).to_bytes(2, "big")))


def _foreign(random, parts):
    """What does not belong there: another frame header, in a segment or bare, other markers, color transforms, wrong lengths."""
    other = jpeg_frames.frame(
        random.choice(_MARKERS), random.choice(_SIDES), random.choice(_SIDES), [0x11] * random.choice((1, 3, 4))
    )
    wrong = bytearray(jpeg_frames.segment(random.choice((0xC4, 0xDB, 0xE1, 0xFE)), bytes(20)))
    wrong[3] += random.choice((-22, -1, 1, 90))
    adobe = jpeg_frames.segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes((random.randrange(4),)))
    jfif = jpeg_frames.segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    inside = jpeg_frames.segment(random.choice((0xE1, 0xEE, 0xFE, 0xF0, 0xC8, 0xDC)), other)
    added = random.choice((other, other, inside, inside, bytes(wrong), adobe, jfif, random.choice(_BARE)))
    parts.insert(random.randrange(len(parts) + 1), added)


def _order(random, parts):
    """A segment twice, or elsewhere, or gone."""
    part = parts.pop(random.randrange(len(parts)))
    for _ in range(random.randrange(3)):
        parts.insert(random.randrange(len(parts) + 1), part)
    if not parts:
        parts.append(part)
