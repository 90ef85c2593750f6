"""The routes with a real library behind them: what a page gets, what it may change, and what a hostile plan does not get."""

from pathlib import Path

import pytest
from support import report_rows, review_pages, sky_library
from support.report_rows import FOUND
from support.review_pages import client_of, desk_of, wait_for
from support.reviewed_plan import client, plan, proposals, verdict

from orientd.cli.kept_report import KeptReport
from orientd.report import verdicts
from orientd.web.desk import Desk

__all__ = ["client", "plan"]  # fixtures


def test_a_page_gets_what_it_shows(client):
    for path in ("/", "/static/review.js", "/static/review.css", "/static/icon.svg"):
        assert client.get(path).status == 200
    assert client.get("/").headers["content-type"].startswith("text/html")
    assert client.get("/static/review.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/static/grid.js").headers["content-security-policy"].startswith("default-src 'none'")
    found = client.get("/api/list").json
    assert [section["title"] for section in found["sections"]] == ["Proposals"]
    assert sorted(proposals(client)) == ["001.jpg", "003.jpg", "005.jpg", "007.jpg"]
    assert [name for _, name, count in found["folders"]] == sorted(
        {str(Path(path).parent) for path in sky_library.rows(found_plan(client))}
    )[:3]


def found_plan(client):
    return client.get("/api/state").json["plan"]


def test_photos_go_by_number_and_never_by_path(client, photos):
    number = proposals(client)["001.jpg"]
    answer = client.get(f"/photo/{number}/320")
    assert (answer.status, answer.headers["content-type"], answer.body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert answer.headers["cache-control"] == "no-store"
    for path in (
        f"/photo/{number}/321",
        "/photo/4000/320",
        f"/photo{photos}/0/000.jpg",
        "/photo/-1/320",
        f"/photo/{10**30}/320",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/api/nothing",
    ):
        assert client.get(path).status == 404, path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("verdict", {"numbers": "all", "choice": "accept"}),
        ("verdict", {"numbers": [0], "choice": "withdrawn"}),
        ("verdict", {"numbers": [0], "choice": "explode"}),
        ("verdict", {"numbers": [0], "choice": "turn", "turn": 45}),
        ("verdict", {"numbers": [0], "choice": "turn"}),
        ("verdict", {"numbers": list(range(30_000)), "choice": "keep"}),
        ("verdict", {}),
        ("accept", {"query": {"show": "everything"}, "above": 0}),
        ("accept", {"query": {"folder": "/etc"}, "above": 0}),
        ("accept", {"query": [], "above": 0}),
        ("apply", {"which": "accepted"}),
        ("undo", {"run": "x"}),
    ],
)
def test_what_cannot_be_understood_changes_nothing(client, plan, path, said):
    assert client.post(f"/api/{path}", said).status in (400, 409)
    assert client.ask("POST", f"/api/{path}", b"no JSON", review_pages.JSON).status == 400
    assert client.ask("POST", f"/api/{path}", b"[" * 100_000, review_pages.JSON).status == 400
    assert verdicts.read(str(plan)) == {}


def test_verdicts_are_counted_and_taken_back(client):
    number = proposals(client)["001.jpg"]
    told = verdict(client, [number]).json
    assert (told["changed"], told["accepted"], told["proposed"]) == ([[number, True]], 1, 4)
    assert told["cards"][0]["choice"] == "accept"
    assert client.get("/api/list").json["decided"] == [number]
    assert client.post("/api/take-back").json["changed"] == [[number, False]]
    assert client.post("/api/take-back").json["changed"] == []


def test_another_page_hears_of_it(client):
    number = proposals(client)["001.jpg"]
    version = client.get("/api/state").json["version"]
    verdict(client, [number], "skip", page="other")
    assert client.get(f"/api/state?since={version}").json["changed"] == [[number, False]]


def test_all_of_a_folder_or_above_a_confidence_are_accepted(client):
    folders = client.get("/api/list").json["folders"]
    told = client.post("/api/accept", {"query": {"folder": str(folders[1][0])}, "above": 0.5}).json
    inside = [name for name, number in proposals(client).items() if [number, True] in told["changed"]]
    assert len(inside) == folders[1][2] > 0
    assert client.post("/api/accept", {"query": {}, "above": 1.01}).json["changed"] == []
    assert len(client.post("/api/accept", {"query": {}, "above": 0}).json["changed"]) == 4 - len(inside)


