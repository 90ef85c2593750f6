"""What is written to a server: killed between any two calls, in trouble in the middle, by two at once."""

import httpx
import numpy as np
import pytest
from starlette.responses import Response
from support import fake_immich
from support.server_photos import landscape
from support.server_writes import TURN, clock, config, edits, journal, photo, row, writer

from orientd.decode.cpu import CpuDecoder
from orientd.errors import Stopped
from orientd.pipeline.immich.client import Client
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.shown import is_turned
from orientd.pipeline.immich.writer import ImmichWriter
from orientd.reasons import Reason
from orientd.records import Status
from orientd.state.journal import WriteStatus
from orientd.write.elsewhere import State
from orientd.write.recover import recover
from tests.immich.test_client import Waits

__all__ = ["clock", "config", "journal", "photo", "writer"]  # fixtures


class Killed(BaseException):
    """Stands for the end of the process."""


def test_a_turn_and_its_way_back_stand_in_the_journal(fake, writer, journal, photo):
    outcome = writer.fix(journal, run := journal.start_run("x"), row(fake, photo))
    assert (outcome.status, outcome.reason, edits(fake, photo)) == (Status.FIXED, "", TURN)
    (write,) = journal.writes(run)
    assert (write.status, write.intent.method, write.intent.turn) == (WriteStatus.FIXED, "immich", 90)
    assert writer.state(write) == (State.HOLDS, "")
    assert writer.take_back(journal, journal.start_run("y"), write).status is Status.FIXED
    assert (edits(fake, photo), journal.write(write.id).status) == ([], WriteStatus.UNDONE)


def calls_of_a_fix(fake, writer, journal, photo):
    fake.asked.clear()
    writer.fix(journal, journal.start_run("x"), row(fake, photo))
    return list(fake.asked)


@pytest.mark.parametrize("arrived", [False, True])
def test_killed_between_any_two_calls_it_is_cleared_up_at_the_next_start(
    fake, running, writer, journal, photo, monkeypatch, arrived
):
    other = fake.add(landscape(90, 1), "other.jpg")
    number = len([line for line in calls_of_a_fix(fake, writer, journal, other) if "assets" in line])
    ask, killed = Client._answer, 0
    for last in range(number + 1):
        fake.change(fake.photos[photo], [])
        left = [last]

        def answer(client, method, path, *, left=left, **more):
            if not left[0] and not arrived:
                raise Killed
            answered = ask(client, method, path, **more)
            if not left[0]:
                raise Killed
            left[0] -= 1
            return answered

        monkeypatch.setattr(Client, "_answer", answer)
        try:
            writer.fix(journal, journal.start_run("x"), row(fake, photo))
        except Killed:
            killed += 1
        monkeypatch.setattr(Client, "_answer", ask)
        there = edits(fake, photo)
        outcomes = recover(journal, elsewhere=writer)
        assert edits(fake, photo) == there
        assert journal.unsettled() == []
        assert {outcome.status for outcome in outcomes} <= {Status.FIXED if there else Status.FAILED}
        if outcomes:
            assert writer.state(next(journal.last_writes()))[0] in (State.HOLDS, State.OLD, State.CHANGED)
    assert (killed, number) == (number, 7)


def test_the_server_killed_at_the_write_is_asked_when_it_is_back(fake, running, writer, journal, photo, clock, monkeypatch):
    def put(client, *_):
        running.stop()
        clock.then = start
        return real(client, *_)

    def start():
        running.start()
        clock.then = lambda: None

    real = Client.put
    monkeypatch.setattr(Client, "put", put)
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    assert (outcome.status, edits(fake, photo), journal.unsettled()) == (Status.FAILED, [], [])
    assert "does not answer" in outcome.reason


