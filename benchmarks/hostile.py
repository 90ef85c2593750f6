"""What it costs to read the structure of files that consist of nothing but structure: processor seconds for each question.

    python -m benchmarks.hostile --megabytes 60

Each file is made of as many of the smallest pieces of one kind as there is room for, has every question asked that a scan,
`inspect`, the watcher and `serve` ask in their own process, before or after the picture is decoded in another, and is decoded.
"""

import argparse
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import Final
from zlib import compress, crc32

from orientd import formats
from orientd.decode.cpu import CpuDecoder
from orientd.errors import DecodeError, Refused
from orientd.formats import c2pa, fingerprint, jpeg, png
from orientd.formats.footprint import footprint
from orientd.formats.origin import origin
from orientd.records import FileStat, Format, Photo

MIB: Final = 2**20
SIDE: Final = 240
QUESTIONS: Final[dict[str, Callable[[Format, bytes], object]]] = {
    "stored": formats.stored_orientation,
    "signed": c2pa.is_signed,
    "plan": lambda kind, data: formats.plan(kind, data, 6),
    "origin": origin,
    "marks": fingerprint.marks,
    "memory": lambda kind, data: footprint(kind, data, whole=False),
    "decode": lambda kind, data: CpuDecoder(SIDE).decode(Photo("", FileStat(0, 0, len(data), 0), kind, data, None, "")),
}


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return number(len(body)) + name + body + number(crc32(name + body))


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return number(8 + len(body)) + kind + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, number(version, 1) + number(flags, 3), *parts)


def filled(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def of_png(piece: bytes, size: int) -> bytes:
    """A PNG with these chunks before its picture, or as its picture."""
    header = chunk(b"IHDR", number(64) + number(64) + bytes([8, 2, 0, 0, 0]))
    rest = b"" if piece[4:8] == b"IDAT" else chunk(b"IDAT", bytes(10))
    return png.SIGNATURE + header + filled(piece, size) + rest + chunk(b"IEND")


def of_webp(piece: bytes, size: int) -> bytes:
    body = b"WEBPVP8L\x0a\0\0\0\x2f" + bytes(9) + filled(piece, size)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def of_heif(
    *, top: bytes = b"", children: bytes = b"", items: bytes = b"", locations: bytes = b"", places: int = 1, **lists: bytes
) -> bytes:
    """A HEIF of one photo, with more boxes at the top, in `meta`, or in its lists: `properties`, `entries`, `references`."""
    photo = full(b"infe", number(1, 2), number(0, 2), b"hvc1", b"\0", version=2)
    place = number(1, 2) + number(0, 2) + number(1, 2) + number(8) + number(8)
    known = box(b"ispe", bytes(4), number(64), number(64)) + lists.get("properties", b"")
    ipma = lists.get("entries") or full(b"ipma", number(1), number(1, 2), b"\1\1")
    meta = full(
        b"meta",
        full(b"pitm", number(1, 2)),
        full(b"iinf", number(1, 2), photo, items),
        full(b"iloc", b"\x44\0", number(places, 2), place, locations),
        box(b"iprp", box(b"ipco", known), ipma),
        full(b"iref", lists["references"]) if "references" in lists else b"",
        children,
    )
    return box(b"ftyp", b"heic\0\0\0\0mif1heic") + meta + top + box(b"mdat", bytes(16))


def of_jpeg(before: bytes = b"", behind: bytes = b"") -> bytes:
    frame = b"\xff\xc0\0\x11\x08\0\x40\0\x40\x03\1\x22\0\2\x11\1\3\x11\1"
    return b"\xff\xd8" + before + frame + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" + behind + b"\xff\xd9"


def item(kind: bytes, place: int, more: bytes = b"") -> bytes:
    return full(b"infe", number(place, 2), number(0, 2), kind, b"\0", more, version=2)


LIST: Final = 3 * MIB
MANY: Final = 30_000
BOMB: Final = compress(bytes(16 * MIB - 1), 9)
PACKET: Final = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"/></rdf:RDF></x:xmpmeta><!-- provenance -->'
)


