"""What is read from a journal is trusted no further than it fits."""

import json

import pytest

from orientd.records import FileStat, Patch, Splice
from orientd.state.journal_rows import run_of, write_of

STAT = [1, 2, 30, 4, 1]
ROW = {
    "id": 1,
    "run": 1,
    "path": b"/photos/a.jpg",
    "format": "jpeg",
    "old_stat": json.dumps(STAT),
    "old_sha256": "a" * 64,
    "new_sha256": "b" * 64,
    "old_orientation": None,
    "new_orientation": 6,
    "turn": 90,
    "method": "tag",
    "mtime_ns": None,
    "temp": ".orientd-0123456789abcdef.tmp",
    "probabilities": "[]",
    "undoes": None,
    "status": "fixed",
    "reason": b"",
    "new_stat": None,
}
RUN = {"id": 1, "command": b"undo", "started_ns": 1, "finished_ns": None, "status": "done", "fixed": 0, "undone": 1, "failed": 0}
SPLICES = [(3, b"ab", b"cd"), (5, b"", b"new"), (28, b"xy", b"")]
LATE = b"%d" % 2**90
REASON = "should be|is no path|wrong kind|a change |is not a valid|to unpack|invalid literal"


def test_what_orientd_wrote_is_read():
    write = write_of(ROW, SPLICES, ["picture"])
    assert write.intent.patch == Patch(tuple(Splice(*splice) for splice in SPLICES))
    assert (write.intent.old_stat, write.new_stat, write.intent.marks) == (FileStat(*STAT), None, {"picture"})
    assert (write.intent.old_orientation, write.intent.new_orientation, write.intent.mtime_ns) == (None, 6, None)
    assert write_of(ROW | {"mtime_ns": LATE, "new_stat": json.dumps(STAT)}, SPLICES).intent.mtime_ns == 2**90
    assert (run_of(RUN).undone, run_of(RUN).finished_ns) == (1, None)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"path": b"photos/a.jpg"},
        {"path": b"/photos/../a.jpg"},
        {"path": b"/photos/a\0.jpg"},
        {"path": "/photos/a.jpg"},
        {"format": "gimp"},
        {"old_stat": json.dumps([1, 2, -30, 4, 1])},
        {"old_stat": json.dumps([1, 2, 30, 4, -1])},
        {"old_stat": json.dumps([1, 2, 30, 4])},
        {"old_stat": json.dumps([1, 2**64 + 1, 30, 4, 1])},
        {"old_stat": json.dumps([1, 2, 30, 2**99, 1])},
        {"old_stat": None},
        {"new_stat": "[]"},
        {"old_sha256": "a" * 63},
        {"new_sha256": "B" * 64},
        {"new_sha256": b"b" * 64},
        {"turn": None},
        {"turn": 2**63},
        {"turn": -(2**63) - 1},
        {"turn": 90.0},
        {"method": "paint"},
        {"mtime_ns": b"9" * 40},
        {"mtime_ns": b"soon"},
        {"mtime_ns": 1.5},
        {"temp": "../.orientd-0123456789abcdef.tmp"},
        {"temp": ".orientd-0123456789abcdef.tmp/x"},
        {"probabilities": "7"},
        {"undoes": "1"},
        {"status": "perhaps"},
        {"reason": None},
        {"id": None},
        {"run": b"1"},
    ],
    ids=str,
)
def test_a_write_that_no_orientd_noted_is_an_error(spoilt):
    with pytest.raises(ValueError, match=REASON):
        write_of(ROW | spoilt, [])


@pytest.mark.parametrize(
    "splices",
    [
        [(-1, b"a", b"b")],
        [(29, b"xy", b"")],
        [(31, b"", b"x")],
        [(3, b"ab", b"cd"), (4, b"a", b"b")],
        [(3, "a", b"b")],
        [(3, b"a", "b")],
        [(3, b"a", None)],
        [("3", b"a", b"b")],
        [(3, b"a")],
    ],
    ids=str,
)
def test_a_change_that_does_not_fit_its_file_is_an_error(splices):
    with pytest.raises(ValueError, match=REASON):
        write_of(ROW, splices)


@pytest.mark.parametrize("spoilt", [{"id": None}, {"fixed": "1"}, {"finished_ns": b"1"}, {"started_ns": 1.5}, {"command": 7}])
def test_a_run_that_no_orientd_noted_is_an_error(spoilt):
    with pytest.raises(ValueError, match=REASON):
        run_of(RUN | spoilt)
