"""orientd immich scan and what follows from it, through the real commands, on the fake server and on a real one."""

import base64
import hashlib
from functools import partial

import numpy as np
import pytest
from support import review_pages, sky_library
from support.server_photos import landscape, pixels

from orientd.errors import ExitCode
from orientd.reasons import Reason
from orientd.report import verdicts
from orientd.report.plan import read_rows
from orientd.report.verdicts import Choice
from orientd.write import keeping

NEEDS = (0, 90, 180, 270, 0)


@pytest.fixture
def scan(orientd, server, tmp_path):
    return partial(orientd, "immich", "scan", "--url", server.url, "--key-file", server.key_file, "--name", "home", "-q")


@pytest.fixture
def report(tmp_path):
    return str(tmp_path / "plan.csv")


def uploaded(server):
    """The id of each photo → the turn it needs, as it is shown."""
    return {server.upload(landscape(turn, seed), f"{seed}.jpg"): turn for seed, turn in enumerate(NEEDS)}


def by_id(report):
    return {path.split("/")[1]: row for path, row in sky_library.rows(report).items()}


def shows(server, photo, turn, before):
    """True if the preview is what it was before, turned."""
    now, was = pixels(server.preview(photo)).astype(int), pixels(before).astype(int)
    return np.abs(now - np.rot90(was, -turn // 90)).mean() < 6


def test_from_the_plan_to_the_undo(orientd, server, scan, report, tmp_path):
    needs = uploaded(server)
    before = {photo: (server.edits(photo), server.preview(photo), server.original(photo)) for photo in needs}
    assert scan("--report", report) == ExitCode.OK
    rows = by_id(report)
    assert {photo: int(row["turn"]) for photo, row in rows.items()} == needs
    assert {row["decision"] for row in rows.values() if row["turn"] != "0"} == {"fix"}
    assert set(sky_library.rows(report)) == {f"immich:home/{photo}/{seed}.jpg" for seed, photo in enumerate(needs)}
    assert {photo: server.edits(photo) for photo in needs} == {photo: held[0] for photo, held in before.items()}

    done = str(tmp_path / "done.csv")
    assert orientd("apply", report, "--report", done, "-q") == ExitCode.OK
    assert {row["outcome"] for row in by_id(done).values()} == {"fixed"}
    for photo, turn in needs.items():
        assert server.edits(photo) == ([{"action": "rotate", "parameters": {"angle": turn}}] if turn else [])
        assert shows(server, photo, turn, before[photo][1])
        assert server.original(photo) == before[photo][2]
    assert orientd("verify") == ExitCode.OK
    assert orientd("apply", report, "--report", done, "--overwrite", "-q") == ExitCode.OK
    assert {row["reason_code"] for row in by_id(done).values()} == {Reason.DONE_BEFORE}

    assert orientd("undo", "1", "--dry-run") == ExitCode.OK
    assert server.edits(list(needs)[1]) != []
    assert orientd("undo", "--yes") == ExitCode.OK
    server.until(lambda: all(server.preview(photo) == held[1] for photo, held in before.items()))
    assert all(server.edits(photo) == held[0] for photo, held in before.items())
    assert orientd("verify") == ExitCode.OK
    assert orientd("redo", "3") == ExitCode.OK
    assert all(len(server.edits(photo)) == bool(turn) for photo, turn in needs.items())


def test_with_fix_a_second_scan_judges_nothing(server, scan, report, monkeypatch):
    needs = uploaded(server)
    assert scan("--fix", "--report", report) == ExitCode.OK
    assert {photo: row["outcome"] for photo, row in by_id(report).items()} == {
        photo: "fixed" if turn else "" for photo, turn in needs.items()
    }
    from orientd.pipeline.immich.client import Client

    monkeypatch.setattr(Client, "preview", None)
    assert scan("--fix", "--report", report) == ExitCode.OK
    assert {row["decision"] for row in by_id(report).values()} == {"keep"}


def test_a_photo_that_was_edited_is_judged_and_turned_by_what_it_shows(orientd, server, scan, report):
    photo = server.upload(landscape(90))
    crop = {"action": "crop", "parameters": {"x": 60, "y": 20, "width": 200, "height": 300}}
    edits = [
        crop,
        {"action": "rotate", "parameters": {"angle": 180}},
        {"action": "mirror", "parameters": {"axis": "horizontal"}},
    ]
    server.edit(photo, edits)
    before = server.preview(photo)
    assert scan("--report", report) == ExitCode.OK
    turn = int(by_id(report)[photo]["turn"])
    assert (turn, by_id(report)[photo]["decision"]) == (90, "fix")
    assert orientd("apply", report, "-q", "--report", report.replace("plan", "done")) == ExitCode.OK
    assert server.edits(photo)[0] == crop
    assert server.edits(photo)[2] == edits[2]
    assert shows(server, photo, turn, before)
    assert orientd("undo", "--file", f"immich:home/{photo}/photo.jpg") == ExitCode.OK
    assert server.edits(photo) == edits
    server.until(lambda: server.preview(photo) == before)


def test_a_turn_that_is_there_is_added_up_and_may_leave_no_edit(orientd, server, scan, report):
    photo = server.upload(landscape(0))
    server.edit(photo, [{"action": "rotate", "parameters": {"angle": 90}}])
    assert scan("--fix", "--report", report) == ExitCode.OK
    assert (by_id(report)[photo]["outcome"], server.edits(photo)) == ("fixed", [])
    assert orientd("undo", "1") == ExitCode.OK
    assert server.edits(photo) == [{"action": "rotate", "parameters": {"angle": 90}}]


def test_what_changed_between_scan_and_apply_is_left_alone(orientd, server, scan, report, tmp_path):
    cropped, deleted, kept = (server.upload(landscape(90, seed), f"{seed}.jpg") for seed in range(3))
    assert scan("--report", report) == ExitCode.OK
    by_hand = [{"action": "crop", "parameters": {"x": 0, "y": 0, "width": 100, "height": 100}}]
    server.edit(cropped, by_hand)
    server.delete(deleted)
    done = str(tmp_path / "done.csv")
    assert orientd("apply", report, "-q", "--report", done) == ExitCode.INCOMPLETE
    found = {photo: (row["outcome"], row["reason_code"]) for photo, row in by_id(done).items()}
    assert found == {cropped: ("failed", "changed"), deleted: ("failed", "vanished"), kept: ("fixed", "")}
    assert server.edits(cropped) == by_hand


def test_what_was_changed_since_is_not_taken_back(orientd, server, scan, report):
    photo = server.upload(landscape(90))
    assert scan("--fix", "--report", report) == ExitCode.OK
    by_hand = [{"action": "rotate", "parameters": {"angle": 180}}]
    server.edit(photo, by_hand)
    assert orientd("undo", "1") == ExitCode.INCOMPLETE
    assert server.edits(photo) == by_hand


def test_what_somebody_turned_back_is_not_turned_again(orientd, server, scan, report):
    photo = server.upload(landscape(90))
    assert scan("--fix", "--report", report) == ExitCode.OK
    server.edit(photo, [])
    assert scan("--fix", "--report", report) == ExitCode.OK
    assert (by_id(report)[photo]["decision"], by_id(report)[photo]["reason_code"]) == ("skip", "taken_back")
    assert server.edits(photo) == []


def test_the_fingerprint_is_that_of_the_file_and_its_edits(server, scan, report):
    photo = server.upload(landscape(90))
    data = server.original(photo)
    assert scan("--report", report) == ExitCode.OK
    checksum = base64.b64encode(hashlib.sha1(data).digest()).decode()
    text = f'{{"checksum":"{checksum}","edits":[]}}'
    assert by_id(report)[photo]["sha256"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def decision(scan, report):
    """What another scan says of a photo, in a report of its own: the decision and the code of the reason."""

    def decision(photo, *more):
        path = report.replace("plan", "later")
        assert scan("--report", path, "--overwrite", *more) == ExitCode.OK
        return by_id(path)[photo]["decision"], by_id(path)[photo]["reason_code"]

    return decision


KEPT, OFFERED = ("keep", Reason.KEPT), ("fix", "")
CROP = {"action": "crop", "parameters": {"x": 60, "y": 20, "width": 200, "height": 300}}


def test_what_the_page_keeps_is_not_offered_again_and_nothing_local_is_read_for_that(server, scan, report, decision, monkeypatch):
    photo, other = server.upload(landscape(90)), server.upload(landscape(180, 1))
    assert scan("--report", report) == ExitCode.OK
    monkeypatch.setattr("orientd.write.keeping.read.read_whole", None)
    with review_pages.desk_of(report) as desk:
        number = next(number for number in range(2) if photo in desk.rows.base(number).path)
        desk.judge([number], Choice.KEEP, None, "page")
        assert (decision(photo), decision(photo, "--fix"), server.edits(photo)) == (KEPT, KEPT, [])
        assert len(server.edits(other)) == 1
        desk.take_back("page")
        assert decision(photo) == OFFERED


@pytest.mark.parametrize("lifted", ["by a verdict", "by offer", "by offer, under another name"])
def test_a_crop_does_not_void_what_a_person_said(orientd, server, scan, report, decision, lifted):
    photo = server.upload(landscape(90))
    assert scan("--report", report) == ExitCode.OK
    config = review_pages.rules().config
    keeping.save(config, report, [(read_rows(report)[0], Choice.KEEP, None)], "2026-11-29T12:00:00Z", pytest.fail)
    server.edit(photo, [CROP])
    assert decision(photo) == KEPT
    assert decision(photo, "--rescan") == KEPT
    later = report.replace("plan", "later")
    if lifted == "by a verdict":
        keeping.save(config, later, [(read_rows(later)[0], Choice.TURN, 90)], "2026-11-29T12:00:01Z", pytest.fail)
    else:
        name = "renamed.jpg" if "another" in lifted else "photo.jpg"
        assert orientd("offer", f"immich:home/{photo}/{name}") == ExitCode.OK
        assert verdicts.read(report) == {}
    assert decision(photo) == OFFERED
