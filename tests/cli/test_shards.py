"""A library judged in parts, as several machines would, and put together again."""

import errno
import json
import os
import shlex

import pytest
from support import raw_files, sky_library

from orientd.formats import sidecar
from orientd.library import walk
from orientd.library.paths import few


@pytest.fixture
def library(photos):
    """Photos of all decisions in many folders, with names that sort otherwise than they are parted."""
    sky_library.library(photos, 12)
    for number, name in enumerate(["b.jpg", "b/c.jpg", "b-c/d.jpg", "b/c/e.jpg", "é/f.jpg", "z/new\nline.jpg"]):
        sky_library.draw(photos / "deep" / name, (0, 90, 180, 270)[number % 4], seed=100 + number)
    (photos / "deep" / "broken.jpg").write_bytes(b"no photo")
    (photos / "deep" / "notes").write_bytes(b"no photo, and none promised")
    (photos / "z").mkdir()
    for name in ("deep/b/c/again.jpg", "0/again.jpg", "z/again.jpg", "z/again.dat0", "deep/twin.jpg"):
        os.link(photos / "deep" / "b" / "c.jpg", photos / name)
    os.symlink(photos / "deep" / "b.jpg", photos / "z" / "link.jpg")
    return photos


@pytest.fixture
def scan(orientd, tmp_path):
    """Scans by one machine and in parts, each with its own state; gives the merged and the whole plan."""

    def scanned(*arguments, of=3):
        whole, parts = tmp_path / "whole.csv", []
        assert orientd("scan", *arguments, "--report", whole, "--state-dir", tmp_path / "state") in (0, 3)
        for number in range(1, of + 1):
            parts.append(tmp_path / "parts" / f"{number}.csv")
            parts[-1].parent.mkdir(exist_ok=True)
            state = tmp_path / f"state-{number}"
            code = orientd("scan", *arguments, "--shard", f"{number}/{of}", "--report", parts[-1], "--state-dir", state)
            assert code in (0, 3)
        out = tmp_path / "plan.csv"
        assert orientd("plan", "merge", *reversed(parts), "--out", out, "--overwrite") in (0, 3)
        return out.read_bytes(), whole.read_bytes(), parts

    return scanned


@pytest.mark.parametrize("of", [1, 3, 8])
def test_merged_parts_are_the_plan_of_one_machine(scan, library, tmp_path, of):
    merged, whole, parts = scan(library, of=of)
    assert merged == whole
    paths = [path for part in parts for path in sky_library.rows(part)]
    assert len(paths) == len(set(paths)) > 20, "every file has one owner"
    assert set(sky_library.rows(tmp_path / "plan.csv")) <= set(paths)


def test_also_with_excludes_lists_and_several_roots(scan, library, tmp_path):
    listed = tmp_path / "list"
    names = ["deep/b.jpg", "gone/3.jpg", "1", "gone/1.jpg", "deep/b/c/gone.jpg", "z/again.jpg", "gone/2.jpg"]
    listed.write_bytes(b"\0".join(os.fsencode(library / name) for name in names))
    merged, whole, _ = scan(library / "deep" / "b", library / "deep", "--files-from", listed, "--exclude", "b-c")
    assert merged == whole
    assert whole.count(b"it is in the list, but not there") == 4
    assert b"b-c" not in whole


def test_also_where_much_of_it_was_known_before(orientd, scan, library, tmp_path):
    """As where a part was interrupted, or the library has grown."""
    listed = tmp_path / "list"
    listed.write_text("\n".join(f"{library}/gone/{name}.jpg" for name in (3, 1, 2, 1)))
    scan(library, "--files-from", listed)
    for seed, name in enumerate(["0/0.jpg", "deep/a.jpg", "deep/b/c/e-2.jpg", "z/0.jpg", "é/new.jpg"]):
        sky_library.draw(library / name, 90, seed=200 + seed)
    merged, whole, _ = scan(library, "--files-from", listed)
    fresh = tmp_path / "fresh.csv"
    assert orientd("scan", library, "--files-from", listed, "--report", fresh, "--state-dir", tmp_path / "no state") == 3
    assert merged == whole == fresh.read_bytes()
    assert whole.count(b"it is in the list, but not there") == 4


def test_a_part_of_which_rows_lie_elsewhere_is_told_so(orientd, scan, library, tmp_path, capsys):
    _, _, parts = scan(library)
    for number, part in enumerate(parts):
        copied(part, tmp_path / f"{number}.csv").with_name(f"{number}.csv.json").write_bytes(manifest(part, roots=["/elsewhere"]))
    capsys.readouterr()
    assert orientd("plan", "merge", *[tmp_path / f"{number}.csv" for number in range(3)], "--out", tmp_path / "no.csv") == 2
    assert "is below none of the folders that were scanned" in capsys.readouterr().err


