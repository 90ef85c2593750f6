"""What a hostile plan or journal makes of a server: nothing. What verify, undo and offer say of its photos."""

from dataclasses import replace

import pytest
from support import sky_library
from support.server_writes import TURN, clock, config, edits, journal, photo, row, writer

from orientd import commands
from orientd.errors import ExitCode, StateError
from orientd.pipeline.immich.edits import EditedPhoto
from orientd.reasons import Reason
from orientd.records import Patch, Splice, Status

__all__ = ["clock", "config", "journal", "photo", "writer"]  # fixtures


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
