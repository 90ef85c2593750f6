"""The tables of the journal: what makes them in a new one, and what is checked of one that is there."""

import os
import sqlite3
from typing import Final

from orientd.errors import StateError
from orientd.reasons import Reason
from orientd.state.database import damage, sync_folders

VERSION: Final = 1
MOVE: Final = "see who else can write it, and move it away to go on; what was written before cannot be undone then"
"""What to do about a journal that holds what no orientd wrote."""

_MOST_BYTES: Final = 64 * 2**20  # of one value: a patch is a few bytes, or a few thousand
# Tables that the first journals had not; older versions of orientd pass them over.
_ADDED: Final = {"roots", "marks", "codes", "whole_undos", "offers", "failures"}

_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    command BLOB NOT NULL,
    started_ns INTEGER NOT NULL,
    finished_ns INTEGER,
    status TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS writes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES runs,
    path BLOB NOT NULL,
    format TEXT NOT NULL,
    old_stat TEXT NOT NULL,
    old_sha256 TEXT NOT NULL,
    new_sha256 TEXT NOT NULL,
    old_orientation INTEGER,
    new_orientation INTEGER,
    turn INTEGER NOT NULL,
    method TEXT NOT NULL,
    probabilities TEXT NOT NULL,
    mtime_ns INTEGER,
    temp TEXT NOT NULL,
    undoes INTEGER REFERENCES writes,
    status TEXT NOT NULL,
    reason BLOB NOT NULL DEFAULT x'',
    new_stat TEXT
);
CREATE TABLE IF NOT EXISTS splices (
    write INTEGER NOT NULL REFERENCES writes,
    offset INTEGER NOT NULL,
    old BLOB NOT NULL,
    new BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS roots (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (write INTEGER NOT NULL REFERENCES writes, mark TEXT, PRIMARY KEY (write, mark)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS codes (write INTEGER PRIMARY KEY REFERENCES writes, code TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS whole_undos (run INTEGER PRIMARY KEY REFERENCES runs);
CREATE TABLE IF NOT EXISTS offers (write INTEGER PRIMARY KEY REFERENCES writes);
CREATE TABLE IF NOT EXISTS failures (run INTEGER NOT NULL REFERENCES runs, path BLOB, PRIMARY KEY (run, path)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS writes_taken_back ON writes (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX IF NOT EXISTS writes_of_run ON writes (run);
CREATE INDEX IF NOT EXISTS writes_unsettled ON writes (id) WHERE status = 'intended';
CREATE INDEX IF NOT EXISTS writes_undone ON writes (old_sha256) WHERE status = 'undone';
CREATE INDEX IF NOT EXISTS writes_at ON writes (path);
CREATE INDEX IF NOT EXISTS splices_of_write ON splices (write);
CREATE INDEX IF NOT EXISTS writes_marked ON marks (mark);
PRAGMA user_version = {VERSION};
COMMIT;
"""


def prepare(db: sqlite3.Connection, path: str) -> None:
    """Set up a connection to the journal at `path`, make what it has not of the schema, and check what it holds.

    Raises:
        StateError: it holds a program, or was written by a newer orientd.
        sqlite3.DatabaseError: it is damaged.
    """
    db.isolation_level = "IMMEDIATE"
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA trusted_schema = OFF")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    held = dict(db.execute("SELECT name, type FROM sqlite_master"))
    if {"trigger", "view"} & set(held.values()):
        raise StateError(f"the journal {path} holds a program, and orientd puts none there: {MOVE}", Reason.JOURNAL_DOUBTED)
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise StateError(f"the journal {path} was written by a newer orientd: upgrade this one")
    if version == 0 or not held.keys() >= _ADDED:
        db.executescript(_SCHEMA)
        sync_folders(os.path.dirname(os.path.abspath(path)))
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise damage(verdict)
