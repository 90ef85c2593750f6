"""A scan of a server in trouble: what passes is waited for, what is wrong with one photo is its row, the rest ends it."""

from functools import partial

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response
from support import sky_library
from support.server_photos import landscape

from orientd.errors import ExitCode
from orientd.pipeline.immich import address
from orientd.pipeline.immich import scan as scanning
from tests.immich.test_client import Waits

PICTURES = "GET assets"


@pytest.fixture
def clock(monkeypatch):
    made = Waits()
    monkeypatch.setattr(scanning, "Clock", lambda *_: made)
    return made


@pytest.fixture
def report(tmp_path):
    return str(tmp_path / "plan.csv")


@pytest.fixture
def scan(orientd, running, key_file, report, clock):
    given = ("--url", running.url, "--key-file", key_file, "--name", "home", "--report", report, "--overwrite", "-q")
    return partial(orientd, "immich", "scan", *given)


@pytest.fixture
def three(fake):
    """Three photos that lie on their sides, in the order in which they are listed."""
    return [fake.add(landscape(90, seed), f"{seed}.jpg", fileCreatedAt=f"2026-01-0{seed + 1}T00:00:00.000Z") for seed in range(3)]


def decisions(report):
    return {path.split("/", 2)[2]: (row["decision"], row["reason_code"]) for path, row in sky_library.rows(report).items()}


ALL_WRONG = {f"{seed}.jpg": ("fix", "") for seed in range(3)}


@pytest.mark.parametrize(
    "answers",
    [
        [Response(status_code=429, headers={"retry-after": "7"})],
        [Response(status_code=502), Response(status_code=503), Response(status_code=504)],
        [Response(status_code=500)] * 2,
    ],
    ids=["429", "restarting", "500 twice"],
)
@pytest.mark.parametrize("where", ["POST search", PICTURES])
def test_what_passes_is_waited_for(scan, fake, three, report, clock, answers, where):
    fake.faults += [(where, answer) for answer in answers]
    assert scan() == ExitCode.OK
    assert decisions(report) == ALL_WRONG
    assert clock.waits
    if answers[0].status_code == 429:
        assert max(clock.waits) == 7


def test_a_server_that_restarts_in_the_middle_costs_no_photo(scan, fake, running, three, report, clock):
    """It goes down before it answers, and is back when it is asked for the second time."""

    async def going_down(scope, receive, send):
        running._server.should_exit = running._server.force_exit = True
        raise ConnectionResetError

    def back():
        if running._server.should_exit:
            running.stop()
            running.start()

    clock.then = back
    fake.faults.append((f"GET assets/{three[1]}", going_down))
    assert scan("--fix") == ExitCode.OK
    assert decisions(report) == ALL_WRONG
    assert [len(fake.photos[photo].edits) for photo in three] == [1, 1, 1]


def test_a_fault_at_one_photo_is_its_row(scan, fake, three, report):
    fake.faults += [(f"GET assets/{three[1]}", Response(status_code=500))] * 3
    assert scan() == ExitCode.INCOMPLETE
    assert decisions(report) == ALL_WRONG | {"1.jpg": ("error", "system_error")}
    assert scan() == ExitCode.OK
    assert decisions(report) == ALL_WRONG


@pytest.mark.parametrize("status", [400, 404])
def test_a_photo_that_vanished_in_the_middle_is_its_row(scan, fake, three, report, status):
    said = JSONResponse({"message": "Not found or no asset.view access"}, status)
    fake.faults.append((f"GET assets/{three[1]}", said))
    assert scan() == ExitCode.INCOMPLETE
    assert decisions(report) == ALL_WRONG | {"1.jpg": ("error", "no_preview")}


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (JSONResponse({"message": "Invalid API key"}, 401), ExitCode.USAGE, "does not know the key (Invalid API key)"),
        (
            JSONResponse({"message": "Missing required permission: asset.view"}, 403),
            ExitCode.USAGE,
            "Missing required permission: asset.view",
        ),
        (RedirectResponse("https://evil.example/login"), ExitCode.USAGE, "sends elsewhere, to 'https://evil.example/login'"),
    ],
)
@pytest.mark.parametrize("where", ["POST search", PICTURES])
def test_what_no_waiting_mends_ends_the_scan_and_is_said(scan, fake, three, capsys, answer, code, told, where):
    fake.faults += [(where, answer)] * 3
    assert scan() == code
    assert told in capsys.readouterr().err


def test_a_server_that_stays_away_ends_the_scan_and_the_next_one_goes_on(scan, fake, three, report, clock, tmp_path, capsys):
    fake.faults += [(f"GET assets/{three[2]}", Response(status_code=503))] * 1000
    assert scan("--workers", "1", "--batch", "1") == ExitCode.UNAVAILABLE
    told = capsys.readouterr().err
    assert "is busy or starting (503): try again later" in told
    assert "what was done until then is in" in told
    fake.faults.clear()
    fake.asked.clear()
    assert scan() == ExitCode.OK
    assert decisions(report) == ALL_WRONG
    assert len([line for line in fake.asked if "thumbnail" in line]) == 1, "what was judged is known"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": (2, 4, 1)}, "is Immich 2.4.1, which has no edits of photos: upgrade it to 2.5 or later"),
        ({"permissions": ("asset.read", "asset.view", "user.read")}, "lacks the permission asset.edit.get: add it in Immich"),
    ],
)
def test_what_lacks_is_said_before_anything_is_looked_at(scan, fake, three, capsys, change, told):
    for name, value in change.items():
        setattr(fake, name, value)
    assert scan() == ExitCode.USAGE
    assert told in capsys.readouterr().err
    assert not [line for line in fake.asked if line.startswith(("POST", PICTURES))]


@pytest.mark.parametrize(("where", "warns"), [("93.184.216.34", True), ("192.168.1.9", False)])
def test_a_key_over_a_network_of_others_is_warned_of(scan, fake, three, monkeypatch, capsys, where, warns):
    monkeypatch.setattr(address, "_addresses", lambda _: [where])
    assert scan() == ExitCode.OK
    assert ("whoever sees the traffic gets the key; use https" in capsys.readouterr().err) == warns
