"""Raw files drawn to order whose preview is not where TIFFs have theirs: in a maker note, or in the heaps of a CRW."""

import struct

from support.raw_files import (
    COMPRESSION,
    LONG,
    ORIENTATION,
    PREVIEW,
    PREVIEW_LENGTH,
    SHORT,
    STRIP,
    STRIP_LENGTH,
    UNDEFINED,
    Builder,
    preview,
)

EXIF, MAKER_NOTE, WIDTH, HEIGHT = 0x8769, 0x927C, 0x100, 0x101
IFD = 13


def directory(order, *entries):
    """The bytes of a directory whose values all stand in it."""
    packed = b"".join(struct.pack(f"{order}HHII", *entry) for entry in sorted(entries))
    return struct.pack(f"{order}H", len(entries)) + packed + bytes(4)


def noted(note, picture, orientation=1, magic=b"II*\0", order="<", sides=(4640, 3472), compression=1):
    """A TIFF with a maker note, and the picture right behind it. `note` makes the note of the place where it starts."""
    builder = Builder(magic, order)
    small = preview(width=160, height=120)
    thumbnail = builder.put(small)
    place = builder.put(note(len(builder.data), len(picture)) + picture)
    exif = builder.directory((MAKER_NOTE, UNDEFINED, len(note(place, len(picture))), place))
    entries = [(ORIENTATION, SHORT, 1, orientation), (EXIF, LONG, 1, exif), (COMPRESSION, SHORT, 1, compression)]
    entries += [(WIDTH, LONG, 1, sides[0]), (HEIGHT, LONG, 1, sides[1])]
    second = builder.directory((PREVIEW, LONG, 1, thumbnail), (PREVIEW_LENGTH, LONG, 1, len(small)))
    return builder.finish(builder.directory(*entries, follows=second))


def orf(picture, orientation=1, header=b"OLYMPUS\0II\3\0", type_=IFD):
    """The camera settings below the note point at the picture; all counts from the note."""

    def note(_, length):
        start = len(header) + 18
        main = directory("<", (0x2020, type_, 1, start))
        return header + main + directory("<", (0x101, LONG, 1, start + 30), (0x102, LONG, 1, length))

    return noted(note, picture, orientation, b"IIRO")


def orf_om(picture, orientation=1):
    return orf(picture, orientation, b"OM SYSTEM\0\0\0II\4\0", LONG)


def orf_old(picture, orientation=1):
    """The camera settings stand in an entry of the note; all counts from the start of the file, but the picture from the note."""

    def note(place, length):
        start = 8 + 18
        main = directory("<", (0x2020, UNDEFINED, 30, place + start))
        return b"OLYMP\0\1\0" + main + directory("<", (0x101, LONG, 1, start + 30), (0x102, LONG, 1, length))

    return noted(note, picture, orientation, b"IIRO")


def pef(picture, orientation=1):
    """The note has the length before the place, which counts from the note."""

    def note(_, length):
        header = b"PENTAX \0MM"
        return header + directory(">", (3, LONG, 1, length), (4, LONG, 1, len(header) + 30))

    return noted(note, picture, orientation, compression=65535)


def pef_old(picture, orientation=1):
    def note(place, length):
        return b"AOC\0MM" + directory(">", (3, LONG, 1, length), (4, LONG, 1, place + 6 + 30))

    return noted(note, picture, orientation, b"MM\0*", ">", compression=65535)


def nef(picture, orientation=1):
    """A TIFF in the note, which points at a directory of its own with the picture."""

    def note(_, length):
        header = b"Nikon\0\2\x11\0\0MM\0*\0\0\0\x08"
        main = directory(">", (0x11, LONG, 1, 8 + 18))
        return header + main + directory(">", (PREVIEW, LONG, 1, 8 + 18 + 30), (PREVIEW_LENGTH, LONG, 1, length))

    return noted(note, picture, orientation, compression=34713)


def srw(picture, orientation=1, counted_from_note=False):
    """A note without a header. Cameras differ in where its offsets count from."""

    def note(place, length):
        base = 0 if counted_from_note else place
        version, below = (1, UNDEFINED, 4, int.from_bytes(b"0100", "little")), (0x35, LONG, 1, base + 30)
        return directory("<", version, below) + directory("<", (PREVIEW, LONG, 1, base + 60), (PREVIEW_LENGTH, LONG, 1, length))

    return noted(note, picture, orientation, compression=32770)


def srw_from_note(picture, orientation=1):
    return srw(picture, orientation, counted_from_note=True)


NOTES = {
    "orf": orf,
    "om.orf": orf_om,
    "old.orf": orf_old,
    "pef": pef,
    "old.pef": pef_old,
    "nef": nef,
    "srw": srw,
    "note.srw": srw_from_note,
}


def heap(*values):
    """A heap of (tag, bytes), and its directory at its end."""
    body, entries = b"", b""
    for tag, value in values:
        entries += struct.pack("<HII", tag, len(value), len(body))
        body += value
    return body + struct.pack("<H", len(values)) + entries + struct.pack("<I", len(body))


def crw(picture, rotation=0, sides=(2160, 1440)):
    """The JPEG in the first heap; the size and the rotation, in degrees clockwise, in a heap below."""
    information = struct.pack("<IIfi3I", *sides, 1.0, rotation, 8, 24, 1)
    properties = heap((0x1810, information))
    return b"II\x1a\0\0\0HEAPCCDR\2\0\1\0" + bytes(8) + heap((0x2005, bytes(9999)), (0x2007, picture), (0x300A, properties))


def two_directories(picture, kind):
    """A DNG whose only JPEG is in a directory of this subfile type."""
    builder = Builder()
    entries = [(0xFE, LONG, 1, kind), (STRIP, LONG, 1, builder.put(picture)), (STRIP_LENGTH, LONG, 1, len(picture))]
    below = builder.directory(*entries, (COMPRESSION, SHORT, 1, 34892))
    return builder.finish(builder.directory((ORIENTATION, SHORT, 1, 1), (0x14A, LONG, 1, below), (0xC612, 1, 4, 0x0401)))
