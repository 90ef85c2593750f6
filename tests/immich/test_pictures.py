"""Photos of Immich as people see them: on the page, in a report, by inspect; and that neither the key nor a fault gets there."""

import base64
import io
import json
import os
import re
import sys
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import fake_immich, review_pages, sky_library
from support.server_photos import landscape, pixels

from orientd import commands
from orientd.config import load
from orientd.errors import ExitCode, PhotoError
from orientd.pipeline.immich import pictures as showing
from orientd.pipeline.immich.client import PATIENCE
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.now import ask
from orientd.pipeline.immich.pictures import ImmichPhotos
from orientd.reasons import Reason
from tests.immich.test_client import Waits

TURN = [{"action": "rotate", "parameters": {"angle": 90}}]
STRANGER = "immich:elsewhere/11111111-1111-4111-8111-111111111111/a.jpg"


@pytest.fixture
def report(tmp_path):
    return str(tmp_path / "plan.csv")


@pytest.fixture
def scan(orientd, running, key_file, report):
    given = ("--url", running.url, "--key-file", key_file, "--name", "home", "--report", report, "--overwrite", "-q")
    return partial(orientd, "immich", "scan", *given)


@pytest.fixture
def lying(fake):
    """Two photos that lie on their sides, and one that does not; the first was mirrored by hand before."""
    ids = [fake.add(landscape(turn, seed), f"{seed}.jpg") for seed, turn in enumerate((90, 180, 0))]
    fake.change(fake.photos[ids[0]], [{"action": "mirror", "parameters": {"axis": "horizontal"}}])
    return ids


def shown(fake, photo):
    """What the server shows of a photo, edited as it is."""
    held = fake.photos[photo]
    return fake_immich.preview(held.data, held.edits)


def is_like(one, other):
    return np.abs(pixels(one).astype(int) - pixels(other)).mean() < 8


@contextmanager
def page_of(report, *roots):
    with review_pages.desk_of(report, *roots) as desk, review_pages.client_of(desk) as client:
        yield client


def cards(client):
    found = client.get("/api/list?show=all").json["sections"]
    numbers = [number for section in found for number in section["numbers"]]
    return {card["name"]: card for card in client.get(f"/api/cards?n={','.join(map(str, numbers))}").json}


def picture(client, name, side=320):
    return client.get(f"/photo/{cards(client)[name]['n']}/{side}")


def test_the_page_shows_turns_and_takes_back(scan, fake, lying, report):
    assert scan() == ExitCode.OK
    before = [list(fake.photos[photo].edits) for photo in lying]
    with page_of(report) as client:
        assert [(card["folder"].partition("/")[0], card["shown"]) for card in cards(client).values()] == [
            ("immich:home", 270),  # mirrored, it lies on its other side
            ("immich:home", 180),
            ("immich:home", 0),
        ]
        for photo, name in zip(lying, ("0.jpg", "1.jpg", "2.jpg"), strict=True):
            answer = picture(client, name)
            assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
            assert is_like(answer.body, shown(fake, photo))
        assert max(Image.open(io.BytesIO(picture(client, "0.jpg", 1600).body)).size) == 480
        found = client.get("/api/list").json["folders"]
        assert [(name, count) for _, name, count in found] == [("immich:home", 2)], "not one for each photo"

        assert client.post("/api/apply", {"which": "all", "count": 2}).status == 200
        job = review_pages.wait_for(client)
        assert (job["fixed"], job["failed"], job["error"]) == (2, 0, "")
        assert fake.photos[lying[1]].edits[0]["parameters"] == {"angle": 180}
        after = cards(client)
        assert [(after[name]["done"], after[name]["shown"]) for name in ("0.jpg", "1.jpg")] == [("done", 0)] * 2
        for photo, name in zip(lying, after, strict=True):
            assert is_like(picture(client, name).body, shown(fake, photo))

        assert client.post("/api/undo", {"run": job["run"]}).status == 200
        job = review_pages.wait_for(client)
        assert (job["failed"], job["error"]) == (0, "")
        assert [fake.photos[photo].edits for photo in lying[1:]] == before[1:]
        assert [one["action"] for one in fake.photos[lying[0]].edits] == ["mirror"]
        assert cards(client)["1.jpg"]["done"] == "undone"
        assert is_like(picture(client, "1.jpg").body, shown(fake, lying[1]))