def test_apply_changes_what_was_accepted_and_nothing_else_and_undo_gives_every_byte_back(client, plan, photos):
    before, number = sky_library.snapshot(photos), proposals(client)
    verdict(client, [number["001.jpg"]])
    verdict(client, [number["003.jpg"]], "keep")
    verdict(client, [number["005.jpg"]], "turn", 180)
    assert sky_library.snapshot(photos) == before
    assert client.post("/api/apply", {"which": "accepted", "count": 2}).status == 200
    job = wait_for(client)
    assert (job["kind"], job["fixed"], job["failed"], job["total"], job["run"]) == ("apply", 2, 0, 2, 1)
    after = sky_library.snapshot(photos)
    changed = {Path(path).name for path in before if before[path][0] != after[path][0]}
    assert changed == {"001.jpg", "005.jpg"}
    assert sky_library.shown_turned(photos / "1" / "001.jpg") == 0
    assert {card["done"] for card in client.get(f"/api/cards?n={number['001.jpg']},{number['005.jpg']}").json} == {"done"}
    assert client.get("/api/state").json["proposed"] == 1
    assert client.post("/api/undo", {"run": job["run"]}).status == 200
    job = wait_for(client)
    assert (job["kind"], job["fixed"], job["failed"]) == ("undo", 2, 0)
    assert {path: found[0] for path, found in sky_library.snapshot(photos).items()} == {
        path: found[0] for path, found in before.items()
    }
    assert client.get("/api/state").json["accepted"] == 2


def test_all_proposals_are_applied_but_for_those_kept_or_put_off(client, photos):
    number, before = proposals(client), sky_library.snapshot(photos)
    verdict(client, [number["001.jpg"]], "keep")
    verdict(client, [number["003.jpg"]], "skip")
    assert client.post("/api/apply", {"which": "all", "count": 2}).status == 200
    assert wait_for(client)["fixed"] == 2
    after = sky_library.snapshot(photos)
    assert {Path(path).name for path in before if before[path][0] != after[path][0]} == {"005.jpg", "007.jpg"}


def test_a_number_that_is_not_the_one_a_person_agreed_to_applies_nothing(client, photos):
    before = sky_library.snapshot(photos)
    assert client.post("/api/apply", {"which": "all", "count": 3}).status == 409
    assert client.post("/api/apply", {"which": "accepted", "count": 0}).status == 409
    assert client.post("/api/undo", {"run": 1}).status == 409
    assert sky_library.snapshot(photos) == before


def test_a_photo_that_changed_since_is_left_alone_and_says_so(client, photos):
    number, path = proposals(client)["001.jpg"], photos / "1" / "001.jpg"
    sky_library.draw(path, seed=99)
    client.get(f"/photo/{number}/320")
    (card,) = client.get(f"/api/cards?n={number}").json
    assert (card["done"], card["doneReason"]) == ("changed", "it changed since it was judged: scan again")
    assert client.get("/api/state").json["proposed"] == 3, "it is not counted any more"


def test_what_fails_is_named_with_its_reason(client, photos):
    number, path = proposals(client)["001.jpg"], photos / "1" / "001.jpg"
    verdict(client, [number])
    path.unlink()
    client.post("/api/apply", {"which": "accepted", "count": 1})
    job = wait_for(client)
    assert (job["fixed"], job["failed"], job["failures"][0][0]) == (0, 1, str(path))
    assert "vanished" in job["failures"][0][1]
    assert client.get(f"/api/cards?n={number}").json[0]["done"] == "failed"


def test_read_only_changes_no_photo(plan, photos):
    before = sky_library.snapshot(photos)
    with desk_of(plan, read_only=True) as desk, client_of(desk) as client:
        assert client.get("/api/state").json["readOnly"] is True
        assert verdict(client, [proposals(client)["001.jpg"]]).status == 200
        assert client.post("/api/apply", {"which": "accepted", "count": 1}).status == 403
        assert client.post("/api/undo", {"run": 1}).status == 403
        assert client.get("/api/state").json["job"] is None
    assert sky_library.snapshot(photos) == before


