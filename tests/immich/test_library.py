"""Which photos of a server are looked at, what is told of the others, and what a server in trouble does to a scan."""

import json
import os
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from starlette.responses import Response
from support import fake_immich, sky_library
from support.hook_programs import noted, noting
from support.server_photos import landscape

from orientd import commands
from orientd.config import load
from orientd.errors import ConfigError, ExitCode, StateError
from orientd.pipeline.immich import library, servers
from orientd.pipeline.immich.address import Server
from orientd.pipeline.immich.client import Clock
from orientd.pipeline.immich.connections import Connections
from orientd.state.lock import Lock, is_locked

OTHERS = "00000000-0000-4000-8000-00000000000b"
CROP = {"action": "crop", "parameters": {"x": 0, "y": 0, "width": 9, "height": 9}}


@pytest.fixture
def report(tmp_path):
    return str(tmp_path / "plan.csv")


@pytest.fixture
def scan(orientd, running, key_file, report):
    given = ("--url", running.url, "--key-file", key_file, "--name", "home", "--report", report, "--overwrite")
    return partial(orientd, "immich", "scan", *given)


def by_name(report):
    return {path.split("/", 2)[2]: row for path, row in sky_library.rows(report).items()}


def test_what_immich_would_not_turn_is_told_and_offered_to_nobody(scan, fake, report):
    kinds = {
        "film.mp4": ({"type": "VIDEO"}, "video"),
        "live.jpg": ({"livePhotoVideoId": OTHERS}, "live_photo"),
        "sphere.jpg": ({"exifInfo": {"projectionType": "EQUIRECTANGULAR", "fileSizeInByte": 7}}, "not_to_be_turned"),
        "sphere.insp": ({}, "not_to_be_turned"),
        "moving.GIF": ({}, "format_never_written"),
        "drawn.svg": ({}, "format_never_written"),
        "waving.webp": ({"duration": 1500}, "several_pictures"),
        "winking.webp": ({"duration": "0:00:01.50000"}, "several_pictures"),
    }
    for name, (more, _) in kinds.items():
        fake.add(landscape(90), name, **more)
    assert scan("-q") == ExitCode.OK
    rows = by_name(report)
    assert {name: row["reason_code"] for name, row in rows.items()} == {name: code for name, (_, code) in kinds.items()}
    assert {(row["decision"], row["turn"]) for row in rows.values()} == {("skip", "")}
    assert not [line for line in fake.asked if "thumbnail" in line]


@pytest.mark.parametrize("duration", [None, 0, "0:00:00.00000", ""])
def test_what_lasts_no_time_is_no_animation(scan, fake, report, duration):
    fake.add(landscape(90), "still.webp", duration=duration)
    assert scan("-q") == ExitCode.OK
    assert by_name(report)["still.webp"]["decision"] == "fix"


def test_what_became_an_animation_or_a_live_photo_since_is_not_turned(orientd, scan, fake, report, tmp_path):
    changed = [fake.add(landscape(90, seed), f"{seed}.jpg") for seed in range(2)]
    assert scan("-q") == ExitCode.OK
    for photo, more in zip(changed, ({"duration": 900}, {"livePhotoVideoId": OTHERS}), strict=True):
        fake.photos[photo].told |= more
    done = tmp_path / "done.csv"
    assert orientd("apply", report, "-q", "--report", done) == ExitCode.INCOMPLETE
    assert {name: row["reason_code"] for name, row in by_name(done).items()} == {
        "0.jpg": "several_pictures",
        "1.jpg": "live_photo",
    }
    assert not [line for line in fake.asked if line.startswith("PUT")]


