"""Raw files drawn to order, with a preview where cameras put it, but with zeros or noise for sensor data."""

import io
import struct

import numpy as np
from support import sky_library

ORIENTATION, COMPRESSION, STRIP, STRIP_LENGTH, SUB_IFDS = 0x112, 0x103, 0x111, 0x117, 0x14A
PREVIEW, PREVIEW_LENGTH, DNG_VERSION, JPG_FROM_RAW = 0x201, 0x202, 0xC612, 0x2E
SHORT, LONG, UNDEFINED = 3, 4, 7
CR3_METADATA = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
CR3_PREVIEW = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")
SENSOR = b"\xff\xd8\xff\xc3\0\x0b\x0e\x10\0\x10\0\x01\x01\x11\0" + bytes(200_000)  # a lossless JPEG, larger than any preview


def preview(turn=0, seed=0, width=480, height=320, exif=None):
    """A JPEG of a landscape that is upright once turned so."""
    file = io.BytesIO()
    more = {"exif": exif} if exif else {}
    sky_library.landscape(seed, width, height).rotate(turn, expand=True).save(file, "JPEG", **more)
    return file.getvalue()


class Builder:
    """A TIFF from its end: values first, then the directories that point at them."""

    def __init__(self, magic=b"II*\0", order="<"):
        self.order, self.data = order, bytearray(magic + bytes(4 + 16))

    def put(self, value):
        place = len(self.data)
        self.data += value + bytes(len(value) % 2)
        return place

    def directory(self, *entries, follows=0):
        """Entries are (tag, type, number of values, the value or where it lies)."""
        body = b"".join(
            struct.pack(f"{self.order}HHI", *entry[:3])
            + (struct.pack(f"{self.order}HH", entry[3], 0) if entry[1] == SHORT else struct.pack(f"{self.order}I", entry[3]))
            for entry in sorted(entries)
        )
        return self.put(struct.pack(f"{self.order}H", len(entries)) + body + struct.pack(f"{self.order}I", follows))

    def finish(self, first):
        self.data[4:8] = struct.pack(f"{self.order}I", first)
        return bytes(self.data)


def jpeg_at(builder, data, tags=(PREVIEW, PREVIEW_LENGTH)):
    return [(tags[0], LONG, 1, builder.put(data)), (tags[1], LONG, 1, len(data))]


def dng(picture, orientation=1, order="<"):
    """A thumbnail in IFD0, sensor data and the preview, as a strip, in SubIFDs."""
    builder = Builder({"<": b"II*\0", ">": b"MM\0*"}[order], order)
    strip = (STRIP, STRIP_LENGTH)
    sensor = builder.directory((COMPRESSION, SHORT, 1, 7), *jpeg_at(builder, SENSOR, strip))
    shown = builder.directory((COMPRESSION, SHORT, 1, 7), *jpeg_at(builder, picture, strip))
    below = builder.put(struct.pack(f"{order}II", sensor, shown))
    version = (DNG_VERSION, 1, 4, 0x0401)
    return builder.finish(builder.directory((ORIENTATION, SHORT, 1, orientation), (SUB_IFDS, LONG, 2, below), version))


def arw(picture, orientation=1):
    """The preview in IFD0, a thumbnail in IFD1."""
    builder = Builder()
    thumbnail = builder.directory(*jpeg_at(builder, preview(width=160, height=120)))
    entries = (ORIENTATION, SHORT, 1, orientation), (COMPRESSION, SHORT, 1, 32767)
    return builder.finish(builder.directory(*entries, *jpeg_at(builder, picture), follows=thumbnail))


def cr2(picture, orientation=1):
    """The preview as a strip of IFD0, the sensor data in the last directory."""
    builder = Builder()
    builder.data[8:12] = b"CR\2\0"
    strip = (STRIP, STRIP_LENGTH)
    sensor = builder.directory((COMPRESSION, SHORT, 1, 6), *jpeg_at(builder, SENSOR, strip))
    entries = (ORIENTATION, SHORT, 1, orientation), (COMPRESSION, SHORT, 1, 6)
    return builder.finish(builder.directory(*entries, *jpeg_at(builder, picture, strip), follows=sensor))


def rw2(picture, orientation=1):
    builder = Builder(b"IIU\0")
    entry = (JPG_FROM_RAW, UNDEFINED, len(picture), builder.put(picture))
    return builder.finish(builder.directory((ORIENTATION, SHORT, 1, orientation), entry))


def orf(picture, orientation=1):
    builder = Builder(b"IIRO")
    return builder.finish(builder.directory((ORIENTATION, SHORT, 1, orientation), *jpeg_at(builder, picture)))


def raf(picture, orientation=1):
    """No IFD0: the preview's own EXIF has the orientation, so it must be drawn with one."""
    head = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0")
    return head + struct.pack(">II", 100, len(picture)) + bytes(8) + picture + np.arange(999, dtype=np.uint8).tobytes()


def box(kind, *content):
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def cr3(picture, orientation=1, full=SENSOR, sides=(), listed=True):
    """IFD0 in CMT1, a thumbnail in THMB, the picture in PRVW, a JPEG of the full size as the sample of the first track.

    Its size stands in a list of sizes, as in new cameras, or alone.
    """
    thumbnail = preview(width=160, height=120)
    ifd0 = Builder()
    sensor = [(tag, LONG, 1, side) for tag, side in zip((0x100, 0x101), sides, strict=False)]
    told = box(b"CMT1", ifd0.finish(ifd0.directory(*sensor, (ORIENTATION, SHORT, 1, orientation))))
    small = box(b"THMB", struct.pack(">IHHIHH", 0, 160, 120, len(thumbnail), 1, 0), thumbnail)
    metadata = box(b"uuid", CR3_METADATA, box(b"CNCV", b"CanonCR3_001/00.09.00/00.00.00"), told, small)
    shown = box(b"PRVW", struct.pack(">IHHHHI", 0, 1, 1620, 1080, 1, len(picture)), picture)
    shown = box(b"uuid", CR3_PREVIEW, struct.pack(">II", 0, 1), shown)
    sizes = box(b"stsz", struct.pack(">4I", 0, 0, 1, len(full)) if listed else struct.pack(">3I", 0, len(full), 1))
    track_size = 4 * 8 + len(sizes) + 24
    start = 24 + 8 + len(metadata) + 108 + track_size + len(shown) + 8
    table = box(b"stbl", sizes, box(b"co64", struct.pack(">IIQ", 0, 1, start)))
    movie = box(b"moov", metadata, box(b"mvhd", bytes(100)), box(b"trak", box(b"mdia", box(b"minf", table))))
    return box(b"ftyp", b"crx \0\0\0\1crx isom") + movie + shown + box(b"mdat", full, bytes(5000))


MAKERS = {"dng": dng, "arw": arw, "cr2": cr2, "rw2": rw2, "orf": orf, "cr3": cr3}
