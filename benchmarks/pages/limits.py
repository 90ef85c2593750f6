"""What large and strange PDFs, and TIFFs of many pages, cost `orientd pages`, and what is said of them.

    python -m benchmarks.pages.limits --out /dev/shm/limits [--scans 2000] [--texts 10000] [--frames 2000] [--reading-alone]

Seconds, and the most memory resident at once, in MB: of orientd itself, and of the largest of its children. The files are made in
OUT, and taken away. With --reading-alone no page is judged: all are read as to be judged, and every second one is turned in the
copy. That is so of TIFFs, too, which are looked at only then; 0 of anything leaves it out.
"""

import argparse
import csv
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, TiffImagePlugin

RUN = """
import resource, sys
from orientd.cli.main import cli
code = cli.main(sys.argv[1:], prog_name="orientd", standalone_mode=False)
print(*(resource.getrusage(who).ru_maxrss // 1000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)), int(code or 0))
"""
READ = """
import os, resource, sys
from orientd.decode.children import CHILDREN
from orientd.decode.page_changes import Changes
from orientd.files.read import file_stat
from orientd.pages.isolated import IsolatedPages
kind, path, place = sys.argv[1:]
pages = IsolatedPages(kind, path, file_stat(os.stat(path)), 10**9)
seen = [pages.look(number).levels is None for number in range(len(pages))]
turns = {number: (90, 0.0 if seen[number] else 3.0) for number in range(0, len(pages), 2)}
with open(place, "xb+") as file:
    pages.write(Changes(turns), file, lambda: False)
CHILDREN.end()
print(*(resource.getrusage(who).ru_maxrss // 1000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)), len(seen))
"""
SENTENCE = "The parties agree that each of them shall keep secret what the other tells of its business and plans."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scans", type=int, default=2000)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--reading-alone", action="store_true")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    cases: dict[str, Callable[[], Iterator[bytes]]] = {
        f"a PDF of {given.scans:,} scanned pages, half of them askew": lambda: scans(given.scans),
        f"a PDF of {given.texts:,} pages of text, half of them on their side": lambda: texts(given.texts),
        "a page whose picture has 30,000 × 30,000 pixels": lambda: [*one_picture(30_000)],
        "a page whose picture has 19,000 × 19,000 pixels": lambda: [*one_picture(19_000)],
        "a page of 100,000 × 100,000 points with text": lambda: texts(1, 100_000),
        "a page of 100,000 × 100,000 points with a scan": lambda: scans(1, 100_000),
        "a PDF cut off in its middle": lambda: cut(scans(20)),
        "zeros in the middle of a PDF": lambda: zeroed(scans(20)),
        "a page of a million lines": lambda: lines(1_000_000),
        "a form that shows itself, nested 30 deep and twofold": lambda: nested(30),
    }
    if given.reading_alone:
        large = zip((given.scans, given.texts), list(cases.items()), strict=False)
        cases = dict(case for number, case in large if number)
        if given.frames:
            cases[f"a TIFF of {given.frames:,} scanned pages"] = lambda: tiff(given.frames, given.out)
    print("| what | MB | seconds | orientd, MB | its largest child, MB | exit code | said |")
    print("|---|---|---|---|---|---|---|")
    for name, made in cases.items():
        path = given.out / "case.pdf"
        with path.open("wb") as file:
            file.writelines(made())
        kind = "tiff" if "TIFF" in name else "pdf"
        figures = read_alone(kind, path, given.out) if given.reading_alone else measured(path, given.out)
        print(f"| {name} | {path.stat().st_size / 1e6:.1f} | {figures} |", flush=True)
        path.unlink()


def measured(path: Path, out: Path) -> str:
    """One run, with copies."""
    report, copies = out / "r.csv", out / "copies"
    words = ["pages", path, "--out", copies, "--report", report, "--overwrite", "-q", "--max-bytes", "4000000000"]
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=False)
    spent = time.monotonic() - started
    with report.open() as file:
        said = Counter((row["decision"], row["reason_code"]) for row in csv.DictReader(file))
    report.unlink()
    own, child, code = done.stdout.split()[-3:]
    pages = ", ".join(f"{number:,} {' '.join(filter(None, what))}" for what, number in said.items())
    return f"{spent:.1f} | {own} | {child} | {code} | {pages}"


def read_alone(kind: str, path: Path, out: Path) -> str:
    """All pages read and copied, none judged."""
    started = time.monotonic()
    command = [sys.executable, "-c", READ, kind, path, out / "copy.pdf"]
    own, child, pages = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    (out / "copy.pdf").unlink()
    return f"{time.monotonic() - started:.1f} | {own} | {child} | | {pages} read"


def tiff(count: int, out: Path) -> Iterator[bytes]:
    """Pages packed as JPEGs."""
    kinds = [Image.open(BytesIO(page(0, 0))).convert("L"), Image.open(BytesIO(page(1, 3))).convert("L")]
    path = out / "frames.tif"
    with path.open("wb+") as file, TiffImagePlugin.AppendingTiffWriter(file) as writer:
        for number in range(count):
            kinds[number % 2].save(writer, format="TIFF", compression="jpeg", dpi=(150, 150))
            writer.newFrame()
    with path.open("rb") as file:
        path.unlink()
        while part := file.read(2**20):
            yield part