def test_what_an_earlier_run_did_is_known_at_the_next_start(plan, orientd):
    assert orientd("apply", plan, "-q", "--report", plan.with_name("done.csv")) == 0
    with desk_of(plan) as desk, client_of(desk) as client:
        assert client.get("/api/state").json["proposed"] == 0
        number = proposals(client)["001.jpg"]
        (card,) = client.get(f"/api/cards?n={number}").json
        assert (card["done"], card["run"], card["shown"]) == ("done", 1, 0)
        assert client.post("/api/undo", {"run": 1}).status == 200
        assert wait_for(client)["fixed"] == 4
        assert client.get("/api/state").json["proposed"] == 4


def test_a_hostile_plan_reads_and_writes_nothing_elsewhere(photos, tmp_path):
    """Named: what lies outside, by a link, by dots, a device, a name that is HTML."""
    secret = sky_library.draw(tmp_path / "private" / "a.jpg", 90)
    photos.mkdir()
    (photos / "link.jpg").symlink_to(secret)
    (photos / "folder").symlink_to(secret.parent)
    hostile = [
        str(secret),
        str(photos / "link.jpg"),
        str(photos / "folder" / "a.jpg"),
        f"{photos}/../private/a.jpg",
        "/dev/zero",
        "/etc/passwd",
        "<img src=x onerror=alert(1)>.jpg",
    ]
    before, mine = sky_library.snapshot(tmp_path / "private"), sky_library.snapshot(photos)
    digest = next(iter(before.values()))[0]
    rows = [FOUND._replace(path=path, sha256=digest, size=secret.stat().st_size) for path in hostile]
    with desk_of(report_rows.write(str(tmp_path / "plan.csv"), *rows), photos) as desk, client_of(desk) as client:
        numbers = client.get("/api/list").json["sections"][0]["numbers"]
        assert len(numbers) == len(hostile)
        for number in numbers:
            answer = client.get(f"/photo/{number}/1600")
            assert (answer.status, answer.headers["content-type"]) == (422, "text/plain; charset=utf-8")
            verdict(client, [number], "keep")
            verdict(client, [number], "turn", 270)
        client.post("/api/apply", {"which": "accepted", "count": len(hostile)})
        job = wait_for(client)
        assert (job["fixed"], job["failed"]) == (0, len(hostile))
        names = {card["name"] for card in client.get(f"/api/cards?n={','.join(map(str, numbers))}").json}
        assert "<img src=x onerror=alert(1)>.jpg" in names, "as text: the page makes no HTML of it"
    assert sky_library.snapshot(tmp_path / "private") == before
    assert sky_library.snapshot(photos) == mine


def test_without_folders_only_what_was_ever_scanned_is_shown(plan, tmp_path):
    stranger = sky_library.draw(tmp_path / "elsewhere" / "a.jpg")
    other = report_rows.write(
        str(tmp_path / "other.csv"),
        FOUND._replace(path=str(stranger)),
        FOUND._replace(path=str(tmp_path / "photos" / "1" / "001.jpg"), sha256="c" * 64),
    )
    with desk_of(other) as desk, client_of(desk) as client:
        assert [client.get(f"/photo/{number}/320").status for number in (0, 1)] == [422, 200]


def test_folders_are_scanned_first_with_progress(orientd, photos, tmp_path, monkeypatch):
    sky_library.library(photos)
    desk = Desk(review_pages.rules(photos))
    try:
        with client_of(desk) as client:
            assert client.get("/api/state").json == {"ready": False, "job": None}
            assert client.get("/api/list").json == {}
            desk.scan(KeptReport(str(tmp_path / "made.csv"), review_pages.rules().config.state_dir, None, overwrite=False))
            job = wait_for(client)
            assert (job["kind"], job["done"], job["found"], job["error"], job["total"]) == ("scan", 8, 4, "", 8)
            assert client.get("/api/state").json["plan"] == str(tmp_path / "made.csv")
            assert len(proposals(client)) == 4
    finally:
        desk.close()
    assert len(sky_library.rows(tmp_path / "made.csv")) == 8


def test_a_fault_is_told_without_what_it_was_about(client, monkeypatch):
    monkeypatch.setattr("orientd.web.desk.card", lambda *_: 1 / 0)
    answer = client.ask("GET", "/api/cards?n=0")
    assert answer.status == 500
    assert "ZeroDivisionError" in answer.json["error"]
