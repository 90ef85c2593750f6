"""Who is let in, how much each may send, and what is answered to the rest."""

import threading

import pytest
from support.serving import JPEG, PORT, TOKEN, client_of

from orientd.web.service import door
from orientd.web.service.door import Limits
from orientd.web.service.forms import MOST
from orientd.web.service.tasks import Answer

PATH = "/v1/orientation"
AUTHORIZED = {**JPEG, "authorization": f"Bearer {TOKEN}"}


def work(tasks):
    """Tells the size and the name of each."""
    return [
        Answer({"name": task.name, "size": len(task.data), "decision": "keep", "seconds": {"waited": 0.0, "took": 0.0}})
        for task in tasks
    ]


@pytest.fixture
def client():
    with client_of(work, limits=Limits(100, 250, 60.0, 60.0)) as client:
        yield client


def told(answer):
    return answer.status, answer.json["reason_code"]


def test_a_picture_comes_through(client):
    assert client.send(PATH, b"abc").json == {
        "images": [{"name": "", "size": 3, "decision": "keep", "seconds": {"waited": 0.0, "took": 0.0}}]
    }
    with client_of(work) as client:
        found = client.send_form(PATH, ("a.jpg", b"1"), ("b.jpg", b"22")).json["images"]
    assert [(one["name"], one["size"]) for one in found] == [("a.jpg", 1), ("b.jpg", 2)]


@pytest.mark.parametrize("host", ["evil.example:4711", "127.0.0.1.evil.example", "", "192.168.0.7:4711"])
def test_without_a_token_a_strange_name_is_not_answered(client, host):
    """A stranger's name that was made to lead here (DNS rebinding) has its pages talk to this port as their own."""
    assert told(client.send(PATH, b"abc", {**JPEG, "host": host})) == (403, "from_elsewhere")
    assert client.get("/", host=host).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_without_a_token_other_web_pages_get_nothing(client, headers):
    assert told(client.send(PATH, b"abc", {**JPEG, **headers})) == (403, "from_elsewhere")
    assert client.ask("GET", "/metrics", b"", headers).status == 403


