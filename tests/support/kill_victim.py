"""Fixes photos and takes the fixes back, for ever: a process to be killed. Also what it works on, and with.

python kill_victim.py STATE_DIR FOLDER
"""

import io
import os
import sys
from hashlib import sha256

import numpy as np
from PIL import ExifTags, Image

from orientd import formats, orientation
from orientd.decode.cpu import second_reader
from orientd.records import Outcome, Row
from orientd.state.journal import Journal
from orientd.state.lock import Lock
from orientd.write.fix import Fixer
from orientd.write.recover import recover
from orientd.write.undo import undo

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
XMP += b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="1"/></rdf:RDF>%s</x:xmpmeta>'


def pillow_reads(data: bytes) -> int | None:
    """The orientation that Pillow finds in EXIF."""
    with Image.open(io.BytesIO(data)) as image:
        value: int | None = image.getexif().get(ExifTags.Base.Orientation)
        return value


def draw(number: int) -> bytes:
    """A small JPEG without a turn; the number decides how it comes to store one: there are four ways."""
    noise = np.random.default_rng(number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    exif, more, file = Image.Exif(), {}, io.BytesIO()
    if number % 4 in (0, 3):  # the value is overwritten in place
        exif[ExifTags.Base.Orientation] = 1
    if number % 4 == 1:  # the block grows
        exif[ExifTags.Base.Make] = "A camera without a gravity sensor"
    if number % 4 == 3:  # two pages are changed
        more["xmp"] = XMP.replace(b"<rdf:RDF", b" " * 5000 + b"<rdf:RDF") % b""
    if number % 4 != 2:  # 2: a block is added
        more["exif"] = exif
    Image.fromarray(noise).save(file, "JPEG", **more)
    return file.getvalue()


def reads(data: bytes) -> int | None:
    """The orientation that a library that is not ours finds in a photo of any container."""
    return pillow_reads(data) if data.startswith(b"\xff\xd8") else second_reader(data)


def fix_all(journal: Journal, paths: list[str]) -> list[Outcome]:
    """Turn every photo that is not yet turned by 90°."""
    fixer = Fixer(journal, journal.start_run("fix"), formats, reads)
    outcomes = []
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        if orientation.normalise(formats.stored_orientation(formats.sniff(data), data)) == orientation.UPRIGHT:
            outcomes.append(fixer.fix(Row(path, turn=90, sha256=sha256(data).hexdigest())))
    journal.finish_run(fixer.run)
    return outcomes


def undo_all(journal: Journal) -> list[Outcome]:
    """Take back every fix of every run."""
    runs = journal.runs()
    undoing = journal.start_run("undo")
    outcomes = [outcome for run in runs for outcome in undo(journal, undoing, journal.writes(run.id))]
    journal.finish_run(undoing)
    return outcomes


def main(state_dir: str, folder: str) -> None:
    with Lock(state_dir), Journal(state_dir) as journal:
        recover(journal)
        print("started", flush=True)
        while True:
            fix_all(journal, sorted(os.path.join(folder, name) for name in os.listdir(folder)))
            undo_all(journal)


if __name__ == "__main__":
    main(*sys.argv[1:])