def test_only_own_photos_of_the_timeline_are_looked_at(scan, fake, report, capsys):
    fake.add(landscape(90), "mine.jpg")
    fake.add(landscape(90), "theirs.jpg", ownerId=OTHERS)
    fake.add(landscape(90), "external.jpg", libraryId=OTHERS)
    fake.add(landscape(90), "trashed.jpg", isTrashed=True)
    for visibility in ("archive", "locked", "hidden"):
        fake.add(landscape(90), f"{visibility}.jpg", visibility=visibility)
    assert scan() == ExitCode.OK
    assert set(by_name(report)) == {"mine.jpg"}
    told = capsys.readouterr().err
    assert "1 photos of other users were not looked at" in told
    assert "1 photos of external libraries were not looked at" in told
    assert scan("-q", "--archived", "--library", OTHERS) == ExitCode.OK
    assert set(by_name(report)) == {"mine.jpg", "external.jpg", "archive.jpg"}


def test_albums_and_dates_are_chosen(scan, fake, report):
    fake.add(landscape(90, 1), "both.jpg", albums=["sea", "hills"])
    fake.add(landscape(90, 2), "sea.jpg", albums=["sea"], fileCreatedAt="2020-06-01T00:00:00.000Z")
    fake.add(landscape(90, 3), "none.jpg", fileCreatedAt="2024-06-01T00:00:00.000Z")
    assert scan("-q", "--album", "sea", "--album", "hills") == ExitCode.OK
    assert list(by_name(report)) == ["sea.jpg", "both.jpg"]
    assert scan("-q", "--taken-after", "2021-01-01", "--taken-before", "2025-01-01") == ExitCode.OK
    assert set(by_name(report)) == {"none.jpg"}
    assert scan("-q", "--album", "nowhere") == ExitCode.USAGE


def test_pages_are_read_one_after_the_other(scan, fake, report, monkeypatch):
    monkeypatch.setattr(library, "_PAGE", 2)
    names = [fake.photos[fake.add(landscape(0, seed), f"{seed}.jpg")].told["originalFileName"] for seed in range(5)]
    assert scan("-q") == ExitCode.OK
    assert set(by_name(report)) == set(names)
    assert fake.asked.count("POST search/metadata") == 3


def test_an_edit_that_is_not_known_is_left_alone(scan, fake, report):
    photo = fake.add(landscape(90), "trimmed.jpg")
    fake.change(fake.photos[photo], [{"action": "trim", "parameters": {}}])
    assert scan("-q", "--fix") == ExitCode.OK
    assert by_name(report)["trimmed.jpg"]["reason_code"] == "unusual"
    assert not [line for line in fake.asked if line.startswith("PUT")]


def test_what_is_not_yet_shown_as_it_was_edited_is_not_judged(scan, fake, report, monkeypatch):
    photo = fake.photos[fake.add(landscape(90), "late.jpg")]
    photo.made = photo.made.replace(year=2020)
    fake.late = 1
    fake.change(photo, [{"action": "rotate", "parameters": {"angle": 90}}])
    assert scan("-q") == ExitCode.OK
    assert by_name(report)["late.jpg"]["reason_code"] == "not_yet_shown"
    assert scan("-q") == ExitCode.OK
    assert (by_name(report)["late.jpg"]["decision"], by_name(report)["late.jpg"]["turn"]) == ("keep", "0")


def test_a_photo_without_a_preview_is_one_row_and_asked_again(scan, fake, report):
    photo = fake.add(landscape(90), "new.jpg")
    fake.add(landscape(0), "other.jpg")
    fake.faults.append((f"GET assets/{photo}/thumbnail", Response('{"message":"Asset media not found"}', status_code=404)))
    assert scan("-q") == ExitCode.INCOMPLETE
    assert {name: row["decision"] for name, row in by_name(report).items()} == {"new.jpg": "error", "other.jpg": "keep"}
    assert by_name(report)["new.jpg"]["reason_code"] == "no_preview"
    assert scan("-q") == ExitCode.OK
    assert by_name(report)["new.jpg"]["decision"] == "fix"


