"""JSON lines as programs read them that are not Python."""

import base64
import csv
import io
import json
import os

import pytest
from support import sky_library

from orientd.report.json_lines import JsonLines


def printed(text):
    """Each line as JavaScript and jq read it: every number is a float, and no text holds a lone surrogate."""
    for line in text.splitlines():
        assert not any("\ud800" <= char <= "\udfff" for char in json.dumps(json.loads(line), ensure_ascii=False))
        yield json.loads(line, parse_int=lambda number: int(float(number)))


@pytest.mark.parametrize("more", [(), ("--sidecar", "write")])
def test_a_plan_made_of_json_is_carried_out(orientd, photos, tmp_path, capsys, more):
    kind, name = ("GIF", "g.gif") if more else ("JPEG", "a.jpg")
    path = sky_library.draw(photos / name, 90, kind=kind, by_tag=not more)
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    assert orientd("scan", "--json", "--report", tmp_path / "1.csv", *more, photos) == 0
    row = next(line for line in printed(capsys.readouterr().out) if line["message_type"] == "photo")
    assert row["mtime_ns"] == "1700000000123456789"
    for time in (row["mtime_ns"], "1700000000123456800", ""):
        with (tmp_path / "plan.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [name for name in row if name != "message_type"], extrasaction="ignore")
            writer.writeheader()
            writer.writerow(row | {"mtime_ns": time})
        assert orientd("apply", "--report", tmp_path / f"{time}done.csv", tmp_path / "plan.csv", photos) == 0
        done = sky_library.rows(tmp_path / f"{time}done.csv")[str(path)]
        assert (done["outcome"], done["reason"]) == ("fixed", "")
        assert orientd("undo", "--file", path) == 0
        os.utime(path, ns=(0, 1_700_000_000_123_456_789))


def test_a_photo_that_was_only_touched_is_the_one_that_was_judged(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    os.utime(path)
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert sky_library.shown_turned(path) == 0


@pytest.mark.parametrize("command", ["scan", "verify"])
def test_bytes_that_are_not_utf8_stand_in_a_key_of_their_own(orientd, photos, tmp_path, capsys, command):
    names = (b"\xe9t\xe9.jpg", "é \ufffd.jpg".encode())
    paths = [sky_library.draw(photos / os.fsdecode(name), 90, seed=len(name)) for name in names]
    if command == "verify":
        assert orientd("scan", "--fix", "-q", "--report", tmp_path / "1.csv", photos) == 0
        capsys.readouterr()
        assert orientd("verify", "--json") == 0
    else:
        assert orientd("scan", "--json", "--report", tmp_path / "1.csv", photos) == 0
    rows = {row["path"]: row for row in printed(capsys.readouterr().out) if row["message_type"] in ("photo", "file")}
    odd, plain = rows[f"{photos}/\ufffdt\ufffd.jpg"], rows[str(paths[1])]
    assert base64.b64decode(odd["path_b64"]) == os.fsencode(paths[0])
    assert "path_b64" not in plain


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_line_is_printed_that_is_no_json(number):
    out = io.StringIO()
    with pytest.raises(ValueError, match="JSON compliant"):
        JsonLines(out).write("status", {"done": [number]})
    assert out.getvalue() == ""
