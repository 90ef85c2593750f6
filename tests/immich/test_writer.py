"""What is written to a server: killed between any two calls, in trouble in the middle, by a hostile plan or journal."""

from dataclasses import replace

import httpx
import numpy as np
import pytest
from starlette.responses import Response
from support import fake_immich, sky_library
from support.server_photos import landscape

from orientd import commands
from orientd.config import load
from orientd.decode.cpu import CpuDecoder
from orientd.errors import ExitCode, StateError, Stopped
from orientd.pipeline.immich import servers
from orientd.pipeline.immich.address import Server
from orientd.pipeline.immich.client import Client
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.edits import EditedPhoto
from orientd.pipeline.immich.shown import is_turned
from orientd.pipeline.immich.writer import ImmichWriter
from orientd.reasons import Reason
from orientd.records import Method, Patch, Row, Splice, Status, Verdict
from orientd.state.journal import Journal, WriteStatus
from orientd.write.elsewhere import State
from orientd.write.recover import recover
from tests.immich.test_client import Waits

TURN = [{"action": "rotate", "parameters": {"angle": 90}}]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def config(tmp_path, running, key_file):
    state = str(tmp_path / "state")
    servers.keep(state, Server("home", running.url, str(key_file)))
    return load(None, {"HOME": str(tmp_path), "ORIENTD_STATE_DIR": state}, {})


@pytest.fixture
def clock():
    return Waits()


@pytest.fixture
def writer(config, clock):
    made = ImmichWriter(Connections(config, clock, print), lambda photo: CpuDecoder(64).decode(photo).pixels, clock)
    yield made
    made.close()


@pytest.fixture
def journal(config):
    with Journal(config.state_dir) as opened:
        yield opened


@pytest.fixture
def photo(fake):
    return fake.add(landscape(90), "photo.jpg")


def row(fake, photo, turn=90, server="home"):
    judged = EditedPhoto(fake.photos[photo].told["checksum"], tuple(edits(fake, photo)))
    path = f"immich:{server}/{photo}/photo.jpg"
    return Row(path, turn=turn, decision=Verdict.FIX, method=Method.IMMICH, size=1, sha256=judged.sha256)


def edits(fake, photo):
    return [{"action": one["action"], "parameters": one["parameters"]} for one in fake.photos[photo].edits]


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


@pytest.mark.parametrize("server", ["evil.example", "127.0.0.1:1", "home2", ""])
def test_a_plan_cannot_name_a_server(fake, writer, journal, photo, server):
    fake.asked.clear()
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo, server=server))
    assert (outcome.status, outcome.code, fake.asked) == (Status.FAILED, Reason.NOT_ALLOWED, [])


def test_the_command_that_gets_a_server_known_takes_an_address_behind_the_options_of_this_run(
    fake, writer, journal, photo, monkeypatch
):
    monkeypatch.setattr(commands, "_options", lambda _: ("--state-dir", "/s"))
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo, server="other"))
    assert outcome.reason.endswith("orientd immich scan --name other --state-dir /s --url ADDRESS")


def test_a_missing_permission_is_named_and_nothing_is_sent(fake, config, journal, photo, clock):
    fake.permissions = ("asset.read", "asset.view", "asset.edit.get", "user.read")
    writer = ImmichWriter(Connections(config, clock, print, ("asset.edit.create",)), lambda _: np.zeros((4, 4, 3)), clock)
    outcome = writer.fix(journal, journal.start_run("x"), row(fake, photo))
    assert (outcome.status, edits(fake, photo)) == (Status.FAILED, [])
    assert "asset.edit.create" in outcome.reason
    writer.close()


def hostile(journal, change):
    """The last write, changed by `change`, as somebody put it into the journal."""
    (write,) = journal.last_writes()
    return replace(write, intent=change(write.intent))


def told_otherwise(intent, old, turn=90):
    text = EditedPhoto(EditedPhoto.parse(intent.patch.splices[0].old).checksum, tuple(old)).text
    patch = Patch((Splice(0, text, intent.patch.splices[0].new),))
    return replace(intent, patch=patch, old_sha256=EditedPhoto.parse(text).sha256, turn=turn)


CROP = {"action": "crop", "parameters": {"x": 0, "y": 0, "width": 1, "height": 1}}


