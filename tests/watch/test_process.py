"""orientd watch as a process: start, work, signals, a second one, a sudden death."""

import os
import signal
import socket
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

from support import sky_library
from support import watcher as watching
from support.watch_process import PATIENCE, WATCHDOG, Process

_model, photos = watching.model_of_skies, watching.photos


def arrive(path):
    """A photo that is sideways or upside down, whole at once: however slow the machine is, it is not judged half-written."""
    return sky_library.draw(path.parent.parent / path.name, 90).rename(path)


def test_from_start_to_end_as_systemd_sees_it(photos, tmp_path):
    with Process(photos, "--fix").ready() as watcher:
        wrong = arrive(photos / "a.jpg")
        watcher.says("fixed")
        (line,) = [line for line in watcher.lines if line["message"].startswith("fixed")]
        assert (line["path"], line["old"], line["new"], line["turn"], line["run"]) == (str(wrong), 8, 1, 90, 1)
        watcher.until(lambda: any(text.startswith("STATUS=idle: 1 judged, 1 fixed") for text in watcher.heard))
        watcher.until(lambda: watcher.heard.count("WATCHDOG=1") >= 5)
        with Process(photos) as second:
            assert second.code() == 4
            assert f"another orientd is watching (process {watcher.process.pid})" in second.messages[-1]
        assert watcher.end() == 0
        assert "STOPPING=1" in watcher.heard
        assert watcher.messages[-1] == "stopped"
    assert sky_library.shown_turned(wrong) == 0


def test_a_second_one_that_keeps_its_state_elsewhere_is_refused_too(photos, tmp_path):
    (photos / "2024").mkdir()
    with Process(photos, state_dir=str(tmp_path / "one")).ready() as first:
        for number, folder in enumerate((photos, photos / "2024", tmp_path)):
            with Process(folder, state_dir=str(tmp_path / f"other{number}")) as second:
                assert second.code() == 4
                assert f"(process {first.process.pid})" in second.messages[-1]
                assert "READY=1" not in second.heard
        with Process(tmp_path / "one", state_dir=str(tmp_path / "beside")).ready() as beside:
            assert beside.end() == 0
        assert "READY=1" in first.heard
        assert first.end(signal.SIGKILL) == -signal.SIGKILL
    with Process(photos / "2024", state_dir=str(tmp_path / "two")).ready() as next_one:
        assert next_one.end() == 0


def test_an_idle_process_uses_no_processor_time(photos, tmp_path):
    sky_library.draw(photos / "a.jpg", 0)

    def ticks():
        fields = Path(f"/proc/{watcher.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # user and system time, see proc_pid_stat(5)

    with Process(photos, release_after="1").ready() as watcher:
        watcher.until(lambda: any(text.startswith("STATUS=idle: 1 judged") for text in watcher.heard))
        signs = watcher.heard.count("WATCHDOG=1")
        watcher.until(lambda: watcher.heard.count("WATCHDOG=1") >= signs + 3)
        before, signs = ticks(), watcher.heard.count("WATCHDOG=1")
        watcher.until(lambda: watcher.heard.count("WATCHDOG=1") >= signs + 5)
        assert (ticks() - before) / os.sysconf("SC_CLK_TCK") <= 0.05
        watcher.end()


STUCK = """
import threading
from orientd.judge.judge import Judge
Judge.__call__ = lambda self, candidates: threading.Event().wait()
"""


def test_a_stuck_judge_gives_no_sign_of_life_so_that_it_is_restarted(photos, tmp_path):
    wrong = sky_library.draw(photos / "a.jpg", 90)
    with Process(photos, "--fix", first="from orientd.judge.judge import Judge").ready() as healthy:
        healthy.says("fixed")
        assert not healthy.is_silent(PATIENCE)
        assert healthy.end() == 0
    sky_library.draw(photos / "b.jpg", 90)
    with Process(photos, "--fix", first=STUCK).ready() as stuck:
        stuck.until(lambda: any(text.startswith("STATUS=judging") for text in stuck.heard))
        assert stuck.is_silent(2 * WATCHDOG)
        assert stuck.end(signal.SIGABRT) == -signal.SIGABRT, "as systemd does then"
    with Process(photos, "--fix").ready() as again:
        again.says("fixed")
        again.end()
    assert [sky_library.shown_turned(path) for path in (wrong, photos / "b.jpg")] == [0, 0]


def test_the_configuration_is_read_anew_on_sighup(photos, tmp_path):
    config = tmp_path / "orientd.yaml"
    config.write_text(f"fix: false\nlibraries: ['{photos}']\n")
    with Process("--config", config).ready() as watcher:
        wrong = arrive(photos / "a.jpg")
        watcher.says("sideways or upside down")
        config.write_text("fix: perhaps\n")
        watcher.process.send_signal(signal.SIGHUP)
        watcher.says("was not reloaded")
        config.write_text(f"fix: true\nlibraries: ['{photos}']\n")
        watcher.process.send_signal(signal.SIGHUP)
        watcher.says("fixed")
        assert watcher.end(signal.SIGINT) == 130
        reloading = next(index for index, text in enumerate(watcher.heard) if text.startswith("RELOADING=1"))
        assert "MONOTONIC_USEC=" in watcher.heard[reloading]
        assert "READY=1" in watcher.heard[reloading:]
    assert sky_library.shown_turned(wrong) == 0


def test_a_sudden_death_loses_nothing(photos, tmp_path):
    wrong = [sky_library.draw(photos / f"{number:02}.jpg", 90, seed=number) for number in range(40)]
    with Process(photos, "--fix", batch="2", workers="1") as watcher:
        watcher.says("fixed")
        watcher.end(signal.SIGKILL)
    with Process(photos, "--fix").ready() as watcher:
        watcher.until(lambda: all(sky_library.shown_turned(path) == 0 for path in wrong))
        watcher.end()
    assert not list(photos.glob(".orientd*"))


def test_trouble_ends_it_with_the_code_that_says_so(photos, tmp_path):
    for arguments, code in ((["--when-missing", "exit", photos / "none"], 75), ([], 2), ([photos, "--settle", "0"], 2)):
        with Process(*arguments) as watcher:
            assert watcher.code() == code


def test_metrics_are_answered_while_it_runs(photos, tmp_path):
    sky_library.draw(photos / "a.jpg", 0)
    with socket.socket() as held:  # bound, so that nobody else gets the port, but not listening, so that the watcher may have it
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with Process(photos, metrics=f"127.0.0.1:{port}").ready() as watcher:
            watcher.until(lambda: any("1 judged" in text for text in watcher.heard))
            with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as client:  # urllib would ask a proxy
                client.request("GET", "/metrics")
                assert b'orientd_photos_total{decision="keep"} 1' in client.getresponse().read()
                client.request("GET", "/healthz")
                assert client.getresponse().status == 200
            assert watcher.end() == 0