def test_the_page_itself_gets_what_it_asks_for(client):
    headers = {"origin": f"http://127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}
    assert client.send(PATH, b"abc", {**JPEG, **headers}).status == 200
    assert client.get("/", sec_fetch_site="cross-site").status == 200, "a link may lead there"


def test_with_a_token_nothing_else_counts():
    with client_of(work, token=TOKEN) as client:
        for headers in (
            JPEG,
            {**JPEG, "authorization": "Bearer another-token-long"},
            {**JPEG, "authorization": f"Basic {TOKEN}"},
        ):
            answer = client.send(PATH, b"abc", headers)
            assert told(answer) == (401, "token_needed")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert client.send("/v1/page", b"abc", headers).status == 401
            assert client.ask("GET", "/metrics", b"", {"authorization": headers.get("authorization")}).status == 401
        elsewhere = {"host": "photos.example.com", "origin": "https://photos.example.com", "sec-fetch-site": "cross-site"}
        assert client.send(PATH, b"abc", {**AUTHORIZED, **elsewhere}).status == 200
        assert [client.get(path).status for path in ("/", "/docs", "/openapi.json", "/healthz", "/static/serve.js")] == [200] * 5


def test_the_scheme_of_a_token_may_be_written_in_any_case():
    with client_of(work, token=TOKEN) as client:
        assert client.send(PATH, b"abc", {**JPEG, "authorization": f"bearer {TOKEN}"}).status == 200
        assert client.send(PATH, b"abc", {**JPEG, "authorization": f"bearer {TOKEN.upper()}"}).status == 401


def test_guessing_the_token_is_slow():
    with client_of(work, token=TOKEN, clock=lambda: 0.0) as client:
        found = [client.send(PATH, b"abc").status for _ in range(100)]
        assert (found.count(401), found.count(429)) == (60, 40)
        assert client.send(PATH, b"abc", AUTHORIZED).status == 200, "who has it is not kept waiting"


def test_a_body_has_an_end(client):
    assert client.send(PATH, b"x" * 100).status == 200
    answer = client.send(PATH, b"x" * 101)
    assert (told(answer), "connection" in answer.headers) == ((413, "body_too_large"), False), "or most clients would not hear it"
    told_more = {**JPEG, "content-length": "99999999999999999999999"}
    assert told(client.ask("POST", PATH, b"", told_more)) == (413, "body_too_large")
    endless = [b"x" * 50] * 3
    assert told(client.ask("POST", PATH, headers=dict(JPEG), chunks=endless)) == (413, "body_too_large")


def test_a_body_that_does_not_come_is_not_waited_for():
    with client_of(work, limits=Limits(100, 250, 0.01, 60.0)) as client:
        answer = client.ask("POST", PATH, headers={**JPEG, "content-length": "9"}, chunks=[b"x", None])
        assert (told(answer), answer.headers["connection"]) == ((408, "body_too_slow"), "close")
        assert client.send(PATH, b"abc").status == 200
        assert _held(client) == 0


def _held(client):
    return client.app._held


def test_all_bodies_together_have_an_end(client, monkeypatch):
    monkeypatch.setattr(door, "_DRAINED", 0.01)
    assert client.app.take(200)
    answer = client.send(PATH, b"x" * 51)
    assert (told(answer), answer.headers["retry-after"]) == ((429, "queue_full"), "1")
    assert client.send(PATH, b"x" * 50).status == 200
    assert told(client.ask("POST", PATH, headers=dict(JPEG), chunks=[b"x" * 40, b"x" * 11, b"x"])) == (429, "queue_full")
    client.app.give(200)
    assert client.ask("POST", PATH, headers=dict(JPEG), chunks=[b"x" * 40, b"x" * 11]).json["images"][0]["size"] == 51
    assert _held(client) == 0


def test_more_than_may_wait_is_turned_away():
    gate, arrived = threading.Event(), threading.Semaphore(0)

    def held(tasks):
        arrived.release()
        assert gate.wait(60)
        return work(tasks)

    with client_of(held, queue=2, limits=Limits(answer_seconds=0.01)) as client:
        assert told(client.send(PATH, b"1")) == (503, "too_busy")
        assert arrived.acquire(timeout=60)
        waiting = client.workers.ask(["x", "y"])
        answer = client.send(PATH, b"2")
        assert (told(answer), answer.headers["retry-after"]) == ((429, "queue_full"), "1")
        for one in waiting:
            one.cancel()
        assert told(client.send_form(PATH, *[(str(n), b"x") for n in range(3)])) == (429, "queue_full"), "all or none"
        assert 'orientd_serve_refused_total{reason="queue_full"} 2' in client.get("/metrics").text
        gate.set()


@pytest.mark.parametrize("kind", ["text/html", "application/json", "application/x-www-form-urlencoded"])
def test_a_wrong_type_is_told(client, kind):
    answer = client.send(PATH, b"abc", {"content-type": kind})
    assert told(answer) == (415, "wrong_type")
    assert "curl -F" in answer.json["error"]


def test_too_many_pictures():
    with client_of(work) as client:
        assert told(client.send_form(PATH, *[(str(n), b"x") for n in range(MOST + 1)])) == (413, "too_many_images")


@pytest.mark.parametrize(
    "query", ["?return=jpeg", "?detail=all", "?retrun=image", "?return=image&detail=full&x=1", "?url=http://example.org/a.jpg"]
)
def test_an_address_that_says_what_is_not_known(client, query):
    assert told(client.send(PATH + query, b"abc")) == (400, "bad_request")


def test_what_only_one_of_the_two_can(client):
    assert told(client.send("/v1/page?detail=full", b"abc")) == (400, "bad_request")
    assert told(client.send("/v1/page?return=preview", b"abc")) == (400, "bad_request")
    with client_of(work) as client:
        assert told(client.send_form(PATH + "?return=image", ("a", b"1"), ("b", b"2"))) == (400, "bad_request")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", PATH, 405),
        ("GET", PATH, 405),
        ("GET", "/v2", 404),
        ("GET", "/static/../door.py", 404),
        ("POST", f"{PATH}/", 404),
        ("GET", "/healthz/", 404),
    ],
)
def test_what_is_not_there(client, method, path, status):
    answer = client.ask(method, path)
    assert (answer.status, answer.json["reason_code"]) == (status, {405: "wrong_method", 404: "not_found"}[status])


def test_nothing_foreign_runs_in_its_pages(client):
    for path in ("/", "/docs", "/openapi.json", "/v1", "/healthz"):
        headers = client.get(path).headers
        assert (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;" in headers["content-security-policy"]
        )
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")


def test_a_fault_is_told_as_one_and_the_service_goes_on(caplog):
    def faulty(tasks):
        if tasks[0].data == b"fault":
            raise ValueError("a\nfault")
        return work(tasks)

    with client_of(faulty) as client:
        answer = client.send(PATH, b"fault")
        assert (told(answer), "ValueError: a\\nfault" in answer.json["error"]) == ((500, "unexpected"), True)
        assert client.send(PATH, b"abc").status == 200
    assert "a picture met a fault of orientd" in caplog.text


def test_healthz_tells_when_the_workers_are_gone():
    with client_of(work) as client:
        assert client.get("/healthz").status == 200
        client.workers.close()
        assert client.get("/healthz").status == 503
