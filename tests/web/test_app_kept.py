"""Photos that a person keeps, on the page: no later scan offers them, whatever happens between, until that is taken back."""

from pathlib import Path

import pytest
from support import report_rows, review_pages, sky_library
from support.report_rows import FOUND
from support.review_pages import client_of, desk_of
from support.reviewed_plan import client, plan, proposals, verdict

from orientd.report import verdicts
from orientd.report.plan import read_rows
from orientd.report.verdicts import Choice
from orientd.state.kept import Kept

__all__ = ["client", "plan"]  # fixtures


def test_what_is_kept_is_not_offered_by_the_next_scan_until_that_is_taken_back(client, orientd, photos, tmp_path):
    number = proposals(client)["001.jpg"]

    def decision():
        assert orientd("scan", photos, "-q", "--report", tmp_path / "next.csv", "--overwrite") == 0
        return sky_library.rows(tmp_path / "next.csv")[str(photos / "1" / "001.jpg")]["decision"]

    verdict(client, [number], "keep")
    assert decision() == "keep"
    client.post("/api/take-back")
    assert decision() == "fix"


def known_as_kept():
    with Kept(review_pages.rules().config.state_dir, pytest.fail) as kept:
        return {photo.path for photo in kept.photos()}


@pytest.fixture
def saved_only(plan):
    """Save verdicts beside the plan alone, as if orientd had died before it could note more: by the names of the photos."""

    def save(**choices):
        rows = {Path(row.path).stem: row for row in read_rows(str(plan))}
        said = (
            verdicts.PersonVerdict(rows[name[1:]].path, rows[name[1:]].sha256, Choice(choice), None, "2026-11-29T12:00:00Z")
            for name, choice in choices.items()
        )
        verdicts.append(str(plan), said)

    return save


def test_what_was_kept_just_before_a_crash_is_known_from_the_next_start_on(
    plan, orientd, photos, tmp_path, saved_only, monkeypatch
):
    saved_only(_001="keep", _003="accept", _005="skip")
    with desk_of(plan):
        pass
    assert orientd("scan", photos, "-q", "--report", tmp_path / "next.csv") == 0
    found = {Path(path).name: row["decision"] for path, row in sky_library.rows(tmp_path / "next.csv").items()}
    assert [found[f"00{number}.jpg"] for number in (1, 3, 5)] == ["keep", "fix", "fix"]
    with monkeypatch.context() as patched:
        patched.setattr("orientd.write.keeping.read.read_whole", None)  # what is known is not read again
        with desk_of(plan):
            pass
    assert orientd("offer", photos / "1" / "001.jpg") == 0
    with desk_of(plan):
        pass
    assert not known_as_kept(), "what was lifted stays so"


def test_what_was_kept_is_not_brought_back_where_the_same_bytes_are_accepted(orientd, photos, tmp_path):
    photo = sky_library.draw(photos / "a.jpg", 90)
    (photos / "copy.jpg").write_bytes(photo.read_bytes())
    plan = tmp_path / "plan.csv"
    assert orientd("scan", photos, "--report", plan, "-q") == 0
    with desk_of(plan) as desk:
        desk.judge([0], Choice.KEEP, None, "p")
        desk.judge([1], Choice.ACCEPT, None, "p")
    with desk_of(plan):
        assert not known_as_kept()


def test_a_plan_is_shown_though_what_is_kept_cannot_be_noted(plan, saved_only):
    saved_only(_001="keep")
    Path(review_pages.rules().config.state_dir, "kept.db").mkdir()
    told = []
    with desk_of(plan, notify=told.append) as desk:
        assert desk.listed({})["decided"] != []
    assert len(told) == 1
    assert "kept.db" in told[0]


def test_what_is_taken_back_of_a_photo_that_left_the_plan_concerns_no_other(client, orientd, plan, photos, tmp_path):
    number = proposals(client)
    last = Path(plan.read_text().splitlines()[-1].partition(",")[0]).name
    gone = next(name for name in number if name != last)
    for name in dict.fromkeys([last, gone]):
        verdict(client, [number[name]], "keep", page=name)
    lines = plan.read_text().splitlines()
    plan.write_text("\n".join(line for line in lines if gone not in line) + "\n")
    assert client.get("/api/state?since=0").json["changed"] is None
    told = client.post("/api/take-back", {"page": gone}).json
    assert (told["changed"], told["cards"]) == ([[number[gone], False]], [])
    assert orientd("scan", photos, "-q", "--report", tmp_path / "next.csv") == 0
    found = {Path(path).name: row["decision"] for path, row in sky_library.rows(tmp_path / "next.csv").items()}
    assert (found[last], found[gone]) == ("keep", "fix")


def test_keeping_reads_only_what_may_be_read(photos, tmp_path, monkeypatch):
    secret, read = sky_library.draw(tmp_path / "private" / "a.jpg"), []
    photos.mkdir()
    monkeypatch.setattr("orientd.write.keeping.remember_keep", lambda config, rows, *_: read.extend(row.path for row in rows))
    plan = report_rows.write(str(tmp_path / "plan.csv"), FOUND._replace(path=str(secret)))
    with desk_of(plan, photos) as desk, client_of(desk) as client:
        assert verdict(client, [0], "keep").json["changed"] == [[0, True]]
    with desk_of(plan, photos):
        assert read == []
    with desk_of(plan, tmp_path) as desk, client_of(desk) as client:
        assert read == [str(secret)], "what was not known yet is noted at the start"
        verdict(client, [0], "keep")
    assert read == [str(secret)] * 2