def test_a_server_that_stays_away_leaves_the_write_open_until_it_is_back(fake, running, writer, journal, photo, monkeypatch):
    real = Client.put
    monkeypatch.setattr(Client, "put", lambda client, *given: (real(client, *given), running.stop()))
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    assert (outcome.status, outcome.code, len(journal.unsettled())) == (Status.FAILED, Reason.NOT_REACHABLE, 1)
    assert recover(journal, elsewhere=writer) == []  # told before
    assert recover(journal) == []
    assert writer.state(journal.unsettled()[0])[0] is State.UNSETTLED
    running.start()
    (outcome,) = recover(journal, elsewhere=writer)
    assert (outcome.status, edits(fake, photo)) == (Status.FIXED, TURN)


def test_an_answer_that_was_lost_is_found_out(fake, writer, journal, photo, monkeypatch):
    real = Client.put

    def put(client, *given):
        real(client, *given)
        fake.faults.append(("PUT", Response(status_code=502)))
        real(client, *given)

    monkeypatch.setattr(Client, "put", put)
    assert writer.fix(journal, journal.start_run("x"), row(fake, photo)).status is Status.FIXED


def test_a_key_withdrawn_after_the_write_leaves_it_open_until_there_is_a_new_one(fake, writer, journal, photo, monkeypatch):
    real, no = Client.put, fake_immich.JSONResponse({"message": "Invalid API key"}, 401)
    monkeypatch.setattr(Client, "put", lambda client, *given: (real(client, *given), fake.faults.append(("GET assets", no))))
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    assert (outcome.status, outcome.code, len(journal.unsettled())) == (Status.FAILED, Reason.NO_PERMISSION, 1)
    assert "sent to Immich, but whether it took effect could not be checked" in outcome.reason
    assert "does not know the key" in outcome.reason
    (found,) = recover(journal, elsewhere=writer)
    assert (found.status, edits(fake, photo), journal.unsettled()) == (Status.FIXED, TURN, [])


@pytest.mark.parametrize("trouble", [500, 502, 503, 504, httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
def test_what_the_server_does_late_is_found_out_by_the_next_run_and_can_be_undone(
    fake, writer, journal, photo, monkeypatch, trouble
):
    answer_next_put(fake, monkeypatch, trouble)
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    (write,) = journal.unsettled()
    assert (outcome.status, edits(fake, photo)) == (Status.FAILED, [])
    assert "the next command that writes" in outcome.reason == write.reason
    assert writer.state(write) == (State.UNSETTLED, outcome.reason)
    fake.change(fake.photos[photo], TURN)
    (outcome,) = recover(journal, elsewhere=writer)
    assert (outcome.status, journal.unsettled()) == (Status.FIXED, [])
    answer_next_put(fake, monkeypatch, trouble, "DELETE")
    assert writer.take_back(journal, journal.start_run("y"), journal.write(write.id)).status is Status.FAILED
    fake.change(fake.photos[photo], [])
    recover(journal, elsewhere=writer)
    assert (journal.write(write.id).status, journal.unsettled()) == (WriteStatus.UNDONE, [])


def test_what_the_server_never_does_is_settled_by_the_next_run(fake, writer, journal, photo, monkeypatch):
    answer_next_put(fake, monkeypatch, 504)
    writer.fix(journal, run := journal.start_run("x"), row(fake, photo))
    assert [outcome.status for outcome in recover(journal, elsewhere=writer)] == [Status.FAILED]
    assert [write.status for write in journal.writes(run)] == [WriteStatus.FAILED]
    assert writer.fix(journal, journal.start_run("y"), row(fake, photo)).status is Status.FIXED


@pytest.mark.parametrize("trouble", [400, 401, 403, 404, 429, httpx.ConnectError, httpx.ConnectTimeout])
def test_what_was_refused_or_never_arrived_is_settled_at_once(fake, writer, journal, photo, monkeypatch, trouble):
    answer_next_put(fake, monkeypatch, trouble)
    outcome = writer.fix(journal, run := journal.start_run("x"), row(fake, photo))
    assert (outcome.status, journal.unsettled()) == (Status.FAILED, [])
    assert [write.status for write in journal.writes(run)] == [WriteStatus.FAILED]


def answer_next_put(fake, monkeypatch, trouble, method="PUT"):
    """Have the next change answered by a status, or by an error on the way, and not carried out."""
    if isinstance(trouble, int):
        fake.faults.append((method, Response("{}", status_code=trouble)))
        return
    real, left = httpx.HTTPTransport.handle_request, [trouble]

    def handle(transport, request):
        if request.method == method and left:
            raise left.pop()("gone")
        return real(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)


def test_who_edits_a_photo_in_the_same_instant_is_found_out(fake, writer, journal, photo, monkeypatch):
    real, by_hand = Client.put, [{"action": "rotate", "parameters": {"angle": 180}}]
    monkeypatch.setattr(Client, "put", lambda client, *given: (real(client, *given), fake.change(fake.photos[photo], by_hand)))
    outcome = writer.fix(journal, run := journal.start_run("x"), row(fake, photo))
    (write,) = journal.writes(run)
    assert (outcome.status, outcome.code, write.status) == (Status.FAILED, Reason.CHANGED, WriteStatus.LOST)
    assert edits(fake, photo) == by_hand


def test_a_preview_that_is_late_is_waited_for_and_one_that_never_comes_is_told(fake, writer, journal, photo, clock):
    fake.late = 3
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    assert (outcome.status, outcome.code) == (Status.FIXED, None)
    fake.late = 10**6
    other = fake.add(landscape(90, 1), "photo.jpg")
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, other))
    assert (outcome.status, outcome.code) == (Status.FIXED, Reason.NOT_YET_SHOWN)
    assert 60 <= clock.time < 90


