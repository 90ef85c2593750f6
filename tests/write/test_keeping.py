"""What a person said of photos: what apply makes of it, and that what is to stay as it is is not offered again."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from support import sky_library

from orientd import formats
from orientd.config import load
from orientd.errors import StateError
from orientd.reasons import Reason
from orientd.records import Format
from orientd.report.plan import read_plan, read_rows
from orientd.report.verdicts import Choice, path_for, read
from orientd.state.kept import Kept, KeptPhoto
from orientd.write import keeping

WHEN = "2026-11-29T12:00:00Z"


@pytest.fixture
def scan(orientd, photos, tmp_path):
    """What a scan says of photos, by name: the outcome or else the decision."""

    def scan(*more):
        assert orientd("scan", photos, "--report", tmp_path / "r.csv", *more) == 0
        return {Path(path).name: row["outcome"] or row["decision"] for path, row in sky_library.rows(tmp_path / "r.csv").items()}

    return scan


@pytest.fixture
def say(tmp_path):
    """Save verdicts on photos of the last report, by name."""

    def say(choice, *names, turn=None, plan=None):
        plan = str(plan or tmp_path / "r.csv")
        rows = [row for row in read_rows(plan) if Path(row.path).name in names]
        assert len(rows) == len(names)
        keeping.save(config(), plan, [(row, choice, turn) for row in rows], WHEN, pytest.fail)

    return say


def config():
    return load(None, os.environ, {})


def rated(path):
    """What a program does that notes a rating: other bytes, the same picture."""
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xfe\0\x06five" + data[2:])


def store(path, orientation):
    data = path.read_bytes()
    path.write_bytes(formats.plan(Format.JPEG, data, orientation).apply(data))


def test_apply_does_what_was_said(orientd, photos, scan, say, tmp_path):
    for seed, name in enumerate("abcde"):
        sky_library.draw(photos / f"{name}.jpg", 90, seed=seed)
    sky_library.draw(photos / "upright.jpg", 0, seed=9)
    (photos / "broken.jpg").write_bytes((photos / "a.jpg").read_bytes()[:200])
    assert orientd("scan", photos, "--report", tmp_path / "r.csv") == 3
    say(Choice.ACCEPT, "a.jpg")
    say(Choice.KEEP, "b.jpg")
    say(Choice.TURN, "c.jpg", "upright.jpg", turn=270)
    say(Choice.SKIP, "d.jpg")
    say(Choice.KEEP, "e.jpg")
    say(Choice.WITHDRAWN, "e.jpg")
    say(Choice.TURN, "broken.jpg", turn=90)
    (tmp_path / "r.csv").rename(tmp_path / "plan.csv")
    Path(path_for(str(tmp_path / "r.csv"))).rename(path_for(str(tmp_path / "plan.csv")))
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    shown = {name: sky_library.shown_turned(photos / f"{name}.jpg") for name in ("a", "b", "c", "d", "e", "upright")}
    assert shown == {"a": 0, "b": 90, "c": 180, "d": 0, "e": 0, "upright": 90}
    done = {Path(path).name: row for path, row in sky_library.rows(tmp_path / "done.csv").items()}
    assert {name for name, row in done.items() if row["decided_by"] == "person"} == {"a.jpg", "c.jpg", "upright.jpg"}
    assert {row["outcome"] for row in done.values()} == {"fixed"}


def test_an_unsure_photo_that_is_accepted_gets_its_best_turn(orientd, photos, scan, say, tmp_path):
    sky_library.draw(photos / "a.jpg", 180)
    assert scan("--min-confidence", "1") == {"a.jpg": "unsure"}
    assert read_plan(str(tmp_path / "r.csv")) == []
    say(Choice.ACCEPT, "a.jpg")
    assert orientd("apply", tmp_path / "r.csv", "--report", tmp_path / "done.csv") == 0
    assert sky_library.shown_turned(photos / "a.jpg") == 0


@pytest.mark.parametrize("sure", [True, False])
def test_what_is_kept_is_not_offered_again_under_any_name_until_it_is_offered(orientd, photos, scan, say, tmp_path, sure):
    more = () if sure else ("--min-confidence", "1")
    before = "fix" if sure else "unsure"
    photo = sky_library.draw(photos / "a.jpg", 90, seed=1)
    sky_library.draw(photos / "b.jpg", 90, seed=2)
    assert scan(*more) == {"a.jpg": before, "b.jpg": before}
    say(Choice.KEEP, "a.jpg")
    both = {"a.jpg": "keep", "b.jpg": before}
    assert scan(*more) == scan("--rescan", *more) == scan("--unattended", *more) == both
    row = sky_library.rows(tmp_path / "r.csv")[str(photo)]
    assert (row["decided_by"], row["reason_code"], row["turn"]) == ("person", Reason.KEPT, "0")
    assert row["reason"] == f"kept as it is, as a person said; to have it judged like any other: orientd offer {photo}"
    moved = photo.rename(photos / "c.jpg")
    assert scan(*more) == {"b.jpg": before, "c.jpg": "keep"}
    rated(moved)
    assert scan(*more) == scan(*more) == {"b.jpg": before, "c.jpg": "keep"}
    assert orientd("offer", moved) == 0
    assert scan(*more) == {"b.jpg": before, "c.jpg": before}
    assert orientd("offer", moved) == 2


def test_a_scan_that_fixes_leaves_it_alone(photos, scan, say):
    sky_library.draw(photos / "a.jpg", 90)
    scan()
    say(Choice.KEEP, "a.jpg")
    assert scan("--fix") == {"a.jpg": "keep"}
    assert sky_library.shown_turned(photos / "a.jpg") == 90


@pytest.mark.parametrize("choice", [Choice.WITHDRAWN, Choice.ACCEPT, Choice.SKIP])
def test_another_verdict_lifts_it(photos, scan, say, choice):
    photo = sky_library.draw(photos / "a.jpg", 90)
    scan()
    say(Choice.KEEP, "a.jpg")
    assert scan() == {"a.jpg": "keep"}
    rated(photo)
    assert scan() == {"a.jpg": "keep"}
    say(choice, "a.jpg")
    assert scan() == {"a.jpg": "fix"}


def test_shown_otherwise_it_is_another_question(photos, scan, say):
    photo = sky_library.draw(photos / "a.jpg", 90)
    scan()
    say(Choice.KEEP, "a.jpg")
    store(photo, 6)
    assert scan() == {"a.jpg": "fix"}
    store(photo, 8)
    assert scan() == {"a.jpg": "keep"}, "as it was when that was said"


def test_another_photo_under_its_name_is_judged(photos, scan, say):
    sky_library.draw(photos / "a.jpg", 90, seed=1)
    scan()
    say(Choice.KEEP, "a.jpg")
    sky_library.draw(photos / "a.jpg", 90, seed=2)
    assert scan() == {"a.jpg": "fix"}


def test_an_offer_of_a_folder_withdraws_the_verdicts_too(orientd, photos, scan, say, tmp_path, capsys):
    for seed, name in enumerate("ab"):
        sky_library.draw(photos / "album" / f"{name}.jpg", 90, seed=seed)
    sky_library.draw(photos / "c.jpg", 90, seed=7)
    scan()
    say(Choice.KEEP, "a.jpg", "b.jpg", "c.jpg")
    assert orientd("offer", photos / "album") == 0
    assert "2 photos are judged like any other" in capsys.readouterr().out
    assert {Path(path).name for path, _ in read(str(tmp_path / "r.csv"))} == {"c.jpg"}
    assert [Path(row.path).name for row in read_plan(str(tmp_path / "r.csv"))] == ["a.jpg", "b.jpg"]
    assert scan() == {"a.jpg": "fix", "b.jpg": "fix", "c.jpg": "keep"}


def test_an_offer_withdraws_no_other_verdict(orientd, photos, scan, say, tmp_path):
    photo = sky_library.draw(photos / "a.jpg", 90)
    (photos / "copy.jpg").write_bytes(photo.read_bytes())
    scan()
    say(Choice.TURN, "copy.jpg", turn=180)
    say(Choice.KEEP, "a.jpg")
    assert orientd("offer", photo) == 0
    assert [(Path(one.path).name, one.choice) for one in read(str(tmp_path / "r.csv")).values()] == [("copy.jpg", Choice.TURN)]


def test_an_unsure_photo_is_left_alone_by_a_scan_that_fixes(photos, scan, say):
    for seed, name in enumerate("ab"):
        sky_library.draw(photos / f"{name}.jpg", 90, seed=seed)
    scan()
    say(Choice.KEEP, "a.jpg")
    assert scan("--fix", "--min-confidence", "1") == {"a.jpg": "keep", "b.jpg": "unsure"}
    assert sky_library.shown_turned(photos / "b.jpg") == 90


def test_a_photo_that_is_gone_is_known_by_its_path(orientd, photos, scan, say):
    photo = sky_library.draw(photos / "a.jpg", 90)
    scan()
    say(Choice.KEEP, "a.jpg")
    data = photo.read_bytes()
    photo.unlink()
    assert orientd("offer", photo) == 0
    photo.write_bytes(data)
    assert scan() == {"a.jpg": "fix"}


def test_an_offer_lifts_it_though_the_plan_cannot_be_written(orientd, photos, scan, say, tmp_path, capsys):
    photo = sky_library.draw(photos / "a.jpg", 90)
    scan()
    say(Choice.KEEP, "a.jpg")
    verdicts = Path(path_for(str(tmp_path / "r.csv")))
    verdicts.unlink()
    verdicts.mkdir()
    assert orientd("offer", photo) == 0
    assert "r.csv.verdicts cannot be read" in capsys.readouterr().err
    verdicts.rmdir()
    assert scan() == {"a.jpg": "fix"}


def test_what_cannot_be_read_any_more_is_known_by_its_bytes(photos, scan, say):
    photo = sky_library.draw(photos / "a.jpg", 90)
    scan()
    data = photo.read_bytes()
    photo.unlink()
    say(Choice.KEEP, "a.jpg")
    photo.write_bytes(data)
    assert scan() == {"a.jpg": "keep"}


def test_a_photo_kept_by_its_sidecar_is_known_by_its_bytes_and_how_it_is_shown(photos, scan, say):
    sky_library.draw(photos / "a.bmp", 90, by_tag=False, kind="BMP")
    assert scan("--sidecar", "write") == {"a.bmp": "fix"}
    say(Choice.KEEP, "a.bmp")
    assert scan("--sidecar", "write", "--fix") == {"a.bmp": "keep"}


def test_every_picture_is_compared_once(photos, scan, say, monkeypatch):
    for seed, name in enumerate("abc"):
        sky_library.draw(photos / f"{name}.jpg", 90, seed=seed)
    scan()
    say(Choice.KEEP, "a.jpg")
    looked, really = [], keeping._picture
    monkeypatch.setattr(keeping, "_picture", lambda row: looked.append(Path(row.path).name) or really(row))
    for _ in range(3):
        assert scan() == {"a.jpg": "keep", "b.jpg": "fix", "c.jpg": "fix"}
    assert looked == ["b.jpg", "c.jpg"]


def test_nothing_is_made_in_the_state_folder_before_something_is_kept(photos, scan, say):
    sky_library.draw(photos / "a.jpg", 90)
    scan()
    say(Choice.WITHDRAWN, "a.jpg")
    assert not Path(config().state_dir, "kept.db").exists()


def test_a_damaged_memory_is_told_and_begun_anew(tmp_path):
    photo, told = KeptPhoto("/a.jpg", "ab" * 32, 1, "picture 1", ""), []
    with Kept(tmp_path, pytest.fail) as kept:
        kept.add([photo])
    (tmp_path / "kept.db").write_bytes(b"no database" * 1000)
    with Kept(tmp_path, told.append) as kept:
        assert not kept.holds(photo.sha256, None, str)
        kept.add([photo])
        assert kept.holds(photo.sha256, None, str)
    assert len(told) == 1
    assert "is kept as" in told[0]
    assert (tmp_path / "kept.db").stat().st_mode & 0o777 == 0o600


def test_one_of_a_newer_version_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "kept.db") as db:
        db.execute("PRAGMA user_version = 2")
    db.close()
    with Kept(tmp_path, pytest.fail) as kept, pytest.raises(StateError, match="newer orientd"):
        kept.add([KeptPhoto("/a.jpg", "ab" * 32, 1, "", "")])


def test_several_pages_keep_at_once(tmp_path):
    def work(who):
        with Kept(tmp_path, pytest.fail) as kept:
            for number in range(30):
                kept.add([KeptPhoto(f"/{who}/{number}\udcff", f"{who:032x}{number:032x}", 1, "", "")])

    pages = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for page in pages:
        page.start()
    for page in pages:
        page.join()
    with Kept(tmp_path, pytest.fail) as kept:
        assert len({photo.path for photo in kept.photos()}) == 120
