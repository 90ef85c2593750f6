"""Hooks as web pages, on this machine: what is handed over, and every way in which it goes wrong."""

import json
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from support.web_page import Page, served

from orientd import __version__
from orientd.config import Config
from orientd.hooks.facts import Event, Facts
from orientd.hooks.run import run

LONG = 120.0
FACTS = Facts(
    "scan", ("/srv/secret",), 1_700_000_000.0, 2.5, report="/srv/secret/r.csv", exit_code=0, error="/srv/secret is away"
)


@pytest.fixture(autouse=True)
def _no_way_out(monkeypatch):
    """A proxy that is not there: who asks it gets nowhere."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)


def asked(address, seconds=LONG, stop=lambda: False):
    told = []
    run(replace(Config(), on_error=(address,)), Event.ERROR, FACTS, told.append, seconds, stop)
    return told


def test_the_facts_are_handed_over_without_any_name_of_this_machine():
    with served(Page()) as page:
        assert asked(page.url("/ping/uuid?x=1")) == []
    ((method, path, body),) = page.asked
    assert (method, path, page.agents) == ("POST", "/ping/uuid?x=1", [f"orientd/{__version__}"])
    facts = json.loads(body)
    assert (facts["event"], facts["command"], facts["exit_code"]) == ("error", "scan", 0)
    assert [facts[name] for name in ("roots", "report", "error")] == [None, None, None]
    assert b"secret" not in body


@pytest.mark.parametrize("status", [404, 500, 307])
def test_an_answer_that_says_no_is_told_without_the_address(status):
    with served(Page(status)) as page:
        assert asked(page.url("/secret-uuid")) == [f"on_error: 127.0.0.1 answered {status}"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_page_of_the_same_host_that_it_leads_to_is_handed_the_same(status):
    with served(Page(status, "/other?a b")) as page:
        assert asked(page.url()) == []
    first, second = page.asked
    assert (first[:2], second[:2]) == (("POST", "/ping"), ("POST", "/other?a%20b"))
    assert json.loads(first[2])["command"] == "scan"
    assert second[2] == first[2]
    assert page.agents == [f"orientd/{__version__}"] * 2


def test_pages_that_lead_in_a_circle_are_told():
    with served(Page(302, "/ping")) as page:
        (trouble,) = asked(page.url())
    assert trouble == "on_error: 127.0.0.1 answered 302"


def test_a_redirection_is_followed_nowhere_else():
    with served(Page()) as elsewhere:
        for address in (elsewhere.url("/x"), f"http://localhost:{elsewhere.port}/x"):
            with served(Page(302, address)) as page:
                assert asked(page.url()) == ["on_error: 127.0.0.1 leads to another host, which is not asked: name that one"]
        assert elsewhere.asked == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "https://127.0.0.2/", "data:,x"])
def test_a_redirection_leads_to_no_other_kind_of_address(address):
    with served(Page(302, address)) as page:
        (trouble,) = asked(page.url())
    assert "leads to another host" in trouble or "answered 302" in trouble


def test_one_that_nobody_answers_is_told():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        assert asked(f"http://127.0.0.1:{held.getsockname()[1]}/") == [
            "on_error: 127.0.0.1 cannot be reached: Connection refused"
        ]


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_one_that_hangs_or_drips_is_given_up(how):
    with served(Page(**{how: True})) as page:
        (trouble,) = asked(page.url(), stop=lambda: bool(page.asked))
        assert trouble == "on_error: 127.0.0.1 was ended, as orientd stops"
        (trouble,) = asked(page.url(), seconds=1.0)
    assert "took longer than 1 seconds" in trouble or "timed out" in trouble


def test_one_that_answers_nonsense_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        (trouble,) = asked(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert trouble.startswith("on_error: 127.0.0.1 gave no proper answer")


def test_a_module_of_the_current_folder_is_never_run(tmp_path, monkeypatch):
    Path(tmp_path, "json.py").write_text("raise SystemExit('mine')")
    Path(tmp_path, "orientd").mkdir()
    monkeypatch.chdir(tmp_path)
    with served(Page()) as page:
        assert asked(page.url()) == []
    assert len(page.asked) == 1


def test_what_goes_unencrypted_to_other_networks_is_warned_of(monkeypatch):
    monkeypatch.setattr("orientd.hooks.run.process.run", lambda *_: (0, ""))
    warned = ["on_error: http://example.org is asked unencrypted, across other networks: use https"]
    assert asked("http://example.org/x") == warned
    fine = (
        "https://example.org/x",
        "http://192.168.1.9/",
        "http://[fd00::1]/",
        "http://nas/x",
        "http://nas.local/",
        "http://[::1]/",
    )
    for address in fine:
        assert asked(address) == []
    assert asked("http://93.184.216.34/") == [warned[0].replace("example.org", "93.184.216.34")]
