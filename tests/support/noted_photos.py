"""EXIF blocks with the maker notes of cameras that know how they were held, drawn to order, and JPEGs with them."""

import struct
from typing import NamedTuple

from support import jpeg_files
from support.raw_notes import directory

SHORT, LONG, SRATIONAL, UNDEFINED, SSHORT, BYTE, IFD, ASCII = 3, 4, 10, 7, 8, 1, 13, 2
MAKE, MODEL, SOFTWARE, EXIF, LENS, MAKER_NOTE = 0x010F, 0x0110, 0x0131, 0x8769, 0xA434, 0x927C
HEADER = 8
BEHIND = b"\0\1" * 20  # what follows the note in the block


class Taken(NamedTuple):
    """What stands in an EXIF block; `note` makes the maker note of the place where it starts in the block."""

    make: str = "Apple"
    model: str = "iPhone 13"
    software: str = "17.6.1"
    lens: str = "iPhone 13 back dual wide camera 5.1mm f/1.6"
    note: object = None
    order: str = ">"


def block(taken):
    """The EXIF block: two directories and the values that they point at."""
    texts = {MAKE: taken.make, MODEL: taken.model, SOFTWARE: taken.software}
    first, below = HEADER, HEADER + 2 + 12 * 4 + 4
    place, data = below + 2 + 12 * 2 + 4, b""
    entries = []
    for tag, text in texts.items():
        value = text.encode() + bytes(5)  # never in the entry itself
        entries.append((tag, ASCII, len(value), place + len(data)))
        data += value + bytes(len(value) % 2)
    lens = taken.lens.encode() + bytes(5)
    more = [(LENS, ASCII, len(lens), place + len(data))]
    data += lens + bytes(len(lens) % 2)
    note = taken.note(place + len(data)) if taken.note else bytes(8)
    more.append((MAKER_NOTE, UNDEFINED, len(note), place + len(data)))
    magic = b"MM\0*" if taken.order == ">" else b"II*\0"
    head = magic + struct.pack(f"{taken.order}I", first)
    ifds = directory(taken.order, *entries, (EXIF, LONG, 1, below)) + directory(taken.order, *more)
    return head + ifds + data + note + BEHIND


def jpeg(taken):
    """A JPEG with that block."""
    picture = jpeg_files.picture()
    payload = b"Exif\0\0" + block(taken)
    return picture[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + picture[2:]


def apple(*numbers):
    """The acceleration, three fractions given by six numbers."""

    def note(_):
        header = b"Apple iOS\0\0\1MM"
        return header + directory(">", (8, SRATIONAL, 3, len(header) + 18)) + struct.pack(">6i", *numbers)

    return note


def canon(rotation, length=34, order="<", said=None):
    """The information on the shot, `length` numbers of which the first says how many bytes they take."""

    def note(place):
        shot = [2 * length if said is None else said, *[0] * (length - 1)]
        if length > 27:
            shot[27] = rotation
        return directory(order, (4, SHORT, length, place + 18)) + struct.pack(f"{order}{length}h", *shot)

    return note


def panasonic(rotation=None, orientation=None, order="<"):
    def note(_):
        entries = [] if rotation is None else [(0x30, SHORT, 1, rotation if order == "<" else rotation << 16)]
        entries += [] if orientation is None else [(0x8F, BYTE, 1, orientation if order == "<" else orientation << 24)]
        return b"Panasonic\0\0\0" + directory(order, *entries)

    return note


def pentax(level, old=False):
    """The level, five bytes."""

    def note(place):
        header = b"AOC\0II" if old else b"PENTAX \0II"
        start = len(header) + 18
        value = bytes([level, 3, 1, 0, 0])
        return header + directory("<", (0x22B, UNDEFINED, 5, place + start if old else start)) + value

    return note


def sony(first, place_of_orientation, orientation, headed=True):
    """The enciphered block, 60 bytes."""

    def note(place):
        header = b"SONY DSC \0\0\0" if headed else b""
        held = bytearray(60)
        held[0], held[place_of_orientation] = first, pow(orientation, 3, 249)
        entries = (0x102, LONG, 1, 0), (0x9400, UNDEFINED, 60, place + len(header) + 30)
        return header + directory("<", *entries) + bytes(held)

    return note


def olympus(roll, on=1, om=False):
    """Tenths of degrees counter-clockwise, in the camera settings below the note."""

    def note(_):
        header = b"OM SYSTEM\0\0\0II\4\0" if om else b"OLYMPUS\0II\3\0"
        settings = directory("<", (0x903, SSHORT, 2, (roll & 0xFFFF) | on << 16))
        return header + directory("<", (0x2020, IFD, 1, len(header) + 18)) + settings

    return note