def test_a_picture_that_was_fetched_is_kept_until_the_photo_is_edited(scan, fake, lying, report):
    assert scan() == ExitCode.OK
    with page_of(report) as client:
        assert picture(client, "2.jpg").status == 200
        fake.asked.clear()
        assert picture(client, "2.jpg").status == 200
        assert not [line for line in fake.asked if "thumbnail" in line]
        assert cards(client)["2.jpg"]["done"] == ""
        fake.change(fake.photos[lying[2]], TURN)
        assert is_like(picture(client, "2.jpg").body, shown(fake, lying[2]))
        assert cards(client)["2.jpg"]["done"] == "changed"


def test_neither_the_page_nor_anything_that_is_written_holds_the_key(orientd, scan, fake, lying, report, tmp_path, capsys):
    html = tmp_path / "look.html"
    fake.faults.append((f"GET assets/{lying[1]}/thumbnail", fake_immich.JSONResponse({"message": "no"}, 401)))
    scan("--html", html, "--json", "-v")
    assert scan("--html", html, "--fix") == ExitCode.OK
    assert orientd("undo", "-y") == ExitCode.OK
    answers = []
    with page_of(report) as client:
        for path in ("/", "/api/state", "/api/list?show=all", "/static/review.js"):
            answers.append(client.get(path))
        answers += [picture(client, name) for name in ("0.jpg", "1.jpg", "2.jpg")]
    orientd("history", "--json")
    orientd("verify", "--json")
    told = capsys.readouterr()
    texts = [told.out, told.err, *(repr(answer.headers) + repr(answer.body) for answer in answers)]
    texts += [repr(file.read_bytes()) for file in tmp_path.rglob("*") if file.is_file() and file.name != "key"]
    held = [file for file in Path(load(None, os.environ, {}).state_dir).rglob("*") if file.is_file()]
    texts += [repr(file.read_bytes()) for file in held]
    assert {"journal.db", "immich-servers.json"} <= {file.name for file in held}
    assert len([key for key in fake.keys if key == fake_immich.KEY]) > 20
    hidden = (fake_immich.KEY, base64.b64encode(fake_immich.KEY.encode()).decode().rstrip("="))
    assert [text[:80] for text in texts if any(one in text for one in hidden)] == []


def test_a_photo_that_cannot_be_had_says_why_and_the_others_are_shown(scan, fake, lying, report):
    assert scan() == ExitCode.OK
    del fake.photos[lying[0]]
    fake.photos[lying[1]].told["isTrashed"] = True
    with page_of(report) as client:
        told = {name: picture(client, name) for name in ("0.jpg", "1.jpg", "2.jpg")}
        assert [answer.status for answer in told.values()] == [422, 422, 200]
        assert "Immich has it no more" in told["0.jpg"].text
        assert "in the trash of Immich" in told["1.jpg"].text


def test_a_server_that_is_not_known_is_not_asked_and_one_that_is_gone_is_told(scan, fake, running, lying, report):
    assert scan() == ExitCode.OK
    text = (file := Path(report)).read_text()
    line = text.splitlines()[1]
    path = line.split(",")[0]
    file.write_text(text + line.replace(path, STRANGER) + "\n" + line.replace(path, "immich:home/../x") + "\n")
    running.stop()
    with page_of(report) as client:
        fake.asked.clear()
        answers = {name: picture(client, name) for name in ("0.jpg", "1.jpg", "a.jpg", "x")}
    running.start()
    assert {answer.status for answer in answers.values()} == {422}
    assert "no server 'elsewhere' is known here" in answers["a.jpg"].text
    assert "is no path of a photo in Immich" in answers["x"].text
    assert "does not answer" in answers["0.jpg"].text
    assert answers["1.jpg"].text == answers["0.jpg"].text
    assert fake.asked == []


