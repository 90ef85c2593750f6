"""What runs behind the page: one job at a time, what is said meanwhile, and how it is stopped."""

import threading
from pathlib import Path

import pytest
from support import review_pages, sky_library
from support.review_pages import wait_for
from support.reviewed_plan import client, plan, proposals, verdict

from orientd.state.lock import Lock

__all__ = ["client", "plan"]  # fixtures


def test_the_state_folder_is_held_only_while_photos_are_written(client, plan):
    config = review_pages.rules().config
    verdict(client, [proposals(client)["001.jpg"]])
    with Lock(config.state_dir):
        client.post("/api/apply", {"which": "accepted", "count": 1})
        assert "another orientd" in wait_for(client)["error"]
    assert client.post("/api/apply", {"which": "accepted", "count": 1}).status == 200
    assert wait_for(client)["fixed"] == 1
    with Lock(config.state_dir):
        pass


def test_one_job_at_a_time(client, monkeypatch):
    going, may_end = threading.Event(), threading.Event()

    def apply(*_):
        going.set()
        may_end.wait(60)

    monkeypatch.setattr("orientd.web.jobs.apply", apply)
    client.post("/api/apply", {"which": "all", "count": 4})
    assert going.wait(60)
    assert client.post("/api/apply", {"which": "all", "count": 4}).status == 409
    assert verdict(client, [proposals(client)["001.jpg"]]).status == 200, "verdicts go on meanwhile"
    may_end.set()
    assert wait_for(client)["error"] == ""


@pytest.fixture
def after_the_first(monkeypatch):
    """Apply waits once it has turned its first photo: `wait()` until then, and `go_on()`."""
    from orientd.web import jobs

    class After:
        turned, told = threading.Event(), threading.Event()

        def wait(self):
            assert self.turned.wait(60)

        def go_on(self):
            self.told.set()

    def note(progress, path, status, reason):
        noted(progress, path, status, reason)
        after.turned.set()
        assert after.told.wait(60)

    after, noted = After(), jobs.Progress.add
    monkeypatch.setattr(jobs.Progress, "add", note)
    return after


def turned_since(photos, before):
    after = sky_library.snapshot(photos)
    return {Path(path).name for path in before if before[path][0] != after[path][0]}


@pytest.mark.parametrize(("choice", "turn"), [("keep", None), ("skip", None), ("turn", 180)])
@pytest.mark.parametrize("which", ["accepted", "all"])
def test_what_is_said_while_apply_runs_counts_for_photos_whose_turn_has_not_come(
    client, photos, after_the_first, choice, turn, which
):
    before, number = sky_library.snapshot(photos), proposals(client)
    verdict(client, list(number.values()))
    client.post("/api/apply", {"which": which, "count": 4})
    after_the_first.wait()
    (first,) = turned_since(photos, before)
    second, *others = (name for name in number if name != first)
    assert verdict(client, [number[second]], choice, turn).status == 200
    after_the_first.go_on()
    job = wait_for(client)
    assert turned_since(photos, before) == {first, *others}
    assert (job["error"], job["fixed"], job["failed"], job["done"]) == ("", 3, 0, 4)
    assert job["notices"] == [
        "left alone, as something else was said of them, or the plan was written anew, before their turn came: 1"
    ]
    cards = client.get(f"/api/cards?n={','.join(map(str, number.values()))}").json
    assert {card["name"] for card in cards if card["done"] == "done"} == {first, *others}
    assert client.get("/api/state").json["accepted"] == (choice == "turn"), "to be applied another time"


def test_what_is_taken_back_while_apply_runs_is_not_turned(client, photos, after_the_first):
    before, number = sky_library.snapshot(photos), proposals(client)
    for name in number:
        verdict(client, [number[name]], page=name)
    client.post("/api/apply", {"which": "accepted", "count": 4})
    after_the_first.wait()
    (first,) = turned_since(photos, before)
    second, *others = (name for name in number if name != first)
    client.post("/api/take-back", {"page": second})
    after_the_first.go_on()
    assert wait_for(client)["fixed"] == 3
    assert turned_since(photos, before) == {first, *others}


def test_a_photo_that_left_the_plan_while_apply_runs_is_not_turned(client, plan, photos, after_the_first):
    before, number = sky_library.snapshot(photos), proposals(client)
    verdict(client, list(number.values()))
    client.post("/api/apply", {"which": "accepted", "count": 4})
    after_the_first.wait()
    (first,) = turned_since(photos, before)
    lines = plan.read_text().splitlines()
    plan.write_text("\n".join([lines[0], *(line for line in lines if first in line)]) + "\n")
    after_the_first.go_on()
    assert wait_for(client)["fixed"] == 1
    assert turned_since(photos, before) == {first}


def test_a_run_is_stopped_after_the_photo_in_hand(client, monkeypatch):
    from orientd.web import jobs

    def note(progress, path, status, reason):
        noted(progress, path, status, reason)
        client_asks.set()
        asked.wait(60)

    noted, client_asks, asked = jobs.Progress.add, threading.Event(), threading.Event()
    monkeypatch.setattr(jobs.Progress, "add", note)
    client.post("/api/apply", {"which": "all", "count": 4})
    assert client_asks.wait(60)
    client.post("/api/stop")
    asked.set()
    job = wait_for(client)
    assert (job["stopped"], job["fixed"]) == (True, 1)