def test_who_asks_to_stop_does_not_wait_for_a_preview(fake, config, journal, photo):
    fake.late = 10**6
    asked = []

    class Stopping(Waits):
        def wait(self, seconds):
            asked.append(seconds)
            raise Stopped

    clock = Stopping()
    writer = ImmichWriter(Connections(config, clock, print), lambda photo: CpuDecoder(64).decode(photo).pixels, clock)
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    writer.close()
    assert (outcome.status, outcome.reason, len(asked)) == (Status.FIXED, "", 1)


def test_two_runs_at_once_turn_a_photo_once(fake, writer, journal, photo):
    planned = row(fake, photo)
    writer.fix(journal, journal.start_run("x"), planned)
    outcome = writer.fix(journal, journal.start_run("y"), planned)
    assert (outcome.status, outcome.code, edits(fake, photo)) == (Status.UNCHANGED, Reason.DONE_BEFORE, TURN)


def test_a_missing_permission_is_named_and_nothing_is_sent(fake, config, journal, photo, clock):
    fake.permissions = ("asset.read", "asset.view", "asset.edit.get", "user.read")
    writer = ImmichWriter(Connections(config, clock, print, ("asset.edit.create",)), lambda _: np.zeros((4, 4, 3)), clock)
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    assert (outcome.status, edits(fake, photo)) == (Status.FAILED, [])
    assert "asset.edit.create" in outcome.reason
    writer.close()


def test_the_comparison_tells_turns_apart():
    picture = CpuDecoder(64).decode
    from orientd.records import FileStat, Format, Photo

    def pixels(turn):
        data = fake_immich.preview(landscape(), [{"action": "rotate", "parameters": {"angle": turn}}])
        return picture(Photo("", FileStat(0, 0, 0, 0), Format.JPEG, data, None, "")).pixels

    assert [[is_turned(pixels(0), pixels(now), turn) for now in (0, 90, 180, 270)] for turn in (0, 90, 180, 270)] == [
        [now == turn for now in range(4)] for turn in range(4)
    ]
    assert not is_turned(pixels(0), np.zeros((64, 64, 3), np.uint8), 0)