def test_without_the_extra_the_command_that_brings_it_is_told_in_the_place_of_the_picture(scan, fake, lying, report, monkeypatch):
    assert scan() == ExitCode.OK
    monkeypatch.setitem(sys.modules, "httpx", None)
    with page_of(report) as client:
        assert commands.adding("immich") in picture(client, "0.jpg").text


def test_folders_that_are_named_leave_servers_out(orientd, scan, fake, lying, report, photos, tmp_path):
    assert scan() == ExitCode.OK
    photos.mkdir()
    fake.asked.clear()
    with page_of(report, photos) as client:
        assert picture(client, "0.jpg").text == "not shown: it lies on a server, and folders were named"
    html = tmp_path / "look.html"
    assert orientd("report", report, photos, "--html", html) == ExitCode.OK
    assert html.read_text().count("it lies on a server, and folders were named") == 2
    assert fake.asked == []


def test_what_immich_does_not_show_yet_is_no_picture_of_before(scan, fake, lying, report):
    assert scan() == ExitCode.OK
    photo = fake.photos[lying[1]]
    photo.made, fake.late = photo.made.replace(year=2020), 10**6
    fake.change(photo, TURN)
    with page_of(report) as client:
        assert "does not show it so yet" in picture(client, "1.jpg").text
        photo.late = 0
        assert picture(client, "1.jpg").status == 200


