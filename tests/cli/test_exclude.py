"""What is to be left out is left out, however it is named, and everybody is told."""

import json
import shutil

import pytest
from support import sky_library


@pytest.fixture
def library(photos):
    """Photos sideways or upside down: two in folders to be protected, one beside them."""
    for name in ("protected/a.jpg", "deep/protected/b.jpg", "free/c.jpg"):
        sky_library.draw(photos / name, 90, seed=len(name))
    return photos


@pytest.fixture
def scan(orientd, library, tmp_path, monkeypatch):
    """Puts right what is not left out, from the folder above the library; the names of what was written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = sky_library.snapshot(library)

    def scanned(*more, roots=(library,), code=0):
        assert orientd("scan", "--fix", "--report", tmp_path / "1.csv", *more, *roots) == code
        after = sky_library.snapshot(library)
        return {path.removeprefix(f"{library}/") for path in before if after[path] != before[path]}

    return scanned


BOTH = {"free/c.jpg", "deep/protected/b.jpg"}


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("{library}/protected", BOTH),
        ("{library}/protected/", BOTH),
        ("{library}//protected/a.jpg", BOTH),
        ("{library}/*/protected", {"free/c.jpg", "protected/a.jpg"}),
        ("~/photos/protected", BOTH),
        ("./photos/protected", BOTH),
        ("photos/protected", BOTH),
        ("photos/../photos/protected", BOTH),
        ("protected/a.jpg", BOTH),
        ("/protected", BOTH),
        ("./protected", BOTH),
        ("protected", {"free/c.jpg"}),
        ("protected/", {"free/c.jpg"}),
        ("**/protected/**", {"free/c.jpg"}),
        ("deep/**/b.jpg", {"free/c.jpg", "protected/a.jpg"}),
        ("**/protected/a.*", BOTH),
        ("deep/*.jpg", {"free/c.jpg", "protected/a.jpg"}),
    ],
)
def test_a_path_or_a_pattern_leaves_out_what_it_names(scan, library, capsys, pattern, written):
    assert scan("--exclude", pattern.format(library=library)) == written
    assert "left nothing out" not in capsys.readouterr().err


def test_a_path_holds_through_a_link_and_with_brackets_in_its_name(scan, library, tmp_path):
    (tmp_path / "link").symlink_to(library)
    shutil.copytree(library / "free", library / "deep [2020]")
    scan("--exclude", "link/protected", "--exclude", f"{library}/deep [2020]")
    assert sky_library.rows(tmp_path / "1.csv").keys() == {f"{library}/{name}" for name in BOTH}


def test_a_folder_named_is_left_out_if_a_path_excludes_it(scan, library, capsys):
    assert scan("--exclude", library / "protected", roots=[library / "protected", library / "free"]) == {"free/c.jpg"}
    assert f"Not looked at: 1 excluded ({library}/protected)." in capsys.readouterr().out


def test_a_pattern_that_fits_nothing_is_told(scan, capsys):
    assert scan("--exclude", "protcted", "--exclude", "free", "--exclude", "*.tmp", "--exclude", "/nowhere/protected")
    told = capsys.readouterr().err
    assert "exclude protcted: it left nothing out" in told
    assert "exclude /nowhere/protected: it left nothing out" in told
    assert "exclude *.tmp: it left nothing out" in told
    assert "exclude free" not in told


def test_what_would_be_passed_over_anyway_fits_all_the_same(scan, library, capsys):
    (library / "notes.tmp").touch()
    (library / "@eaDir").mkdir()
    scan("--exclude", "*.tmp", "--exclude", "@eaDir")
    assert "left nothing out" not in capsys.readouterr().err


def test_what_the_rule_of_before_left_out_still_is_and_a_warning_says_so(scan, capsys):
    assert scan("--exclude", "d*/b.jpg", "--exclude", "protected") == {"free/c.jpg"}
    assert "the rule of before" not in capsys.readouterr().err, "the folder is left out by the other pattern"
    assert scan("--exclude", "d*/b.jpg", "--exclude", "free") == {"free/c.jpg", "protected/a.jpg"}
    assert "exclude d*/b.jpg: " in (told := capsys.readouterr().err)
    assert "deep/protected/b.jpg is left out only by the rule of before version 0.4" in told


def test_what_is_no_pattern_is_refused(orientd, library, capsys):
    assert orientd("scan", "--exclude", "a\\", library) == 2
    assert "'a\\\\' is no pattern" in capsys.readouterr().err


def test_a_file_of_patterns(scan, orientd, library, tmp_path, capsys):
    (tmp_path / "left-out").write_text("# not ours\n\n*.jpg\n!c.jpg\n")
    assert scan("--exclude-file", "left-out") == {"free/c.jpg"}
    assert orientd("scan", "--exclude-file", "nowhere", library) == 2
    assert "nowhere cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("marker", "written"),
    [
        ("protected/.orientd-ignore", BOTH),
        (".orientd-ignore", set()),
        (".orientd-ignore:*.jpg\n!c.jpg\n", {"free/c.jpg"}),
        (".orientd-ignore:/protected\n", BOTH),
        ("deep/.orientd-ignore:# all of it\n", {"free/c.jpg", "protected/a.jpg"}),
        ("deep/.orientd-ignore:protected/b.jpg\n", {"free/c.jpg", "protected/a.jpg"}),
        ("deep/.orientd-ignore:a.jpg\n", BOTH | {"protected/a.jpg"}),
        ("../.orientd-ignore", set()),
    ],
)
def test_a_marker_in_the_library(scan, library, marker, written):
    name, _, text = marker.partition(":")
    (library / name).write_text(text)
    assert scan() == written


def test_a_marker_that_cannot_be_read_protects_its_folder(scan, library):
    (library / "protected" / ".orientd-ignore").symlink_to("nowhere")
    assert scan() == BOTH


def test_the_nearest_marker_decides(scan, library):
    (library / ".orientd-ignore").write_text("a.jpg\nb.jpg\n")
    (library / "protected" / ".orientd-ignore").write_text("!a.jpg\n")
    assert scan() == {"free/c.jpg", "protected/a.jpg"}


@pytest.mark.parametrize("by", ["marker", "configuration", "environment"])
def test_what_is_excluded_is_not_applied(orientd, library, tmp_path, monkeypatch, by):
    assert orientd("scan", "--report", tmp_path / "plan.csv", library) == 0
    settings = tmp_path / "orientd.yaml"
    settings.write_text(f"exclude: ['{library}/protected']\n" if by == "configuration" else "")
    if by == "marker":
        (library / "protected" / ".orientd-ignore").touch()
    if by == "environment":
        monkeypatch.setenv("ORIENTD_EXCLUDE", str(library / "protected"))
    for folders in ((), (library,), (library / "protected", library)):
        assert orientd("apply", "--config", settings, "--report", tmp_path / "done.csv", tmp_path / "plan.csv", *folders) == 3
        done = sky_library.rows(tmp_path / "done.csv")
        failed = {path: (row["reason_code"], row["reason"]) for path, row in done.items() if row["outcome"] == "failed"}
        (found,) = failed.items()
        assert found[0] == str(library / "protected" / "a.jpg")
        assert found[1][0] == "excluded"
        assert ".orientd-ignore" in found[1][1] or f"the pattern {library}/protected" in found[1][1]
        (tmp_path / "done.csv").unlink()


def test_the_summary_says_what_was_not_looked_at(orientd, library, tmp_path, capsys):
    for name in (".trash", "@eaDir", "#recycle", "Old.photoslibrary"):
        shutil.copytree(library / "free", library / name)
    for number in range(4):
        shutil.copytree(library / "free", library / f".h{number}")
    options = ("--report", tmp_path / "1.csv", "--exclude", "protected", library)
    assert orientd("scan", *options) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Not looked at: 2 excluded (protected), 5 hidden (.h" in told
    assert ", …), 2 of network drives and bins (" in told
    assert "1 kept by photo programs for themselves (Old.photoslibrary)." in told
    assert orientd("scan", "--json", *options) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["left_out"] == {"excluded": 2, "hidden": 5, "drive": 2, "bundle": 1}


@pytest.mark.parametrize("name", ["exclude", "libraries"])
def test_several_in_one_text_are_refused(orientd, library, tmp_path, capsys, monkeypatch, name):
    (tmp_path / "orientd.yaml").write_text(f"{name}: 'protected, free'\n")
    assert orientd("scan", "--config", tmp_path / "orientd.yaml", library) == 2
    assert f"{name}: is one text, got 'protected, free': write several as a list" in capsys.readouterr().err
    monkeypatch.setenv(f"ORIENTD_{name.upper()}", "a,b")
    assert orientd("scan", library) == 2
    assert f"ORIENTD_{name.upper()}: is one text" in capsys.readouterr().err
    (tmp_path / "orientd.yaml").write_text(f"{name}: ['Smith, John', b]\n")
    monkeypatch.setenv(f"ORIENTD_{name.upper()}", "Smith, John:")
    assert orientd("scan", "--config", tmp_path / "orientd.yaml", "--report", tmp_path / "1.csv", library) == 0
