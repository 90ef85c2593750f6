"""What orientd of commit 41ea68f left behind when it scanned, proposed and put right three drawn photos that lay in /photos.

In `version_41ea68f`: `scan.csv` of `orientd scan`, `plan.csv` of `orientd watch --plan`, `applied.csv` of `orientd apply`,
the journal of that, dumped, and the photos from before, in base64. None of it is ever to be changed.
"""

import base64
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

_FILES = Path(__file__).parent / "version_41ea68f"
MTIME_NS = 1_700_000_000_123_456_789


def draw(folder):
    """Put the photos into a folder as they were before; returns what they are, by path."""
    folder.mkdir()
    photos = {}
    for name, data in json.loads((_FILES / "photos.json").read_text()).items():
        path = folder / name
        path.write_bytes(base64.b64decode(data))
        os.utime(path, ns=(MTIME_NS, MTIME_NS))
        photos[path] = path.read_bytes()
    return photos


def table(name, folder):
    """A report or plan, as if the photos had lain in that folder."""
    return (_FILES / name).read_text("utf-8").replace("/photos/", f"{folder}/")


def journal(state, folder):
    """Make the journal in a state folder, as if the photos had lain in that folder."""
    state.mkdir()
    text = (_FILES / "journal.sql").read_text()
    with closing(sqlite3.connect(state / "journal.db")) as db:
        db.executescript(text.replace(b"/photos".hex().upper(), os.fsencode(folder).hex().upper()))
