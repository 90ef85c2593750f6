"""Scanning what stands in a list."""

import io
import os
import sys
from types import SimpleNamespace

import pytest
from support import sky_library


@pytest.fixture
def library(photos):
    for name in ("a.jpg", "b.jpg", "new\nline.jpg", "deep/c.jpg", "deep/private/d.jpg", "X.photoslibrary/e.jpg"):
        sky_library.draw(photos / name, 90, seed=len(name))
    return photos


@pytest.fixture
def scan(orientd, library, tmp_path, monkeypatch):
    """Scans a list; the decision and the code of the reason for each row, by its path in the library."""
    monkeypatch.chdir(library)

    def scanned(text, *more, code=0, file=tmp_path / "list"):
        if file == "-":
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
        else:
            file.write_bytes(text)
        assert orientd("scan", "--files-from", file, "--report", tmp_path / "1.csv", *more) == code
        rows = sky_library.rows(tmp_path / "1.csv")
        return {os.path.relpath(path, library): row["decision"] + row["reason_code"] for path, row in rows.items()}

    return scanned


def test_paths_by_line_or_parted_by_nul_from_a_file_or_a_pipe(scan, library, tmp_path):
    lines = f"a.jpg\n\n{library}/deep\n./a.jpg\n".encode()
    for file in (tmp_path / "list", "-"):
        assert scan(lines, file=file) == {"a.jpg": "fix", "deep/c.jpg": "fix", "deep/private/d.jpg": "fix"}
        assert scan(b"new\nline.jpg\0b.jpg\0", file=file) == {"new\nline.jpg": "fix", "b.jpg": "fix"}
    assert scan(b"a.jpg\n", library / "deep" / "private") == {"a.jpg": "fix", "deep/private/d.jpg": "fix"}


def test_what_is_not_there_or_belongs_to_another_is_a_row(scan):
    found = scan(b"gone.jpg\nX.photoslibrary/e.jpg\na.jpg\n", "--fix", code=3)
    assert found == {"gone.jpg": "errorvanished", "X.photoslibrary/e.jpg": "skipothers_library", "a.jpg": "fix"}


def test_every_name_on_a_path_counts_for_exclude(scan, library):
    listed = b"a.jpg\ndeep/c.jpg\ndeep/private/d.jpg\n"
    assert scan(listed, "--exclude", "private") == {"a.jpg": "fix", "deep/c.jpg": "fix"}
    assert scan(listed, "--exclude", "deep/c.jpg") == {"a.jpg": "fix", "deep/private/d.jpg": "fix"}
    assert scan(listed, "--exclude", "[ab].*") == {"deep/c.jpg": "fix", "deep/private/d.jpg": "fix"}
    (library / "deep" / ".orientd-ignore").touch()
    assert scan(listed) == {"a.jpg": "fix"}


def test_a_list_may_be_empty(scan):
    assert scan(b"", "--fix") == {}


def test_what_was_listed_may_be_applied(scan, orientd, library, tmp_path):
    scan(b"deep/c.jpg\n")
    assert orientd("apply", "--report", tmp_path / "2.csv", tmp_path / "1.csv") == 0
    assert sky_library.shown_turned(library / "deep" / "c.jpg") == 0


def test_one_of_both_must_be_named(orientd, tmp_path, capsys):
    assert orientd("scan") == 2
    assert "name a PATH, or a list of them with --files-from." in capsys.readouterr().err
    assert orientd("scan", "--files-from", tmp_path / "nowhere") == 2
    assert "nowhere cannot be read" in capsys.readouterr().err