def pictures_in(html):
    return [base64.b64decode(data) for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", html.read_text())]


@pytest.mark.parametrize("fix", [(), ("--fix",)])
def test_a_scan_leaves_a_report_to_look_at(orientd, scan, fake, lying, tmp_path, report, fix):
    html = tmp_path / "look.html"
    before = [shown(fake, photo) for photo in lying]
    assert scan("--html", html, *fix) == ExitCode.OK
    found = pictures_in(html)
    assert len(found) == 2
    wanted = [shown(fake, photo) for photo in lying[:2]] if fix else before[:2]
    assert all(any(is_like(one, other) for other in found) for one in wanted)
    assert ("before" in html.read_text()) == bool(fix)


def test_a_report_is_made_again_of_a_plan_and_says_what_changed(orientd, scan, fake, lying, tmp_path, report):
    html = tmp_path / "look.html"
    assert scan() == ExitCode.OK
    fake.change(fake.photos[lying[1]], TURN)
    assert orientd("report", report, "--html", html) == ExitCode.OK
    assert len(pictures_in(html)) == 1
    assert "it has changed since it was judged" in html.read_text()


def test_html_limit_and_only_are_those_of_scan(scan, fake, lying, tmp_path, report):
    html = tmp_path / "look.html"
    assert scan("--html", html, "--html-limit", "1", "--only", "fix") == ExitCode.OK
    assert len(pictures_in(html)) == 1
    assert {row["decision"] for row in sky_library.rows(report).values()} == {"fix"}
    assert scan("--html", tmp_path / "plan.csv") == ExitCode.USAGE


def test_both_scans_have_the_same_options(orientd, capsys):
    def options(*command):
        capsys.readouterr()
        assert orientd(*command, "--help") == ExitCode.OK
        return set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", capsys.readouterr().out, flags=re.MULTILINE))

    of_folders = {
        "--files-from",
        "--shard",
        "--cluster",
        "--first-look",
        "--method",
        "--metrics-textfile",
        "--exclude",
        "--exclude-file",
    }
    of_folders |= {"--one-file-system", "--mtime", "--hard-links", "--formats", "--sidecar", "--sidecar-naming"}
    of_servers = {"--url", "--key-file", "--ca-file", "--name", "--album", "--library", "--archived"}
    of_servers |= {"--taken-after", "--taken-before"}
    scans, immich = options("scan"), options("immich", "scan")
    assert (scans - immich, immich - scans) == (of_folders, of_servers)


@pytest.fixture
def inspect(orientd, scan, capsys):
    assert scan() == ExitCode.OK

    def inspect(path, *more):
        capsys.readouterr()
        code = orientd("inspect", path, *more)
        return code, capsys.readouterr()

    return inspect


def test_inspect_tells_of_a_photo_on_a_server(fake, lying, inspect, report):
    path = next(path for path in sky_library.rows(report) if path.endswith("/1.jpg"))
    code, told = inspect(path)
    assert code == ExitCode.OK
    assert "decision: fix 180°" in told.out
    assert "cannot be written" not in told.out
    code, told = inspect(path, "--json")
    found = json.loads(told.out)
    assert (found["path"], found["turn"], found["refusal"], found["origin"]) == (path, 180, None, None)
    assert found["sha256"] == sky_library.rows(report)[path]["sha256"]


def test_inspect_says_what_immich_would_not_turn_and_what_cannot_be_had(fake, running, inspect):
    sphere = fake.add(landscape(90), "sphere.insp")
    code, told = inspect(f"immich:home/{sphere}/sphere.insp", "--json")
    assert (code, json.loads(told.out)["refusal_code"]) == (ExitCode.OK, "not_to_be_turned")
    assert inspect(STRANGER)[0] == ExitCode.INCOMPLETE
    assert inspect(STRANGER, "--json")[1].err.endswith("--url ADDRESS\n")
    code, told = inspect("immich:home/11111111-1111-4111-8111-111111111111/a.jpg", "--json")
    assert (code, json.loads(told.out)["reason_code"]) == (ExitCode.INCOMPLETE, "vanished")


@pytest.fixture
def config(tmp_path, running, key_file):
    given = {"HOME": str(tmp_path), "ORIENTD_STATE_DIR": str(tmp_path / "state"), "ORIENTD_IMMICH_NAME": "home"}
    given |= {"ORIENTD_IMMICH_URL": running.url, "ORIENTD_IMMICH_KEY_FILE": str(key_file)}
    return load(None, given, {})


def test_a_server_that_could_not_be_used_is_tried_again_after_a_while(config, fake, lying):
    clock = Waits()
    path, told = f"immich:home/{lying[1]}/1.jpg", []
    with closing(Connections(config, clock, told.append, again_after=30)) as connect:
        fake.permissions = ("asset.read",)

        def reason():
            with pytest.raises(Exception, match="lacks the permission") as caught:
                ask(connect, path)
            return str(caught.value)

        assert "asset.view" in reason()
        fake.asked.clear()
        clock.time += 29
        assert (reason(), fake.asked) != ("", ["GET server/version"])
        assert fake.asked == []
        fake.permissions = ("all",)
        clock.time += 2
        assert ask(connect, path).photo.edits == ()


def test_a_page_waits_no_minutes_for_a_server(config, running, fake, lying, monkeypatch):
    clock, path = Waits(), f"immich:home/{lying[1]}/1.jpg"
    monkeypatch.setattr(showing, "Clock", lambda _: clock)
    with closing(ImmichPhotos(config, print)) as photos:
        assert photos.read(path).sha256 == photos.state(path)
        running.stop()
        for _ in range(20):
            with pytest.raises(PhotoError) as caught:
                photos.read(path)
            assert caught.value.code is Reason.NOT_REACHABLE
        assert 0 < clock.time <= 10 < PATIENCE
        running.start()
        assert photos.read(path).path == path


def test_what_is_asked_after_the_end_is_no_fault_of_orientd(config, fake, lying):
    photos, path = ImmichPhotos(config, print), f"immich:home/{lying[1]}/1.jpg"
    photos.read(path)
    photos.close()
    for ask_for in (photos.read, photos.state):
        with pytest.raises(PhotoError) as caught:
            ask_for(path)
        assert caught.value.code is Reason.INTERRUPTED


def test_who_waits_for_a_picture_is_let_go_at_the_end(config, fake, lying):
    photos = ImmichPhotos(config, print)
    photos._closed.set()
    fake.faults += [("GET assets", fake_immich.Response(status_code=503))] * 100
    with closing(photos), pytest.raises(PhotoError) as caught:
        photos.read(f"immich:home/{lying[1]}/1.jpg")
    assert caught.value.code is Reason.INTERRUPTED
