"""orientd serve as a process: how it starts and ends, what it leaves behind, and what hostile pictures do to it."""

import http.client
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import deadly, sky_library
from support.processes import children
from support.serving import JPEG, TOKEN, ask, form, served

from orientd.errors import ExitCode

PATH = "/v1/orientation"
pytestmark = pytest.mark.slow


@pytest.fixture
def by_sky(model, monkeypatch, tmp_path):
    """The folder in which it runs, with that model."""
    monkeypatch.setenv("ORIENTD_MODEL", str(model))
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def picture(turn=90, seed=0):
    image = sky_library.landscape(seed).rotate(turn, expand=True)
    image.save(file := io.BytesIO(), "JPEG")
    return file.getvalue()


def left(*folders):
    return [path for folder in folders for path in Path(folder).rglob("*")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_told_to_end_and_leaves_nothing(by_sky, number):
    with served(cwd=by_sky, end=number) as process:
        status, headers, said = ask(process.port, "POST", PATH, picture(), JPEG)
        assert (status, said["images"][0]["turn"], "server" in headers) == (200, 90, False)
        assert ask(process.port, "POST", f"{PATH}?return=image", picture(), JPEG)[0] == 200
        own = children(process.pid)
        assert own
    assert process.said == ""
    assert left(by_sky, os.environ["XDG_STATE_HOME"], os.environ["XDG_CONFIG_HOME"], os.environ["XDG_DATA_HOME"]) == []
    assert not [child for child in own if Path(f"/proc/{child}").exists()]


def test_what_is_in_hand_is_answered_before_it_ends(by_sky):
    """A picture that takes long, of many pixels; the signal comes while it is judged."""
    from PIL import Image

    Image.effect_noise((5000, 4000), 80).convert("RGB").save(file := io.BytesIO(), "PNG", compress_level=1)
    found = []
    with served(cwd=by_sky) as process:
        asking = threading.Thread(target=lambda: found.append(ask(process.port, "POST", PATH, file.getvalue(), JPEG)))
        asking.start()
        while b"orientd_serve_working 1\n" not in ask(process.port, "GET", "/metrics")[2]:
            pass
        process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert process.wait(60) == 0
    assert found[0][0] == 200


def test_a_picture_that_kills_its_decoder_is_an_answer_and_the_service_lives(by_sky, tmp_path):
    environment = deadly.stand_in(tmp_path / "deadly")
    environment["PYTHONPATH"] += os.pathsep + os.pathsep.join(sys.path)
    bad, good = deadly.draw(tmp_path / "bad.jpg", "crash"), sky_library.draw(tmp_path / "good.jpg", 180)
    with served("--workers", 2, cwd=by_sky, **environment) as process:
        for query in ("", "?detail=full"):
            status, _, said = ask(process.port, "POST", PATH + query, bad.read_bytes(), JPEG)
            assert (status, said["reason_code"]) == (422, "crashes")
        killed = deadly.draw(tmp_path / "killed.jpg", "kill").read_bytes()
        status, _, said = ask(process.port, "POST", PATH, killed, JPEG)
        assert (status, said["reason_code"]) == (422, "out_of_memory")
        headers, body = form(*((path.name, path.read_bytes()) for path in (good, bad, good)))
        _, _, said = ask(process.port, "POST", PATH, body, headers)
        assert [one.get("turn", one["reason_code"]) for one in said["images"]] == [180, "crashes", 180]
    assert left(by_sky) == []


def test_it_is_killed_under_load_and_started_again_in_its_place(by_sky, model):
    """Clients go on asking meanwhile: none gets a wrong answer, and nothing that it had started is left."""
    with served(cwd=by_sky) as first:
        port, stop, answers, wrong = first.port, threading.Event(), [0], []

        def load(turn):
            data = picture(turn)
            while not stop.is_set():
                try:
                    status, _, said = ask(port, "POST", PATH, data, JPEG, timeout=30)
                except (OSError, http.client.HTTPException):
                    continue
                answers[0] += 1
                if status != 429 and (status, said["images"][0]["turn"]) != (200, turn):
                    wrong.append((status, said))

        clients = [threading.Thread(target=load, args=(turn,)) for turn in (0, 90, 180, 270)]
        for client in clients:
            client.start()
        try:
            until(lambda: answers[0] > 20)
            own = children(first.pid)
            first.kill()
            first.wait()
            command = [sys.executable, "-m", "orientd", "serve", "--listen", f"127.0.0.1:{port}"]
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
            with subprocess.Popen(command, cwd=by_sky, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as second:
                assert str(port).encode() in second.stdout.readline()
                before = answers[0]
                until(lambda: answers[0] > before + 20)
                stop.set()
                for client in clients:
                    client.join(60)
                second.terminate()
                assert second.communicate(timeout=60)[1] == b""
                assert second.returncode == 0
        finally:
            stop.set()
        until(lambda: not [child for child in own if Path(f"/proc/{child}").exists()])
    assert wrong == []


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        os.sched_yield()


def test_it_listens_on_this_machine_alone(by_sky):
    with served(cwd=by_sky) as process:
        table = Path("/proc/net/tcp").read_text().splitlines()
        places = [line.split()[1] for line in table if line.split()[3] == "0A"]
        assert f"0100007F:{process.port:04X}" in places
        assert f"00000000:{process.port:04X}" not in places


def run(*arguments, cwd, **environment):
    command = [sys.executable, "-m", "orientd", "serve", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0", ":0"])
def test_others_reach_it_only_with_a_token(by_sky, address):
    ran = run("--listen", address, cwd=by_sky)
    assert ran.returncode == ExitCode.USAGE
    assert "--token-file" in ran.stderr or "cannot be used" in ran.stderr


@pytest.mark.parametrize("how", ["file", "environment", "credential"])
def test_the_token_comes_by_a_file_or_the_environment(by_sky, tmp_path, how):
    (tmp_path / "serve-token").write_text(TOKEN + "\n")
    arguments = ["--token-file", tmp_path / "serve-token"] if how == "file" else []
    environment = {"environment": {"ORIENTD_SERVE_TOKEN": TOKEN}, "credential": {"CREDENTIALS_DIRECTORY": str(tmp_path)}}
    with served(*arguments, "--listen", "0.0.0.0:0", cwd=by_sky, **environment.get(how, {})) as process:
        assert ask(process.port, "POST", PATH, picture(), JPEG)[0] == 401
        headers = {**JPEG, "Authorization": f"Bearer {TOKEN}"}
        assert ask(process.port, "POST", PATH, picture(), headers)[0] == 200
        assert ask(process.port, "GET", "/healthz")[0] == 200
        for child in (process.pid, *children(process.pid)):
            if how == "environment" and child != process.pid:
                assert TOKEN.encode() not in Path(f"/proc/{child}/environ").read_bytes(), "no child knows it"
    assert "not encrypted" in process.said
    assert TOKEN not in process.said


@pytest.mark.parametrize("text", ["short", "two words of a token", ""])
def test_a_token_that_keeps_nobody_out_is_refused(by_sky, tmp_path, text):
    (tmp_path / "token").write_text(text)
    ran = run("--token-file", tmp_path / "token", cwd=by_sky)
    assert (ran.returncode, "must hold one word" in ran.stderr) == (ExitCode.USAGE, True)
    assert run("--token-file", tmp_path / "none", cwd=by_sky).returncode == ExitCode.USAGE


def test_an_address_in_use_is_told(by_sky):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("--listen", f"127.0.0.1:{taken.getsockname()[1]}", cwd=by_sky)
    assert (ran.returncode, "cannot be used" in ran.stderr) == (ExitCode.USAGE, True)


def test_a_model_that_is_not_there_is_told_before_it_answers(by_sky):
    ran = run("--listen", "127.0.0.1:0", "--model", "nowhere.onnx", cwd=by_sky)
    assert (ran.returncode, ran.stdout) == (ExitCode.ERROR, "")


def test_systemd_is_told(by_sky, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        with served(cwd=by_sky, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="60000000"):
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
        said = b""
        while said != b"STOPPING=1":
            said = manager.recv(100)


def test_memory_does_not_grow_with_requests(by_sky):
    """`benchmarks/serving.py` looks at 10,000."""

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1])

    data = picture()
    with served("--workers", 1, cwd=by_sky) as process:
        connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)

        def ask_often(number):
            for _ in range(number):
                connection.request("POST", PATH, data, JPEG)
                assert connection.getresponse().read()

        ask_often(300)
        before = resident()
        ask_often(600)
        assert resident() - before < 8 * 1024, "KiB"
        connection.close()