def test_also_where_folders_cannot_be_listed(scan, library, monkeypatch):
    closed = [str(library / name) for name in ("1", "deep/b/c", "z")]
    listing = walk.listing

    def refusing(folder):
        if folder in closed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return listing(folder)

    monkeypatch.setattr(walk, "listing", refusing)
    merged, whole, _ = scan(library)
    assert merged == whole
    assert whole.count(b"the folder cannot be listed") == 3


def test_also_with_sidecars(scan, library):
    for name in ("deep/b/raw.dng", "0/raw.dng", "z/raw.dng"):
        (library / name).write_bytes(raw_files.MAKERS["dng"](raw_files.preview(90, 0), 1))
    (library / "z" / "raw.dng.xmp").write_bytes(sidecar.fresh(6))
    merged, whole, _ = scan(library, "--sidecar", "write")
    assert merged == whole
    assert whole.count(b"raw.dng,raw,") == 3
    assert whole.count(b",sidecar,") == 3


def test_what_a_person_took_back_is_left_alone_by_the_owner_of_the_journal(orientd, scan, library, tmp_path):
    _, _, parts = scan(library)
    plan, state = tmp_path / "plan.csv", ("--state-dir", tmp_path / "state")
    assert orientd("apply", plan, library, "--report", tmp_path / "done.csv", *state) == 0
    assert orientd("undo", "--file", library / "0", *state) == 0
    assert orientd("plan", "merge", *parts, "--out", tmp_path / "again.csv", *state) == 3
    before, after = sky_library.rows(plan), sky_library.rows(tmp_path / "again.csv")
    changed = {path for path in before if before[path] != after[path]}
    assert {row["reason_code"] for path, row in after.items() if path in changed} >= {"taken_back"}
    assert {path for path in changed if after[path]["reason_code"] == "taken_back"} == {
        path for path, row in before.items() if row["decision"] == "fix" and path.startswith(f"{library}/0/")
    }


def test_the_merged_plan_is_applied_as_printed(orientd, scan, library, tmp_path, capsys):
    _, _, parts = scan(library)
    capsys.readouterr()
    state = ("--state-dir", tmp_path / "the owner's")
    assert orientd("plan", "merge", *parts, "--out", tmp_path / "2.csv", *state) == 3
    assert f"apply {tmp_path}/2.csv {library}" in " ".join(capsys.readouterr().out.split())
    assert orientd("apply", tmp_path / "2.csv", library, "--report", tmp_path / "done.csv", *state) == 0
    assert sky_library.shown_turned(library / "deep" / "b" / "c.jpg") == 90  # several names: only listed
    assert sky_library.shown_turned(library / "deep" / "b-c" / "d.jpg") == 0


def test_it_is_applied_as_printed_also_after_a_scan_of_many_folders(orientd, scan, library, tmp_path, capsys):
    wrong = [path for path in sorted(library.rglob("*.jpg")) if path.is_file() and path.stat().st_nlink == 1]
    (tmp_path / "list").write_bytes(b"\0".join(map(os.fsencode, wrong)))
    _, whole, parts = scan("--files-from", tmp_path / "list")
    assert len(wrong) > 8
    state = ("--state-dir", tmp_path / "the owner's")
    capsys.readouterr()
    assert orientd("plan", "merge", *parts, "--out", tmp_path / "2.csv", *state) == 3
    printed = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  orientd apply"))
    _, command, *names = shlex.split(printed)
    assert len(names) <= 9
    assert orientd(command, *names, "--report", tmp_path / "done.csv", *state) == 0
    outcomes = [row["outcome"] for row in sky_library.rows(tmp_path / "done.csv").values()]
    assert outcomes == ["fixed"] * whole.count(b",fix,")


@pytest.mark.parametrize(
    ("paths", "most", "expected"),
    [
        (["/p/b", "/p/a"], 2, ["/p/a", "/p/b"]),
        (["/p/b", "/p/a", "/p/a/c/d", "/p/a b"], 3, ["/p/a", "/p/a b", "/p/b"]),
        (["/p/b/1", "/p/b/2", "/p/a", "/q"], 3, ["/p/a", "/p/b", "/q"]),
        (["/p/b/c/1", "/p/b/2", "/p/b/c", "/q"], 2, ["/p/b", "/q"]),
        (["/a", "/b", "/c/d"], 2, ["/"]),
        (["/", "/a"], 8, ["/"]),
        ([], 8, []),
    ],
)
def test_folders_are_given_up_for_those_above_until_they_are_few(paths, most, expected):
    assert list(few(paths, most)) == expected