def hostile(size: int) -> dict[str, Callable[[], bytes]]:
    """Files by what they are made of, each of about `size` bytes."""
    exif = chunk(b"tEXt", b"Raw profile type xmp\0\nxmp\n       1\n20\n")
    rdf = b"application/rdf+xml\0"
    whole = number(2 * MIB) + number(size - 3 * MIB)
    places = [number(n, 2) + number(0, 2) + number(1, 2) for n in range(2, MANY)]
    return {
        "PNG, empty chunks": lambda: of_png(chunk(b"abCd"), size),
        "PNG, IDATs without a byte": lambda: of_png(chunk(b"IDAT"), size),
        "PNG, IDATs of a byte": lambda: of_png(chunk(b"IDAT", b"x"), size),
        "PNG, EXIF chunks": lambda: of_png(chunk(b"eXIf"), size),
        "PNG, texts": lambda: of_png(chunk(b"tEXt", b"a\0"), size),
        "PNG, texts with XMP": lambda: of_png(exif, size),
        "PNG, XMP": lambda: of_png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET), size),
        "PNG, packed XMP": lambda: of_png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB), size),
        "WebP, empty chunks": lambda: of_webp(b"abcd\0\0\0\0", size),
        "WebP, XMP": lambda: of_webp(b"XMP " + len(PACKET).to_bytes(4, "little") + PACKET, size),
        "HEIF, boxes": lambda: of_heif(top=filled(box(b"free"), size)),
        "HEIF, boxes in meta": lambda: of_heif(children=filled(box(b"free"), size)),
        "HEIF, properties": lambda: of_heif(properties=filled(box(b"free"), LIST)),
        "HEIF, lists of properties": lambda: of_heif(
            entries=b"".join(
                full(b"ipma", number(9_000), b"".join(number(n, 2) + b"\0" for n in range(at, at + 9_000)))
                for at in range(1, 63_000, 9_000)
            )
        ),
        "HEIF, properties of each item": lambda: of_heif(
            entries=full(b"ipma", number(10_000), b"".join(number(n, 2) + b"\xff" + b"\1" * 255 for n in range(1, 10_001)))
        ),
        "HEIF, references": lambda: of_heif(references=filled(box(b"dimg", number(1, 2), number(0, 2)), LIST)),
        "HEIF, lists of references": lambda: of_heif(
            children=filled(full(b"iref", filled(box(b"dimg", number(1, 2), number(0, 2)), LIST)), size)
        ),
        "HEIF, chain of references": lambda: of_heif(
            references=b"".join(box(b"dimg", number(n, 2), number(1, 2), number(n + 1, 2)) for n in range(1, 65_000))
        ),
        "HEIF, thumbnails of thumbnails": lambda: of_heif(
            references=b"".join(box(b"thmb", number(n + 1, 2), number(1, 2), number(n, 2)) for n in range(1, 60))
            + filled(box(b"abcd", number(1, 2), number(1, 2), number(1, 2)), LIST)
        ),
        "HEIF, groups": lambda: of_heif(children=filled(box(b"grpl", filled(full(b"altr", number(1), number(0)), LIST)), size)),
        "HEIF, items": lambda: of_heif(items=b"".join(item(b"hvc1", n) for n in range(2, 65_000))),
        "HEIF, XMPs of the whole file": lambda: of_heif(
            items=b"".join(item(b"mime", n, rdf) for n in range(2, MANY)),
            locations=b"".join(place + whole for place in places),
            places=MANY - 1,
            top=box(b"mdat", PACKET * (size // len(PACKET))),
        ),
        "JPEG, segments": lambda: of_jpeg(before=filled(b"\xff\xe5\0\2", size)),
        "JPEG, segments of XMP": lambda: of_jpeg(before=filled(b"\xff\xe1\0\x1f" + jpeg.XMP, size)),
        "JPEG, segments behind the scan": lambda: of_jpeg(behind=filled(b"\xff\xc4\0\2", size)),
        "JPEG, markers behind the scan": lambda: of_jpeg(behind=filled(b"\xff\1", size)),
        "Samsung, entries": lambda: of_heif(
            top=b"SEFH"
            + bytes(4)
            + (size // 12).to_bytes(4, "little")
            + filled(bytes(12), size)
            + (12 + size // 12 * 12).to_bytes(4, "little")
            + b"SEFT"
        ),
        "TIFF, entries": lambda: b"II*\0\x08\0\0\0" + b"\xff\xff" + filled(b"\x69\x87\4\0\1\0\0\0\x08\0\0\0", size),
        "TIFF, one long list of strips": lambda: (
            b"II*\0\x08\0\0\0\2\0\x11\1\4\0"
            + (size // 8).to_bytes(4, "little")
            + b"\x30\0\0\0\x17\1\4\0"
            + (size // 8).to_bytes(4, "little")
            + b"\x30\0\0\0"
            + bytes(size)
        ),
        "TIFF, a list of pointers": lambda: (
            b"II*\0\x08\0\0\0\1\0\x4a\1\4\0" + (size // 4).to_bytes(4, "little") + b"\x20\0\0\0" + bytes(size + 64)
        ),
    }


def asked(name: str, size: int) -> tuple[int, dict[str, float], float]:
    """The bytes of the file, processor seconds by question, and the MiB that these took."""
    data = hostile(size)[name]()
    kind, before, seconds = formats.sniff(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, {}
    for question, ask in QUESTIONS.items():
        began = time.process_time()
        with suppress(Refused, DecodeError):
            ask(kind, data)
        seconds[question] = time.process_time() - began
    return len(data), seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--only", default="", metavar="WORD", help="files whose name holds it")
    chosen = parser.parse_args()
    size = chosen.megabytes * MIB
    print("| file | MiB | " + " | ".join(QUESTIONS) + " | all | memory, MiB |")
    for name in hostile(size):
        if chosen.only in name:
            with get_context("spawn").Pool(1) as pool:
                length, seconds, memory = pool.apply(asked, (name, size))
            row = [f"{one:.1f}" for one in (*seconds.values(), sum(seconds.values()))]
            print(f"| {name} | {length / MIB:.0f} | {' | '.join(row)} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