@pytest.mark.parametrize(
    "change",
    [
        lambda intent: told_otherwise(intent, [CROP]),
        lambda intent: told_otherwise(intent, TURN),
        lambda intent: told_otherwise(intent, [], turn=180),
        lambda intent: replace(intent, old_sha256="0" * 64),
        lambda intent: replace(intent, patch=Patch(())),
        lambda intent: replace(intent, patch=Patch((Splice(0, b"x", b"y"),))),
        lambda intent: replace(intent, path=intent.path.replace("home", "evil.example")),
    ],
)
def test_a_hostile_journal_has_nothing_put_back_that_orientd_did_not_change(fake, writer, journal, photo, change):
    writer.fix(journal, journal.start_run("x"), row(fake, photo))
    fake.asked.clear()
    outcome = writer.take_back(journal, journal.start_run("y"), hostile(journal, change))
    assert (outcome.status, edits(fake, photo)) == (Status.FAILED, TURN)
    assert not [line for line in fake.asked if line.startswith(("PUT", "DELETE"))]
    assert outcome.code in (Reason.JOURNAL_DOUBTED, Reason.NOT_ALLOWED)


@pytest.mark.parametrize(("path", "method"), [("/photos/a.jpg", "immich"), ("immich:home/x/y", "tag")])
def test_a_journal_in_which_path_and_method_contradict_each_other_is_doubted(fake, writer, journal, photo, path, method):
    writer.fix(journal, journal.start_run("x"), row(fake, photo))
    (write,) = journal.last_writes()
    journal.intend(1, replace(write.intent, path=path, method=method))
    with pytest.raises(StateError, match="holds what no orientd wrote"):
        journal.unsettled()


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


def test_verify_says_of_these_rows_alone_that_the_server_is_not_reachable(
    orientd, fake, running, key_file, tmp_path, photos, photo, capsys
):
    url = ("--url", running.url, "--key-file", key_file, "--name", "home", "--fix", "-q")
    assert orientd("immich", "scan", *url, "--report", tmp_path / "a.csv") == ExitCode.OK
    sky_library.draw(photos / "one.jpg", 90)
    assert orientd("scan", photos, "--fix", "-q", "--report", tmp_path / "b.csv") == ExitCode.OK
    assert orientd("verify") == ExitCode.OK
    fake.permissions = ()
    capsys.readouterr()
    assert orientd("verify", "-v") == ExitCode.INCOMPLETE
    told = capsys.readouterr().err
    assert told.count("unreadable  immich:home/") == told.count("not reachable: ") == 1
    assert f"holds  {photos}/one.jpg" in told


def test_folders_named_leave_servers_alone(orientd, fake, running, key_file, tmp_path, photos, photo):
    plan, done = tmp_path / "plan.csv", tmp_path / "done.csv"
    given = ("--url", running.url, "--key-file", key_file, "--name", "home")
    assert orientd("immich", "scan", *given, "-q", "--report", plan) == ExitCode.OK
    photos.mkdir()
    assert orientd("apply", plan, photos, "-q", "--report", done) == ExitCode.INCOMPLETE
    (row,) = sky_library.rows(done).values()
    assert (row["outcome"], row["reason_code"], edits(fake, photo)) == ("failed", "not_allowed", [])


def test_a_whole_run_taken_back_was_a_trial_and_offer_lifts_the_rest(orientd, fake, running, key_file, tmp_path, photo):
    report = tmp_path / "plan.csv"
    given = ("--url", running.url, "--key-file", key_file, "--name", "home", "--fix", "-q", "--report", report, "--overwrite")

    def decision(*more):
        assert orientd("immich", "scan", *given, *more) == ExitCode.OK
        (row,) = sky_library.rows(report).values()
        return row["decision"], row["reason_code"]

    assert decision() == ("fix", "")
    assert orientd("undo", "--yes") == ExitCode.OK
    assert decision("--unattended") == ("skip", "taken_back")
    assert decision() == ("fix", "")
    path = f"immich:home/{photo}/photo.jpg"
    assert orientd("undo", "--file", path) == ExitCode.OK
    assert decision() == ("skip", "taken_back")
    assert orientd("offer", path) == ExitCode.OK
    assert decision() == ("fix", "")
    fake.change(fake.photos[photo], [])
    assert decision() == ("skip", "taken_back")
    (row,) = sky_library.rows(report).values()
    assert row["reason"].endswith(f"orientd offer {path}")
    assert orientd("offer", path) == ExitCode.OK
    assert decision() == ("fix", "")
