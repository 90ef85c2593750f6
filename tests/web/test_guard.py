"""Attacks on the page: each must get nothing, and the page itself everything."""

import pytest
from support import review_pages
from support.review_pages import ACCESS, HOST, JSON, PORT, Client

from orientd.web import guard
from orientd.web.guard import Access, Guard


class Now:
    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        return self.seconds


async def app(scope, receive, send):
    """Tells what reached it."""
    body = (await receive())["body"] if scope["method"] == "POST" else b""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"secret " + body})


@pytest.fixture
def clock():
    return Now()


@pytest.fixture
def client(clock):
    client = Client(Guard(app, ACCESS, clock))
    yield client
    client.close()


def test_the_page_itself_gets_in(client):
    assert client.get("/").text == "secret "
    assert client.get("/api/list", sec_fetch_site="same-origin").status == 200
    assert client.get("/photo/1/320", sec_fetch_site="same-origin").status == 200
    assert client.post("/api/verdict", {"a": 1}).text == 'secret {"page": "p", "a": 1}'


def test_the_token_opens_the_door_and_is_swapped_for_a_cookie(client):
    answer = client.get("/?token=the-token", cookie=None, sec_fetch_site="cross-site")
    cookie = review_pages.cookie_in(answer)[f"orientd-{PORT}"]
    assert answer.status == 200
    assert b"secret" not in answer.body
    assert b"the-token" not in answer.body
    assert (cookie.value, cookie["httponly"], cookie["samesite"], cookie["path"]) == ("the-session", True, "Strict", "/")
    assert 'http-equiv="refresh" content="0;url=/"' in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer", "the token is told to nobody"


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=the-toke", "/?token=the-token2", "/?tok=the-token", "/api/list?token=the-token"]
)
def test_without_the_token_or_the_cookie_there_is_nothing(client, path):
    answer = client.get(path, cookie=None)
    assert (answer.status, b"secret" in answer.body) == (403, False)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "cookie", ["", "orientd-4711=", "orientd-4711=the-token", "orientd-4712=the-session", "orientd-4711=the-sessio;=", "\\"]
)
def test_a_wrong_cookie_opens_nothing(client, cookie):
    assert client.get("/", cookie=cookie).status == 403
    assert client.post("/api/verdict", cookie=cookie).status == 403


def test_every_start_has_another_token():
    one, other = Access("127.0.0.1", 1), Access("127.0.0.1", 1)
    assert len({one.token, one.session, other.token, other.session}) == 4
    assert min(map(len, (one.token, one.session))) >= 43, "256 bits"


@pytest.mark.parametrize(
    "host",
    ["evil.example:4711", "127.0.0.1.evil.example", "localhost.evil.example:4711", "192.168.0.7:4711", "", "a@127.0.0.1", None],
)
def test_a_strange_name_is_not_answered(client, host):
    """A stranger's name that was made to lead here (DNS rebinding) has its pages talk to this port as their own."""
    for path in ("/", "/?token=the-token", "/photo/1/320"):
        assert client.get(path, host=host).status == 403
    assert client.post("/api/verdict", host=host, origin=f"http://{host}").status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:4711", "localhost:4711", "LOCALHOST:4711", "[::1]:4711", "localhost:8022"])
def test_this_machine_goes_by_several_names(client, host):
    assert client.get("/", host=host).status == 200
    assert client.post("/api/verdict", host=host, origin=f"http://{host}").status == 200


def test_who_listens_for_others_is_known_by_numbers_and_its_own_name(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Attic")
    everywhere, named = Access("0.0.0.0", 80), Access("attic.lan", 80)
    assert [everywhere.is_here(host) for host in ("192.168.0.7", "attic:80", "[fe80::1]:80", "evil.example")] == [
        True,
        True,
        True,
        False,
    ]
    assert [named.is_here(host) for host in ("attic.lan", "127.0.0.1", "evil.example")] == [True, False, False]
    assert (everywhere.is_local, named.is_local, ACCESS.is_local) == (False, False, True)
    assert everywhere.address.startswith("http://127.0.0.1:80/?token=")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:4712", "http://127.0.0.1", "null", "", None, "file://"]
)
def test_another_page_in_the_same_browser_changes_nothing(client, origin):
    assert client.post("/api/apply", origin=origin).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_what_the_browser_says_of_where_a_request_comes_from_counts(client, site):
    assert client.post("/api/apply", sec_fetch_site=site).status == 403
    if site != "none":
        assert client.get("/photo/1/320", sec_fetch_site=site).status == 403
        assert client.get("/api/list", sec_fetch_site=site).status == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None])
def test_a_form_is_no_request(client, kind):
    assert client.post("/api/verdict", content_type=kind).status == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "HEAD", "PATCH"])
def test_no_other_method_is_known(client, method):
    assert client.ask(method, "/api/verdict", headers=JSON).status == 405


def test_what_speaks_otherwise_is_not_spoken_to(client):
    said = []

    async def send(message):
        said.append(message)

    client._runner.run(client.app({"type": "websocket", "path": "/", "headers": []}, None, send))
    assert said == []


def test_a_huge_body_is_not_read(client):
    assert client.ask("POST", "/api/verdict", headers=JSON | {"content-length": str(guard.MOST_BODY + 1)}).status == 413
    assert client.ask("POST", "/api/verdict", headers=JSON | {"content-length": "9" * 5000}).status == 413
    assert client.ask("POST", "/api/verdict", headers=JSON | {"content-length": "-1"}).status == 413
    endless = [b"x" * 65536] * 1000
    assert client.ask("POST", "/api/verdict", headers=JSON, chunks=endless).status == 413
    assert len(endless) > 900, "most of it was left unread"
    assert client.ask("POST", "/api/verdict", headers=JSON, chunks=[b"x" * 1000] * 100).status == 200


def test_a_body_that_does_not_come_is_not_waited_for(client, monkeypatch):
    monkeypatch.setattr(guard, "SECONDS_FOR_A_BODY", 0.01)
    assert client.ask("POST", "/api/verdict", headers=JSON, chunks=[b"{", None]).status == 408


def test_who_asks_too_often_waits(client, clock):
    rate, most = guard.OWNER
    answers = [client.get("/api/list").status for _ in range(most + 5)]
    assert answers == [200] * most + [429] * 5
    clock.seconds += 10 / rate
    assert [client.get("/api/list").status for _ in range(11)] == [200] * 10 + [429]


def test_strangers_use_up_only_their_own(client, clock):
    answers = [client.get("/?token=guess", cookie=None).status for _ in range(guard.STRANGERS[1] + 5)]
    assert answers == [403] * guard.STRANGERS[1] + [429] * 5
    assert client.get("/api/list").status == 200


def test_nothing_from_elsewhere_runs_in_the_page_and_nobody_frames_or_keeps_it(client):
    for answer in (client.get("/"), client.get("/", cookie=None), client.get("/?token=the-token", cookie=None)):
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert {policy[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
        assert {policy[name] for name in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_headers_that_come_twice_do_not_hide_one_another(client):
    scope_headers = [(b"host", HOST.encode()), (b"host", b"evil.example")]
    asked = guard.Asked.of({"method": "GET", "path": "/", "query_string": b"", "headers": scope_headers})
    assert not ACCESS.is_here(asked.headers["host"])


def test_what_is_odd_is_refused_and_not_a_fault(client):
    odd = "/?" + "&".join(f"token={number}" for number in range(100))
    assert client.get(odd, cookie=None).status == 403
    assert client.get("/?token=%ff%00", cookie=None).status == 403
    assert client.get("/", cookie="orientd-4711=\xff\xfe").status == 403
