"""A trial is not punished for good: who may turn again what was taken back, and how that is lifted."""

import pytest
from support import sky_library

from orientd import formats
from orientd.orientation import from_turn, inverse
from orientd.records import Format


@pytest.fixture
def scan(orientd, photos, tmp_path):
    """What a scan says of photos, by name: the outcome, or the decision if nothing was done."""

    def scan(*more):
        assert orientd("scan", photos, "--report", tmp_path / "r.csv", *more) == 0
        rows = sky_library.rows(tmp_path / "r.csv").items()
        return {path.removeprefix(f"{photos}/"): row["outcome"] or row["decision"] for path, row in rows}

    return scan


@pytest.fixture
def tried(photos, scan):
    """Two photos that were put right in run 1."""
    for seed, name in enumerate("ab"):
        sky_library.draw(photos / f"{name}.jpg", 90, seed=seed)
    assert scan("--fix") == {"a.jpg": "fixed", "b.jpg": "fixed"}


def both(word):
    return {"a.jpg": word, "b.jpg": word}


def test_a_run_that_was_taken_back_is_judged_again_by_who_looks(orientd, tried, scan, photos, tmp_path, capsys):
    assert orientd("undo", 1) == 0
    assert "orientd offer 2" in (told := capsys.readouterr().out)
    assert "A scan that you start judges again what was taken back" in told
    assert scan("--unattended") == scan("--unattended", "--fix") == both("skip")
    assert scan() == both("fix")
    assert orientd("apply", tmp_path / "r.csv", "--report", tmp_path / "d.csv") == 0
    assert orientd("undo", "--yes") == 0
    assert scan("--fix") == both("fixed")


@pytest.mark.parametrize("what", ["1", "2", "photos", "photos/a.jpg", "./photos/"])
def test_who_works_unattended_waits_for_an_offer(orientd, tried, scan, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    assert orientd("undo", 1) == 0
    assert orientd("offer", what) == 0
    assert scan("--unattended", "--fix") == (both("fixed") if "a.jpg" not in what else {"a.jpg": "fixed", "b.jpg": "skip"})


def test_a_single_photo_is_remembered_by_all_until_it_is_offered(orientd, tried, scan, photos, capsys):
    assert orientd("undo", "--file", photos / "a.jpg") == 0
    assert "is left alone from now on, by every scan" in capsys.readouterr().out
    assert scan("--fix") == scan("--fix", "--rescan") == {"a.jpg": "skip", "b.jpg": "keep"}
    assert orientd("offer", photos / "a.jpg") == 0
    assert scan("--fix") == {"a.jpg": "fixed", "b.jpg": "keep"}


def test_what_was_offered_and_is_taken_back_anew_is_remembered_anew(orientd, tried, scan, photos):
    for _ in range(2):
        assert orientd("undo", "--file", photos / "a.jpg") == 0
        assert scan("--fix")["a.jpg"] == "skip"
        assert orientd("offer", photos / "a.jpg") == 0
        assert scan("--fix")["a.jpg"] == "fixed"


def test_the_printed_reason_lifts_it(orientd, tried, scan, photos, tmp_path):
    assert orientd("undo", "--file", photos / "a.jpg") == 0
    assert scan("--fix")["a.jpg"] == "skip"
    reason = sky_library.rows(tmp_path / "r.csv")[str(photos / "a.jpg")]["reason"]
    *_, command = reason.partition("orientd ")
    assert orientd(*command.split()) == 0
    assert scan("--fix")["a.jpg"] == "fixed"


@pytest.mark.parametrize("moved", [False, True])
def test_a_photo_turned_back_by_hand_is_remembered_by_all_until_it_is_offered(orientd, tried, scan, photos, moved):
    path = photos / "a.jpg"
    data = path.read_bytes()
    path.write_bytes(formats.plan(Format.JPEG, data, inverse(from_turn(90))).apply(data) + b"edited")
    if moved:
        path = path.rename(photos / "c.jpg")
    assert scan("--fix") == {path.name: "skip", "b.jpg": "keep"}
    assert orientd("offer", path) == 0
    assert scan("--fix") == {path.name: "fixed", "b.jpg": "keep"}


def test_a_photo_that_stands_as_it_was_put_right_is_not_offered_with_its_folder(orientd, tried, scan, photos):
    """Else nobody would know it any more once its owner turns it back."""
    assert orientd("undo", "--file", photos / "a.jpg") == 0
    assert orientd("offer", photos) == 0
    path = photos / "b.jpg"
    data = path.read_bytes()
    path.write_bytes(formats.plan(Format.JPEG, data, inverse(from_turn(90))).apply(data) + b"edited")
    assert scan("--fix") == {"a.jpg": "fixed", "b.jpg": "skip"}


@pytest.mark.parametrize("named", [False, True])
def test_another_method_is_another_question(orientd, photos, scan, named):
    path = sky_library.draw(photos / "a.png", 90, by_tag=False, kind="PNG")
    assert scan("--fix") == {"a.png": "fixed"}
    assert orientd("undo", *(["--file", path] if named else [1])) == 0
    assert scan("--fix", "--unattended") == {"a.png": "skip"}
    assert scan("--fix", "--unattended", "--method", "rotate") == {"a.png": "fixed"}


@pytest.mark.parametrize("named", [False, True])
def test_sidecars_go_by_the_same_rules(orientd, photos, scan, named):
    path = sky_library.draw(photos / "a.bmp", 90, by_tag=False, kind="BMP")
    more = ("--sidecar", "write", "--fix")
    assert scan(*more) == {"a.bmp": "fixed"}
    assert orientd("undo", *(["--file", path] if named else [1])) == 0
    assert scan(*more, "--unattended") == {"a.bmp": "skip"}
    if named:
        assert scan(*more) == {"a.bmp": "skip"}
        assert orientd("offer", path) == 0
    assert scan(*more) == {"a.bmp": "fixed"}


def test_nothing_to_offer_is_told(orientd, tried, photos, tmp_path, capsys):
    other = sky_library.draw(tmp_path / "other" / "c.jpg", 90, seed=7)
    for what in (1, 9, photos, photos / "a.jpg", other, tmp_path / "nowhere.jpg"):
        assert orientd("offer", what) == 2
        assert "was taken back" in capsys.readouterr().err
    assert orientd("offer") == 2