def page(seed: int, angle: float) -> bytes:
    """A page as a scanner would store it, a JPEG of about 200 KB."""
    image = Image.new("L", (1240, 1754), 240)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(26)
    for line in range(40):
        draw.text((120, 130 + line * 36), f"{seed} {SENTENCE[line % 7 :]}"[:80], fill=30, font=font)
    levels = np.asarray(image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=240)).astype(np.int16)
    noisy = levels + np.random.default_rng(seed).integers(-9, 10, levels.shape)
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(out := BytesIO(), "JPEG", quality=60)
    return out.getvalue()


def pdf(objects: Iterator[bytes], pages: int) -> Iterator[bytes]:
    """A PDF of these objects, whose numbers begin at 3; each `pages`th of them is a page."""
    length, places = 0, []

    def add(number: int, body: bytes) -> bytes:
        nonlocal length
        part = b"%d 0 obj\n%b\nendobj\n" % (number, body)
        places.append((number, length))
        length += len(part)
        return part

    yield (start := b"%PDF-1.4\n")
    length += len(start)
    kids, last = [], 2
    for last, body in enumerate(objects, 3):
        if b"/Type /Page " in body[:200]:
            kids.append(b"%d 0 R" % last)
        yield add(last, body)
    yield add(1, b"<< /Type /Catalog /Pages 2 0 R >>")
    yield add(2, b"<< /Type /Pages /Count %d /Kids [%b] >>" % (pages, b" ".join(kids)))
    table = b"".join(b"%010d 00000 n \n" % place for _, place in sorted(places))
    trailer = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (last + 1, length)
    yield b"xref\n0 %d\n0000000000 65535 f \n%b%b" % (last + 1, table, trailer)


def stream(entries: bytes, body: bytes) -> bytes:
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(body), body)


def sheet(number: int, side: tuple[int, int], resources: bytes, rotate: int = 0) -> bytes:
    """A page whose content is the object after it."""
    entries = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Rotate %d /Contents %d 0 R /Resources << %b >> >>"
    return entries % (*side, rotate, number + 1, resources)


def scans(count: int, side: int = 0) -> Iterator[bytes]:
    width, height = (side, side) if side else (595, 842)

    def objects() -> Iterator[bytes]:
        picture = b"/Type /XObject /Subtype /Image /Width 1240 /Height 1754 /ColorSpace /DeviceGray /BitsPerComponent 8"
        kinds = [page(0, 0), page(1, 3)]
        for number in range(count):
            place = 3 + 3 * number
            yield sheet(place, (width, height), b"/XObject << /I %d 0 R >>" % (place + 2))
            yield stream(b"", b"q %d 0 0 %d 0 0 cm /I Do Q" % (width, height))
            yield stream(picture + b" /Filter /DCTDecode", kinds[number % 2])

    return pdf(objects(), count)


def texts(count: int, side: int = 0) -> Iterator[bytes]:
    width, height = (side, side) if side else (595, 842)

    def objects() -> Iterator[bytes]:
        yield b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
        shown = b" ".join(b"(%b) Tj 0 -16 Td" % SENTENCE.encode() for _ in range(30))
        for number in range(count):
            yield sheet(4 + 2 * number, (width, height), b"/Font << /F 3 0 R >>", 90 * (number % 2))
            yield stream(b"", b"BT /F 11 Tf 50 %d Td %b ET" % (height - 60, shown))

    return pdf(objects(), count)


def one_picture(side: int) -> Iterator[bytes]:
    """White, run-length coded: a few megabytes hold all pixels."""

    def objects() -> Iterator[bytes]:
        picture = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 8"
        runs, rest = divmod(side * side, 128)
        body = b"\x81\xff" * runs + (bytes((257 - rest, 255)) if rest > 1 else b"") + b"\x80"
        yield sheet(3, (595, 842), b"/XObject << /I 5 0 R >>")
        yield stream(b"", b"q 595 0 0 842 0 0 cm /I Do Q")
        yield stream(picture % (side, side) + b" /Filter /RunLengthDecode", body)

    return pdf(objects(), 1)


def lines(count: int) -> Iterator[bytes]:
    def objects() -> Iterator[bytes]:
        yield sheet(3, (595, 842), b"")
        yield stream(b"", b"".join(b"%d %d m %d %d l S\n" % (n % 595, n % 842, n % 593, n % 839) for n in range(count)))

    return pdf(objects(), 1)


def nested(depth: int) -> Iterator[bytes]:
    def objects() -> Iterator[bytes]:
        yield sheet(3, (595, 842), b"/XObject << /I 5 0 R >>")
        yield stream(b"", b"/I Do")
        for number in range(5, 5 + depth):
            inner = b"/Resources << /XObject << /I %d 0 R >> >>" % (number + 1 if number < 4 + depth else 5)
            yield stream(b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] " + inner, b"/I Do /I Do")

    return pdf(objects(), 1)


def cut(parts: Iterator[bytes]) -> Iterator[bytes]:
    data = b"".join(parts)
    yield data[: len(data) // 2]


def zeroed(parts: Iterator[bytes]) -> Iterator[bytes]:
    data = b"".join(parts)
    third = len(data) // 3
    yield data[:third] + bytes(third) + data[2 * third :]


if __name__ == "__main__":
    main()
