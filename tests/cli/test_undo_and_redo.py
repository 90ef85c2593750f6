"""undo says what it takes back, can be tried, and never creeps to an earlier run; redo puts back what it took."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest
from support import sky_library


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def two_runs(orientd, photos, tmp_path):
    """Photos a and b were put right in run 1, c in run 2; gives what they were, and what they are."""
    for seed, name in enumerate("abc"):
        sky_library.draw(photos / name / "p.jpg", 90, seed=seed)
    old = contents(photos)
    for folders in (["a", "b"], ["c"]):
        assert orientd("scan", *(photos / name for name in folders), "--fix", "--report", tmp_path / "r.csv") == 0
    return old, contents(photos)


def test_without_a_number_and_a_terminal_it_only_says_what_it_would_take_back(orientd, two_runs, photos, capsys):
    _, new = two_runs
    capsys.readouterr()
    assert orientd("undo") == 2
    assert contents(photos) == new
    told = capsys.readouterr().out
    assert ("Run 2, begun 2" in told, f"scan {photos}/c --fix" in told, "1 photo" in told) == (True, True, True)
    assert "  orientd undo 2" in told.splitlines()


def test_two_in_a_row_take_back_one_run(orientd, two_runs, photos, capsys):
    old, new = two_runs
    assert orientd("undo", "--yes") == 0
    assert contents(photos) == new | {"c/p.jpg": old["c/p.jpg"]}
    capsys.readouterr()
    assert orientd("undo", "--yes") == 2
    assert contents(photos) == new | {"c/p.jpg": old["c/p.jpg"]}
    told = capsys.readouterr().err
    assert ("run 2, the last that wrote, was taken back already" in told, "orientd redo 3" in told) == (True, True)
    assert "orientd undo 1" in told
    assert orientd("undo", 1) == 0
    assert contents(photos) == old


def test_a_single_photo_of_an_earlier_run_does_not_make_that_the_last(orientd, two_runs, photos):
    old, new = two_runs
    assert orientd("undo", 2) == 0
    assert orientd("undo", "--file", photos / "a" / "p.jpg") == 0
    assert orientd("undo", "--yes") == 2
    assert contents(photos) == old | {"b/p.jpg": new["b/p.jpg"]}


def test_what_is_left_of_the_last_run_is_meant(orientd, two_runs, photos):
    old, new = two_runs
    assert orientd("undo", "--file", photos / "a" / "p.jpg") == 0
    assert orientd("undo", "--yes") == 0
    assert contents(photos) == old | {"b/p.jpg": new["b/p.jpg"]}, "run 2"


def test_the_rest_of_an_undo_that_was_cut_short_is_meant(orientd, photos, tmp_path):
    for seed, name in enumerate("ab"):
        sky_library.draw(photos / f"{name}.jpg", 90, seed=seed)
    old = contents(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "r.csv") == 0
    assert orientd("undo", "--file", photos / "b.jpg") == 0
    assert orientd("undo", "--yes") == 0
    assert contents(photos) == old


@pytest.mark.parametrize("which", [(), (1,), ("--file", "a")])
def test_it_can_be_tried(orientd, two_runs, photos, capsys, monkeypatch, which):
    _, new = two_runs
    monkeypatch.chdir(photos)
    capsys.readouterr()
    assert orientd("undo", *which, "--dry-run") == 0
    assert contents(photos) == new
    number = 2 if which == (1,) else 1
    assert f"{number} photo" in (told := capsys.readouterr().out)
    assert "Nothing was changed." in told
    assert orientd("history") == 0
    assert "orientd undo" not in capsys.readouterr().out


def test_a_trial_tells_what_would_be_left_alone(orientd, two_runs, photos, capsys):
    (photos / "a" / "p.jpg").write_bytes(b"edited")
    os.link(photos / "b" / "p.jpg", photos / "b" / "q.jpg")
    assert orientd("undo", 1, "--dry-run") == 3
    told = capsys.readouterr()
    assert ("it changed since orientd wrote it" in told.err, "hard links" in told.err) == (True, True)
    assert "0 photos would get their old bytes back" in told.out
    assert orientd("undo", 1, "--dry-run", "--hard-links") == 3
    assert "1 photo would get its old bytes back" in capsys.readouterr().out


def asked(arguments, answer, model):
    """The command at a terminal where somebody types an answer; its exit code and what it showed."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"ORIENTD_MODEL": str(model)}
    command = [sys.executable, "-m", "orientd", *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        os.write(ours, answer.encode() + b"\n")
        shown = b""
        with suppress(OSError):  # the terminal is closed at the end
            while part := os.read(ours, 4096):
                shown += part
    os.close(ours)
    return process.returncode, shown.decode()


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130)])
def test_at_a_terminal_it_asks(two_runs, photos, model, answer, code):
    old, new = two_runs
    ended, shown = asked(["undo"], answer, model)
    assert (ended, "Run 2, begun" in shown, "[y/N]" in shown) == (code, True, True)
    assert contents(photos) == (new | {"c/p.jpg": old["c/p.jpg"]} if answer == "y" else new)


