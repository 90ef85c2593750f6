"""What a dry run says while another orientd puts photos right."""

import os
import subprocess
import sys

import pytest
from support import sky_library

from orientd.cli.session import Session


@pytest.mark.parametrize("method", ["tag", "rotate"])
@pytest.mark.parametrize("mtime", ["shift", "keep"])
def test_a_photo_put_right_meanwhile_was_not_taken_back(orientd, photos, tmp_path, monkeypatch, capsys, method, mtime):
    for number in range(6):
        sky_library.draw(photos / f"{number}.jpg", 90 if number else 0, seed=number)
    add, done = Session.add, []

    def fix_meanwhile(session, row):
        if not done:
            more = ["--fix", "--method", method, "--mtime", mtime, "--report", tmp_path / "fixed.csv", photos]
            command = [sys.executable, "-m", "orientd", "scan", *more]
            done.append(subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True))
        add(session, row)

    monkeypatch.setattr(Session, "add", fix_meanwhile)
    assert orientd("scan", "--report", tmp_path / "dry.csv", photos) == 0
    assert done
    assert "5 photos were sideways or upside down: 5 fixed." in done[0].stdout
    rows = list(sky_library.rows(tmp_path / "dry.csv").values())
    told = {(row["decision"], row["reason_code"], row["reason"]) for row in rows[1:]}
    assert told == {("skip", "done_before", "run 1 fixed it while this one was looking")}
    assert "taken back" not in capsys.readouterr().out
    assert {sky_library.shown_turned(path) for path in photos.iterdir()} == {0}