def test_parts_that_do_not_belong_together_are_refused(orientd, scan, library, tmp_path, capsys):
    _, _, parts = scan(library)

    def refused(*given):
        capsys.readouterr()
        assert orientd("plan", "merge", *given, "--out", tmp_path / "no.csv") == 2
        assert not list(tmp_path.glob("no.csv*"))
        return capsys.readouterr().err

    assert "not all parts are there: to have them, scan with --shard 2/3, 3/3" in refused(parts[0])
    assert "are both part 1 of 3" in refused(parts[0], copied(parts[0], tmp_path / "copy.csv"), parts[2])
    assert "name the plans that scan --shard wrote" in refused(tmp_path / "whole.csv")
    assert "name the plans that scan --shard wrote" in refused(tmp_path / "nowhere.csv")
    for more, words in (
        (("--min-confidence", "0.9"), "is judged by differs"),
        (("--method", "rotate"), "a setting of the scan differs"),
        (("--exclude", "nothing"), "a setting of the scan differs"),
    ):
        other = tmp_path / "other.csv"
        assert orientd("scan", library, "--shard", "2/3", "--report", other, "--overwrite", *more) in (0, 3)
        assert words in refused(parts[0], other, parts[2])
    assert orientd("scan", library / "deep", "--shard", "2/3", "--report", other, "--overwrite") in (0, 3)
    assert "the folders that were scanned differs" in refused(parts[0], other, parts[2])
    for damaged in (
        b"[]",
        b"{}",
        b"{",
        manifest(parts[1], shard="2"),
        manifest(parts[1], shard=9),
        manifest(parts[1], roots=[1]),
        manifest(parts[1], places=[0]),
    ):
        copied(parts[1], other).with_name("other.csv.json").write_bytes(damaged)
        assert "is not what a scan with --shard leaves next to a plan" in refused(parts[0], other, parts[2])
    parts[1].write_bytes(parts[1].read_bytes().replace(b",fix,", b",keep,") + b"\n")
    assert "2.csv is not as the scan left it" in refused(*parts)


def manifest(part, **changed):
    return json.dumps(json.loads(part.with_name(part.name + ".json").read_bytes()) | changed).encode()


def copied(part, to):
    to.write_bytes(part.read_bytes())
    to.with_name(to.name + ".json").write_bytes(part.with_name(part.name + ".json").read_bytes())
    return to


def test_a_part_only_judges_and_says_what_it_is(orientd, library, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert orientd("scan", library, "--shard", "2/3", "--fix") == 2
    assert "--shard only judges" in capsys.readouterr().err
    assert orientd("scan", library, "--shard", "2/3", "--report", "-") == 2
    assert orientd("scan", library, "--shard", "2/3", "--only", "fix") == 2
    for wrong in ("3", "0/3", "4/3", "x/3", "1/0", "env/", "1/1000000"):
        assert orientd("scan", library, "--shard", wrong) == 2
        assert "write I/N with I from 1 to N" in capsys.readouterr().err
    capsys.readouterr()
    assert orientd("scan", library, "--shard", "2/3") in (0, 3)
    printed = capsys.readouterr().out
    assert "It is part 2/3 of a plan." in printed
    assert "orientd apply" not in printed
    said = json.loads((tmp_path / "orientd-shard-2-of-3.csv.json").read_text())
    assert (said["shard"], said["of"], said["roots"]) == (2, 3, [str(library)])
    assert "model_id=" in said["judged_by"]
    assert sum(said["counts"].values()) == len(sky_library.rows(tmp_path / "orientd-shard-2-of-3.csv"))


@pytest.mark.parametrize(
    ("shard", "environment", "meant"),
    [
        ("env", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "4", "COUNT": "4"}, "3-of-4"),
        ("env/4", {"SLURM_ARRAY_TASK_ID": "3"}, "3-of-4"),
        ("env/4", {"JOB_COMPLETION_INDEX": "3"}, "4-of-4"),
        ("env/4", {}, ""),
        ("env/4", {"SLURM_ARRAY_TASK_ID": "0"}, ""),
        ("env", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "3", "COUNT": "4"}, ""),
        ("env", {"JOB_COMPLETION_INDEX": "0"}, ""),
    ],
)
def test_the_part_is_taken_from_the_environment_when_asked_for(
    orientd, library, tmp_path, monkeypatch, shard, environment, meant
):
    for name, value in environment.items():
        monkeypatch.setenv(name if name != "COUNT" else "SLURM_ARRAY_TASK_COUNT", value)
    assert orientd("scan", library, "--shard", shard, "--report", tmp_path) in ((0, 3) if meant else (2,))
    assert [path.name for path in tmp_path.glob("orientd-*.csv")] == ([f"orientd-shard-{meant}.csv"] if meant else [])


def test_an_interrupted_part_leaves_no_manifest(orientd, library, tmp_path, monkeypatch):
    from contextlib import contextmanager

    from orientd.cli import scan as command

    @contextmanager
    def stopped():
        yield lambda: True

    monkeypatch.setattr(command, "stoppable", stopped)
    assert orientd("scan", library, "--shard", "1/3", "--report", tmp_path / "1.csv") == 130
    assert not list(tmp_path.glob("1.csv*"))