METHODS = {
    "tag": ("a.jpg", "JPEG", ()),
    "pixels": ("a.png", "PNG", ("--method", "rotate")),
    "sidecar": ("a.bmp", "BMP", ("--sidecar", "write")),
}


@pytest.mark.parametrize(("name", "kind", "more"), METHODS.values(), ids=METHODS)
def test_redo_turns_again_what_undo_took_back_and_can_be_undone(orientd, photos, tmp_path, capsys, name, kind, more):
    sky_library.draw(photos / name, 90, by_tag=False, kind=kind)
    old = contents(photos)
    assert orientd("scan", photos, "--fix", *more, "--report", tmp_path / "r.csv") == 0
    new = contents(photos)
    assert new != old
    assert orientd("undo", 1) == 0
    assert contents(photos) == old
    for run in (1, 2):  # the run that was taken back, and the undo
        capsys.readouterr()
        assert orientd("redo", run) == 0
        assert contents(photos) == new
        assert "orientd undo " in capsys.readouterr().out
        assert orientd("verify") == 0
        assert orientd("redo", run) == 0
        assert "0 photos are turned again, 1 had been already" in capsys.readouterr().out
        assert orientd("undo", "--yes") == 0
        assert contents(photos) == old


def test_redo_puts_back_no_more_than_the_undo_took(orientd, two_runs, photos):
    old, new = two_runs
    assert orientd("undo", "--file", photos / "a") == 0  # run 3
    assert orientd("undo", 1) == 0  # run 4: the rest
    assert orientd("redo", 4) == 0
    assert contents(photos) == new | {"a/p.jpg": old["a/p.jpg"]}
    assert orientd("redo", 1) == 0
    assert contents(photos) == new


@pytest.mark.parametrize(("name", "kind", "more"), METHODS.values(), ids=METHODS)
def test_redo_leaves_alone_what_changed_since(orientd, photos, tmp_path, capsys, name, kind, more):
    sky_library.draw(photos / name, 90, by_tag=False, kind=kind)
    assert orientd("scan", photos, "--fix", *more, "--report", tmp_path / "r.csv") == 0
    assert orientd("undo", 1) == 0
    changed = photos / f"{name}.xmp" if "--sidecar" in more else photos / name
    changed.write_bytes(b"edited")
    assert orientd("redo", 1) == 3
    assert changed.read_bytes() == b"edited"
    assert "changed since" in capsys.readouterr().err


def test_redo_demands_what_was_taken_back(orientd, two_runs, photos, capsys):
    _, new = two_runs
    for arguments in ([], [1], [99]):
        assert orientd("redo", *arguments) == 2
    assert "nothing of run 1 was taken back" in capsys.readouterr().err
    assert contents(photos) == new