def test_a_preview_that_is_damaged_is_one_row(scan, fake, report):
    photo = fake.add(landscape(90), "bad.jpg")
    fake.add(landscape(90), "good.jpg")
    fake.faults.append((f"GET assets/{photo}/thumbnail", Response(landscape(90)[:900])))
    assert scan("-q") == ExitCode.INCOMPLETE
    assert {name: row["decision"] for name, row in by_name(report).items()} == {"bad.jpg": "error", "good.jpg": "fix"}


def test_a_key_withdrawn_in_the_middle_ends_the_scan(scan, fake, capsys):
    for seed in range(3):
        fake.add(landscape(90, seed), f"{seed}.jpg")
    fake.faults.append(("GET assets", Response('{"message":"Invalid API key"}', status_code=401)))
    assert scan("-q") == ExitCode.USAGE
    assert "does not know the key (Invalid API key)" in capsys.readouterr().err


def test_without_an_address_or_a_key_it_says_what_is_missing(orientd, capsys):
    assert orientd("immich", "scan") == ExitCode.USAGE
    assert "--url" in capsys.readouterr().err
    assert orientd("immich", "scan", "--url", "http://127.0.0.1:9") == ExitCode.USAGE
    assert "--key-file" in capsys.readouterr().err


def test_the_configuration_names_the_server_and_systemd_the_key(orientd, fake, running, tmp_path, report, monkeypatch):
    fake.add(landscape(90), "photo.jpg")
    (tmp_path / "immich-key").write_text(fake_immich.KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("ORIENTD_IMMICH_URL", running.url)
    assert orientd("immich", "scan", "-q", "--report", report) == ExitCode.OK
    (path,) = sky_library.rows(report)
    assert path.startswith(f"immich:{running.url.removeprefix('http://')}/")
    assert orientd("apply", report, "-q", "--report", str(tmp_path / "done.csv")) == ExitCode.OK


def test_the_credential_of_systemd_goes_to_the_configured_server_alone(fake, running, tmp_path, monkeypatch):
    (tmp_path / "immich-key").write_text(fake_immich.KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    state = str(tmp_path / "state")
    servers.keep(state, Server("earlier", running.url))
    given = {"HOME": str(tmp_path), "ORIENTD_STATE_DIR": state}
    for more in ({}, {"ORIENTD_IMMICH_URL": "http://127.0.0.1:9", "ORIENTD_IMMICH_NAME": "home"}):
        connections = Connections(load(None, given | more, {}), Clock(), print)
        with closing(connections) as connect, pytest.raises(ConfigError, match="where is the key"):
            connect("earlier")
    assert fake.asked == []
    with closing(Connections(load(None, given | {"ORIENTD_IMMICH_URL": running.url}, {}), Clock(), print)) as connect:
        assert connect("earlier").server.url == running.url


@pytest.mark.parametrize("configured", [False, True])
def test_hooks_are_told_the_address_and_the_textfile_is_left_to_folders(
    orientd, fake, running, key_file, tmp_path, report, monkeypatch, configured
):
    program, notes = noting(tmp_path)
    numbers, config = tmp_path / "orientd.prom", tmp_path / "orientd.yaml"
    numbers.write_text("those of the folders")
    where = f"immich_url: {running.url}\n" if configured else ""
    config.write_text(f"on_finish: ['{program}']\non_error: ['{program}']\nmetrics_textfile: {numbers}\n{where}")
    given = () if configured else ("--url", running.url)
    scan = partial(orientd, "immich", "scan", *given, "--config", config, "--key-file", key_file, "-q", "--report", report)
    assert scan() == ExitCode.OK
    key_file.write_text("a-key-withdrawn")
    assert scan("--overwrite") == ExitCode.USAGE
    facts = [call["facts"] for call in noted(notes)]
    assert [(one["event"], one["command"], one["roots"]) for one in facts] == [
        ("finish", "scan", [running.url]),
        ("error", "scan", [running.url]),
    ]
    assert numbers.read_text() == "those of the folders"


def test_without_httpx_the_command_that_brings_it_is_told(scan, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "httpx", None)
    assert scan("-q") == ExitCode.ERROR
    assert commands.adding("immich") in capsys.readouterr().err


def test_servers_are_kept_and_their_names_mean_one_address(tmp_path):
    home = Server("home", "https://a.example", "/key")
    servers.keep(str(tmp_path), home)
    servers.keep(str(tmp_path), Server("home", "https://a.example", "/other", "/ca"))
    servers.keep(str(tmp_path), Server("b:2283", "https://b.example"))
    assert list(servers.known(str(tmp_path)).values()) == [
        Server("home", "https://a.example", "/other", "/ca"),
        Server("b:2283", "https://b.example"),
    ]
    with pytest.raises(ConfigError, match=r"home stands for https://a\.example"):
        servers.keep(str(tmp_path), Server("home", "https://evil.example"))
    with pytest.raises(ConfigError, match="name"):
        servers.keep(str(tmp_path), Server("a/b", "https://a.example"))


def test_a_server_is_kept_by_one_at_a_time_and_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Of two that read the list at once, the one would lose what the other adds; after a power cut it might be empty."""
    state, done = str(tmp_path), []
    read, sync, rename = servers.known, os.fsync, Path.rename

    def known(state_dir):
        done.append(("read", is_locked(state, "keeping-a-server")))
        return read(state_dir)

    monkeypatch.setattr(servers, "known", known)
    monkeypatch.setattr(
        os, "fsync", lambda file: (done.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{file}")))), sync(file))
    )
    monkeypatch.setattr(
        Path, "rename", lambda *given: (done.append(("rename", is_locked(state, "keeping-a-server"))), rename(*given))
    )
    servers.keep(state, Server("a", "https://a.example"))
    assert done[:5] == [
        ("read", False),
        ("read", True),
        ("sync", ".begun-immich-servers.json"),
        ("rename", True),
        ("sync", tmp_path.name),
    ]
    assert (tmp_path / "immich-servers.json").stat().st_mode & 0o777 == 0o600


def test_who_keeps_a_server_waits_for_another_that_does(tmp_path, monkeypatch):
    state = str(tmp_path)
    held = Lock(state, "keeping-a-server")

    def another_ends(_):
        servers._add(state, Server("b", "https://b.example"))
        held.close()

    monkeypatch.setattr("orientd.state.lock.time.sleep", another_ends)
    servers.keep(state, Server("a", "https://a.example"))
    assert set(servers.known(state)) == {"a", "b"}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"name": "a"}]', json.dumps([{"name": "../x", "url": "https://a"}])])
def test_a_damaged_list_of_servers_is_told(tmp_path, text):
    (tmp_path / "immich-servers.json").write_text(text)
    if text != "{}":
        with pytest.raises(StateError, match="damaged"):
            servers.known(str(tmp_path))


def test_a_list_of_servers_that_others_may_write_is_not_believed(tmp_path):
    servers.keep(str(tmp_path), Server("home", "https://a.example"))
    os.chmod(tmp_path / "immich-servers.json", 0o620)
    with pytest.raises(StateError, match="by others"):
        servers.known(str(tmp_path))


def test_a_photo_with_the_edits_it_was_judged_by_is_known_whatever_was_done_between(orientd, scan, fake, report, tmp_path):
    turned, cropped = fake.add(landscape(90), "turned.jpg"), fake.add(landscape(90, 1), "cropped.jpg")
    assert scan("-q") == ExitCode.OK
    for command in (["apply", report, "--report", str(tmp_path / "done.csv"), "-q"], ["undo", "--yes", "-q"]):
        assert orientd(*command) == ExitCode.OK
    fake.change(fake.photos[cropped], [CROP])
    fake.asked.clear()
    assert scan("-q") == ExitCode.OK
    assert [line for line in fake.asked if "thumbnail" in line] == [f"GET assets/{cropped}/thumbnail"]
    assert by_name(report)["turned.jpg"]["decision"] == "fix"
    assert fake.photos[turned].edits == []
