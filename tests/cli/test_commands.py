"""The whole program from its command line: scan, fix, apply, undo, and what a user can do wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import jpeg_files, noted_photos, sky_library

from orientd.orientation import TURNS
from orientd.witnesses import opened

HEADER = (
    "path,format,width,height,orientation,turn,confidence,p0,p90,p180,p270,views,decision,new_orientation,method,"
    "outcome,reason,size,mtime_ns,sha256,reason_code,evidence,decided_by,skew"
)


def test_the_judge_of_these_tests_sees_a_wrong_photo(tmp_path):
    for turn in TURNS:
        for by_tag in (True, False):
            assert sky_library.shown_turned(sky_library.draw(tmp_path / f"{turn}{by_tag}.jpg", turn, by_tag)) == turn


def test_a_dry_run_finds_what_is_wrong_and_changes_nothing(orientd, photos, tmp_path, capsys):
    needs = sky_library.library(photos)
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert sky_library.snapshot(photos) == before
    assert (tmp_path / "plan.csv").read_text().splitlines()[0] == HEADER
    found = sky_library.rows(tmp_path / "plan.csv")
    assert {path: int(row["turn"]) for path, row in found.items()} == needs
    assert {row["decision"] for path, row in found.items() if needs[path]} == {"fix"}
    assert {row["decision"] for path, row in found.items() if not needs[path]} == {"keep"}
    assert {row["outcome"] for row in found.values()} == {""}
    assert "4 photos are sideways or upside down. Nothing was changed." in capsys.readouterr().out


def test_fix_mends_and_undo_brings_back_every_byte(orientd, photos, tmp_path):
    needs = sky_library.library(photos)
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "fix.csv") == 0
    after = sky_library.snapshot(photos)
    assert {path for path in needs if after[path][0] != before[path][0]} == {path for path, turn in needs.items() if turn}
    assert {sky_library.shown_turned(path) for path in needs} == {0}
    assert all(after[path] == before[path] for path, turn in needs.items() if not turn)
    assert {row["outcome"] for path, row in sky_library.rows(tmp_path / "fix.csv").items() if needs[path]} == {"fixed"}
    assert orientd("undo", "--yes") == 0
    assert {path: entry[:3] for path, entry in sky_library.snapshot(photos).items()} == {p: e[:3] for p, e in before.items()}


@pytest.mark.parametrize("more", [(), ("--rescan",)])
def test_a_second_fix_changes_nothing(orientd, photos, tmp_path, more):
    sky_library.library(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--fix", *more, "--report", tmp_path / "2.csv") == 0
    assert sky_library.snapshot(photos) == before
    assert {row["decision"] for row in sky_library.rows(tmp_path / "2.csv").values()} == {"keep"}


def test_what_was_taken_back_is_left_alone_where_nobody_looks(orientd, photos, tmp_path):
    needs = sky_library.library(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert orientd("undo", "--yes") == 0
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--fix", "--unattended", "--report", tmp_path / "2.csv") == 0
    assert sky_library.snapshot(photos) == before
    reasons = {path: row["reason"] for path, row in sky_library.rows(tmp_path / "2.csv").items() if needs[path]}
    why = "run 1 made this change, which was taken back: left alone; to have it judged like any other: orientd offer"
    assert reasons == {path: f"{why} {path}" for path in reasons}


def test_apply_carries_out_the_rows_that_were_kept(orientd, photos, tmp_path):
    needs = sky_library.library(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    wrong = [path for path, turn in needs.items() if turn]
    lines = (tmp_path / "plan.csv").read_text().splitlines(keepends=True)
    (tmp_path / "plan.csv").write_text("".join(line for line in lines if not line.startswith(wrong[0])))
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert [path for path in needs if sky_library.shown_turned(path)] == [wrong[0]]
    assert set(sky_library.rows(tmp_path / "done.csv")) == set(wrong[1:])


def test_apply_refuses_a_photo_that_changed_since(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    before = sky_library.snapshot(photos)
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 3
    assert sky_library.snapshot(photos) == before
    row = sky_library.rows(tmp_path / "done.csv")[str(path)]
    assert (row["outcome"], "changed since" in row["reason"]) == ("failed", True)


def test_undo_refuses_a_photo_that_changed_since(orientd, photos, tmp_path, capsys):
    path = sky_library.draw(photos / "a.jpg", 90)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "fix.csv") == 0
    edited = path.read_bytes() + b"edited"
    path.write_bytes(edited)
    assert orientd("undo", "--yes") == 3
    assert path.read_bytes() == edited
    assert "changed since orientd wrote it" in capsys.readouterr().err.replace("\n", " ")


def test_one_bad_photo_is_a_row_and_not_the_end(orientd, photos, tmp_path):
    good = sky_library.draw(photos / "good.jpg", 180)
    (photos / "cut.jpg").write_bytes(good.read_bytes()[:-200])
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.jpg").write_text("not a photo")
    (photos / "notes.dat2").write_text("not a photo either, and not called one")
    (photos / "raw.cr2").write_bytes(b"II*\0\x10\0\0\0CR\x02\0" + bytes(64))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "report.csv") == 3
    found = {Path(path).name: row for path, row in sky_library.rows(tmp_path / "report.csv").items()}
    decisions = {name: row["decision"] for name, row in found.items()}
    assert decisions == {"good.jpg": "fix", "cut.jpg": "error", "empty.jpg": "error", "text.jpg": "error", "raw.cr2": "skip"}
    assert all(row["reason"] for name, row in found.items() if name != "good.jpg")
    assert sky_library.shown_turned(good) == 0


def test_containers_that_cannot_be_written_are_skipped_with_that_reason(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.bmp", 90, by_tag=False, kind="BMP")
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "report.csv") == 0
    row = sky_library.rows(tmp_path / "report.csv")[str(path)]
    assert (row["decision"], row["turn"]) == ("skip", "90")
    assert "cannot be written" in row["reason"]
    assert sky_library.snapshot(photos) == before


def test_a_name_of_any_bytes_survives_scan_apply_and_undo(orientd, photos, tmp_path):
    names = [b'comma, "quote".jpg', b"line\nbreak.jpg", b"caf\xe9.jpg", "ünïcödé.jpg".encode()]
    paths = [os.path.join(os.fsencode(photos), name) for name in names]
    before = {}
    for seed, path in enumerate(paths):
        draft = sky_library.draw(photos / "draft.jpg", 270, seed=seed)
        os.rename(draft, path)
        before[path] = Path(os.fsdecode(path)).read_bytes()
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert {sky_library.shown_turned(os.fsdecode(path)) for path in paths} == {0}
    assert orientd("undo", "--yes") == 0
    assert {path: Path(os.fsdecode(path)).read_bytes() for path in paths} == before


def test_hard_links_are_left_alone_unless_asked(orientd, photos, tmp_path):
    path = sky_library.draw(photos / "a.jpg", 90)
    os.link(path, tmp_path / "elsewhere.jpg")
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    row = sky_library.rows(tmp_path / "1.csv")[str(path)]
    assert (row["decision"], "hard links" in row["reason"]) == ("skip", True)
    assert sky_library.shown_turned(path) == 90
    assert orientd("scan", photos, "--fix", "--hard-links", "--report", tmp_path / "2.csv") == 0
    assert sky_library.shown_turned(path) == sky_library.shown_turned(tmp_path / "elsewhere.jpg") == 0


def test_the_answer_does_not_depend_on_batch_or_workers(orientd, photos, tmp_path):
    sky_library.library(photos, 30)
    reports = []
    for number, (workers, batch) in enumerate([(1, 1), (3, 4), (2, 64)]):
        report = tmp_path / f"{number}.csv"
        assert orientd("scan", photos, "--rescan", "--workers", workers, "--batch", batch, "--report", report) == 0
        reports.append(report.read_bytes())
    assert reports[0] == reports[1] == reports[2]


def test_a_second_scan_reads_no_photo(orientd, photos, tmp_path, monkeypatch):
    sky_library.library(photos)
    assert orientd("scan", photos, "--report", tmp_path / "1.csv") == 0
    monkeypatch.setattr("orientd.library.photo.read", lambda *_: pytest.fail("a known photo was read again"))
    assert orientd("scan", photos, "--report", tmp_path / "2.csv") == 0
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()
    with pytest.raises(BaseException, match="a known photo was read again"):
        orientd("scan", photos, "--min-confidence", 0.97, "--report", tmp_path / "3.csv")


@pytest.mark.parametrize("name", ["seen.db", "journal.db"])
def test_a_damaged_state_file_is_moved_aside(orientd, photos, tmp_path, name, capsys):
    needs = sky_library.library(photos)
    state = tmp_path / "state"
    state.mkdir()
    (state / name).write_bytes(b"this is not a database" * 500)
    assert orientd("scan", photos, "--fix", "--state-dir", state, "--report", tmp_path / "1.csv") == 0
    assert "damaged" in capsys.readouterr().err
    assert {sky_library.shown_turned(path) for path in needs} == {0}
    assert [path.read_bytes() for path in state.glob(f"{name}.damaged-*")] == [b"this is not a database" * 500]


def test_json_lines_say_the_same_as_the_report(orientd, photos, tmp_path, capsys):
    needs = sky_library.library(photos)
    assert orientd("scan", photos, "--json", "--report", tmp_path / "1.csv") == 0
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {m["path"]: m["turn"] for m in messages if m["message_type"] == "photo"}
    assert found == needs
    summary = messages[-1]
    assert (summary["message_type"], summary["fix"], summary["keep"], summary["exit_code"]) == ("summary", 4, 4, 0)


def test_exit_codes(orientd, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where reports go that are not told where
    sky_library.library(photos)
    assert orientd("scan", photos, "--exit-code", "--report", tmp_path / "1.csv") == 11
    assert orientd("scan", tmp_path / "nowhere") == 75
    assert orientd("scan", photos, "--min-confidence", 7) == 2
    assert orientd("scan") == 2
    assert orientd("undo", "--yes") == 2
    assert orientd("scan", photos, "--model", tmp_path / "no.onnx") == 1
    assert orientd("frobnicate") == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_scan_that_cannot_start_leaves_no_report(orientd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert orientd("scan", tmp_path / "nowhere") == 75
    assert list(tmp_path.iterdir()) == []


def test_two_writers_never_run_at_once(orientd, photos, tmp_path, capsys):
    from orientd.state.lock import Lock

    path = sky_library.draw(photos / "a.jpg", 90)
    with Lock(str(tmp_path / "state")):
        assert orientd("scan", photos, "--fix", "--state-dir", tmp_path / "state", "--report", tmp_path / "1.csv") == 4
    assert f"process {os.getpid()}" in capsys.readouterr().err
    assert sky_library.shown_turned(path) == 90


def test_the_smaller_commands(orientd, photos, tmp_path, capsys):
    path = sky_library.draw(photos / "a.jpg", 90)
    assert orientd("history") == 0
    assert "Nothing has been written yet" in capsys.readouterr().out
    assert orientd("inspect", path) == 0
    assert "decision: fix 90°" in capsys.readouterr().out
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert orientd("history") == 0
    assert "orientd scan" in capsys.readouterr().out.replace("\n", " ")
    assert orientd("status") == 0
    assert "photos fixed" in capsys.readouterr().out
    assert orientd("doctor") == 0
    assert orientd("completion", "bash") == 0
    assert "_ORIENTD_COMPLETE" in capsys.readouterr().out
    (photos / "text.jpg").write_text("no photo")
    assert orientd("inspect", photos / "text.jpg") == 3


def test_inspect_tells_how_the_camera_says_that_it_was_held(orientd, photos, capsys):
    path = photos / "a.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    for vector, words in (
        ((0, 1, -1, 1, 0, 1), "camera sensor: upright with orientation 6"),
        ((0, 1, 0, 1, -1, 1), "camera sensor: the camera was held flat"),
    ):
        path.write_bytes(noted_photos.jpeg(noted_photos.Taken(model="iPhone\x1b[1m", note=noted_photos.apple(*vector))))
        assert orientd("inspect", path) == 0
        told = capsys.readouterr().out
        assert "camera: Apple iPhone\\x1b[1m; program: 17.6.1" in told
        assert words in told
    path.write_bytes(noted_photos.jpeg(noted_photos.Taken("NIKON CORPORATION", "NIKON D90", "")))
    assert orientd("inspect", path) == 0
    told = capsys.readouterr().out
    assert "\ncamera: NIKON D90\n" in told
    assert "sensor" not in told
    path.write_bytes(jpeg_files.picture())
    assert orientd("inspect", path) == 0
    assert "camera" not in capsys.readouterr().out


def test_the_doctor_names_a_witness_that_is_damaged(orientd, capsys, monkeypatch):
    assert orientd("doctor") == 0
    assert re.search(r"✓ +witnesses +pages, faces, people, surroundings, things", capsys.readouterr().out)
    monkeypatch.setitem(opened.MODELS, "faces", (opened.Faces, {"faces": "0" * 64}))
    assert orientd("doctor") == 0
    assert re.search(r"– +witnesses +orientd judges without its witness 'faces'", capsys.readouterr().out)


def test_the_doctor_names_what_is_missing(orientd, tmp_path, capsys):
    assert orientd("doctor", "--model", tmp_path / "none.onnx") == 1
    assert "none.onnx cannot be read" in " ".join(capsys.readouterr().out.split())


def test_every_command_lists_the_exit_codes(orientd, capsys):
    for command in ("scan", "apply", "undo", "history", "status", "doctor", "inspect"):
        assert orientd(command, "--help") == 0
        assert "130  interrupted" in capsys.readouterr().out


def start(*arguments, model):
    """The command as a process; what it tells is kept in so small a pipe that it cannot run far ahead of who reads it."""
    environment = os.environ | {"ORIENTD_MODEL": str(model), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "orientd", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "pipesize": 4096, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment, **pipes, text=True)


def test_an_interrupted_scan_leaves_whole_files_and_a_partial_report(photos, tmp_path, model, orientd):
    needs = sky_library.library(photos, 240)
    old = sky_library.snapshot(photos)
    process = start("scan", photos, "--fix", "--json", "--batch", 4, "--report", tmp_path / "1.csv", model=model)
    for line in process.stdout:
        if json.loads(line).get("outcome") == "fixed":
            process.send_signal(signal.SIGINT)
            break
    output = process.communicate(timeout=600)[0]
    assert process.returncode == 130
    assert json.loads(output.splitlines()[-1])["message_type"] == "summary"
    done = {path for path, row in sky_library.rows(tmp_path / "1.csv.partial").items() if row["outcome"] == "fixed"}
    assert 0 < len(done) < 120
    assert {path for path, entry in sky_library.snapshot(photos).items() if entry[0] != old[path][0]} == done
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "2.csv") == 0
    assert {sky_library.shown_turned(path) for path in needs} == {0}


@pytest.mark.slow
def test_kill_9_at_random_moments_leaves_every_photo_old_or_new(photos, tmp_path, model, orientd):
    """The real command is killed again and again until the library is mended; `ORIENTD_KILLS` says how often at most."""
    needs = sky_library.library(photos, 240)
    old = {path: Path(path).read_bytes() for path in needs}
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    shutil.copytree(photos, tmp_path / "copy")
    random = __import__("random").Random(5)
    new = mended_copy(orientd, photos, tmp_path, needs)
    kills = int(os.environ.get("ORIENTD_KILLS", "15"))
    for _ in range(kills):
        process = start("scan", photos, "--fix", "-q", "--report", tmp_path / "run.csv", model=model)
        time.sleep(random.uniform(0.2, 1.5))
        process.kill()
        process.communicate()
        for path in needs:
            assert Path(path).read_bytes() in (old[path], new[path]), f"{path} is neither old nor new"
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "last.csv") == 0
    assert {path: Path(path).read_bytes() for path in needs} == new
    assert orientd("status") == 0


def mended_copy(orientd, photos, tmp_path, needs):
    """What the library must hold once all is mended; the library itself is as it was afterwards."""
    state = tmp_path / "other-state"
    assert orientd("scan", photos, "--fix", "--state-dir", state, "--report", tmp_path / "copy.csv") == 0
    new = {path: Path(path).read_bytes() for path in needs}
    shutil.rmtree(photos)
    shutil.copytree(tmp_path / "copy", photos)
    return new
