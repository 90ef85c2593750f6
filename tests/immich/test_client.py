"""What the client makes of a server that is busy, down, old, or that says no; and that the key goes nowhere else."""

import gzip
import logging
import traceback
import zlib
from functools import partial

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from support import fake_immich

from orientd.errors import ConfigError, LibraryUnavailable, PhotoError, ReadError, Stopped
from orientd.pipeline.immich.address import Key, Server, address, name_of, parts_of, path_of, read_key, warn_of
from orientd.pipeline.immich.client import PATIENCE, READING, WRITING, Client, Clock
from orientd.reasons import Reason

PHOTO = "11111111-1111-4111-8111-111111111111"
TURN = [{"action": "rotate", "parameters": {"angle": 90}}]


class Waits(Clock):
    """A clock that only waiting moves; `then` is called at every wait."""

    def __init__(self, then=lambda: None):
        super().__init__()
        self.time, self.waits, self.then = 0.0, [], then

    def now(self):
        return self.time

    def wait(self, seconds):
        self.time += seconds
        self.waits.append(seconds)
        self.then()


@pytest.fixture
def clock():
    return Waits()


@pytest.fixture
def client(running, clock):
    made = Client(Server("home", running.url), Key(fake_immich.KEY), clock)
    yield made
    made.close()


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_who_is_busy_is_asked_again(client, fake, clock, code):
    fake.faults += [("GET users", Response(status_code=code))] * 3
    assert client.greet(READING) == fake_immich.OWNER
    assert (len(clock.waits), clock.waits) == (3, sorted(clock.waits))


def test_the_server_says_how_long_to_wait(client, fake, clock):
    fake.faults.append(("GET users", Response(status_code=429, headers={"retry-after": "11"})))
    client.greet(READING)
    assert clock.waits == [11]


@pytest.mark.parametrize(
    ("told", "pause"),
    [
        ({"retry-after": "60"}, 60),
        ({"retry-after": "Sun, 29 Nov 2026 12:00:30 GMT", "date": "Sun, 29 Nov 2026 12:00:00 GMT"}, 30),
        ({"retry-after": "Sun, 29 Nov 2026 11:00:00 GMT", "date": "Sun, 29 Nov 2026 12:00:00 GMT"}, 1),
        ({"retry-after": "86400"}, PATIENCE),
        ({"retry-after": "soon"}, 1),
    ],
)
def test_what_a_server_says_to_wait_is_kept_as_far_as_patience_goes(client, clock, monkeypatch, told, pause):
    answers = [httpx.Response(429, headers=told), httpx.Response(200, content=b"picture")]
    client._http.close()
    client._http = httpx.Client(transport=httpx.MockTransport(lambda _: answers.pop(0)), base_url="http://immich/api/")
    assert client.preview(PHOTO, edited=False) == (b"picture", 0)
    assert clock.waits == [pause]


def test_patience_ends(client, fake, clock):
    fake.faults += [("POST search", Response(status_code=503))] * 1000
    with pytest.raises(ReadError, match="busy or starting") as caught:
        client.page(1, {"size": 10})
    assert caught.value.code is Reason.NOT_REACHABLE
    assert PATIENCE - 20 < clock.time <= PATIENCE
    assert isinstance(client.trouble, LibraryUnavailable)


def test_a_server_that_restarts_is_waited_for(fake, running, key_file):
    running.stop()
    clock = Waits(then=running.start)
    client = Client(Server("home", running.url), Key(fake_immich.KEY), clock)
    assert client.greet(READING) == fake_immich.OWNER
    assert len(clock.waits) == 1
    client.close()


def test_a_server_that_stays_away_is_waited_for_once_and_then_briefly_until_it_answers(client, fake, clock):
    def takes():
        began = clock.time
        with pytest.raises(ReadError) as caught:
            client.asset(PHOTO)
        assert caught.value.code is Reason.NOT_REACHABLE
        return clock.time - began

    fake.faults += [("GET assets", Response(status_code=503))] * 1000
    assert takes() > PATIENCE - 20
    assert (takes() <= 5, takes() <= 5) == (True, True)
    fake.faults.clear()
    client.greet(READING)
    fake.faults += [("GET assets", Response(status_code=503))] * 1000
    assert takes() > PATIENCE - 20


def test_an_answer_that_cannot_be_decoded_is_one_of_a_server_in_trouble(client, fake):
    fake.faults.append((f"GET assets/{PHOTO}", Response(b"no gzip", headers={"content-encoding": "gzip"})))
    with pytest.raises(ReadError) as caught:
        client.asset(PHOTO)
    assert caught.value.code is Reason.VANISHED, "asked again it says that there is no such photo"


def answering(client, content, headers=()):
    """Has any question answered by what `content` gives, and asks for a preview."""

    def answer(_):
        return httpx.Response(200, headers=dict(headers), content=content())

    client._http.close()
    client._http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://immich/api/")
    return client.preview(PHOTO, edited=False)


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_an_end_fills_no_memory(client, monkeypatch, packed):
    monkeypatch.setattr("orientd.pipeline.immich.client._MOST_BYTES", 2**20)
    sent = []

    def content():
        packer = zlib.compressobj()
        for _ in range(2**11):
            sent.append(1)
            yield packer.compress(bytes(2**16)) + packer.flush(zlib.Z_SYNC_FLUSH) if packed else bytes(2**16)

    with pytest.raises(ReadError) as caught:
        answering(client, content, {"content-encoding": "deflate"} if packed else {})
    assert (caught.value.code, client.trouble) == (Reason.TOO_LARGE, None)
    assert len(sent) == 2**4 + 1


def test_an_answer_that_drips_is_given_up(client, clock):
    def content():
        for _ in range(1000):
            clock.time += 30
            yield b"x"

    with pytest.raises(ReadError, match="takes longer than 120 seconds") as caught:
        answering(client, content)
    assert (caught.value.code, clock.time) == (Reason.NOT_REACHABLE, 150)


def test_a_packed_answer_comes_unpacked(client):
    packed = gzip.compress(b"picture")
    found = answering(client, lambda: packed, {"content-encoding": "gzip", "last-modified": "Thu, 01 Jan 1970 00:01:00 GMT"})
    assert found == (b"picture", 60)


def test_a_fault_at_one_photo_is_its_own(client, fake, clock):
    fake.faults += [(f"GET assets/{PHOTO}", Response(status_code=500))] * 3
    with pytest.raises(ReadError) as caught:
        client.asset(PHOTO)
    assert caught.value.code is Reason.SYSTEM_ERROR
    assert client.trouble is None
    assert fake.faults == []


def test_what_changes_a_photo_is_sent_once(client, fake, clock):
    fake.faults.append((f"PUT assets/{PHOTO}", Response(status_code=503)))
    with pytest.raises(PhotoError):
        client.put(PHOTO, TURN)
    assert (fake.asked.count(f"PUT assets/{PHOTO}/edits"), clock.waits) == (1, [])


def test_a_server_that_is_not_there(clock):
    client = Client(Server("home", "http://127.0.0.1:9"), Key(fake_immich.KEY), clock)
    with pytest.raises(LibraryUnavailable, match="does not answer"):
        client.greet(READING)
    assert clock.time < 10
    client.close()


def test_a_photo_that_is_not_there(client):
    with pytest.raises(ReadError) as caught:
        client.asset(PHOTO)
    assert (caught.value.code, client.trouble) == (Reason.VANISHED, None)


@pytest.mark.parametrize(("version", "fine"), [((2, 4, 9), False), ((1, 200, 0), False), ((2, 5, 0), True), ((4, 0, 0), True)])
def test_a_server_that_is_too_old_is_named(client, fake, version, fine):
    fake.version = version
    if fine:
        client.greet(READING)
    else:
        with pytest.raises(ConfigError, match=r"upgrade it to 2\.5"):
            client.greet(READING)


def test_permissions_that_lack_are_named_at_once(client, fake):
    fake.permissions = ("asset.read", "asset.view", "user.read", "asset.edit.create")
    with pytest.raises(ConfigError, match=r"asset\.edit\.get, asset\.edit\.delete: add it"):
        client.greet(READING + WRITING)


def test_a_permission_withdrawn_in_the_middle_is_named(client, fake):
    client.greet(READING)
    fake.permissions = ("asset.view",)
    with pytest.raises(ReadError, match=r"asset\.read"):
        client.asset(PHOTO)
    assert isinstance(client.trouble, ConfigError)


def test_a_wrong_key(running, clock):
    client = Client(Server("home", running.url), Key("x" * 40), clock)
    with pytest.raises(ConfigError, match="does not know the key"):
        client.greet(READING)
    client.close()


def test_who_greets_again_is_not_told_what_was_wrong_before(client, fake):
    fake.faults.append(("GET api-keys/me", JSONResponse({"message": "Invalid API key"}, 401)))
    with pytest.raises(ConfigError, match="does not know the key"):
        client.greet(READING)
    fake.faults += [("GET server/version", Response(status_code=503))] * 100
    with pytest.raises(LibraryUnavailable, match="busy or starting"):
        client.greet(READING)


@pytest.mark.parametrize("answer", [PlainTextResponse("hello"), JSONResponse({}), JSONResponse([1])])
def test_who_is_no_immich(client, fake, answer):
    fake.faults.append(("GET server/version", answer))
    with pytest.raises((ConfigError, LibraryUnavailable), match="does not answer as Immich does"):
        client.greet(READING)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_the_key_elsewhere(client, fake, status):
    other = fake_immich.Fake()
    elsewhere = fake_immich.Running(other)

    def leads_away(what):
        fake.faults.append((what, RedirectResponse(f"{elsewhere.url}/api/{what.split()[1]}", status)))

    try:
        leads_away("GET server/version")
        with pytest.raises(ConfigError, match="sends elsewhere"):
            client.greet(READING)
        client.greet(READING)
        for ask in (client.asset, client.edits, partial(client.preview, edited=False), partial(client.put, edits=TURN)):
            for method in ("GET", "PUT"):
                leads_away(f"{method} assets/{PHOTO}")
            with pytest.raises(ReadError, match="sends elsewhere"):
                ask(PHOTO)
            fake.faults.clear()
    finally:
        elsewhere.stop()
    assert isinstance(client.trouble, ConfigError)
    assert other.asked == []


def test_nothing_that_is_shown_holds_the_key(running, fake, clock, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    key = Key(fake_immich.KEY)
    client = Client(Server("home", running.url), key, clock)
    client.greet(READING)
    shown = [repr(client), repr(key), str(key), f"{vars(client)}", repr(client._http.headers)]
    fake.faults += [("GET assets", Response(status_code=code)) for code in (401, 500, 500, 500, 404)]
    for _ in range(3):
        try:
            client.asset(PHOTO)
        except PhotoError as error:
            shown += ["".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())]
    running.stop()
    with pytest.raises(PhotoError) as caught:
        client.asset(PHOTO)
    shown += ["".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())]
    running.start()
    client.close()
    assert len(shown) == 9
    assert fake.keys.count(fake_immich.KEY) >= 6
    assert not [text for text in [*shown, caplog.text] if fake_immich.KEY in text]


def test_waiting_ends_when_somebody_asks_to_stop():
    with pytest.raises(Stopped):
        Clock(lambda: True).wait(1000)


@pytest.mark.parametrize(
    ("given", "url", "name"),
    [
        ("https://photos.example.com", "https://photos.example.com", "photos.example.com"),
        ("http://10.0.0.2:2283/api/", "http://10.0.0.2:2283", "10.0.0.2:2283"),
        ("https://example.com/immich/api", "https://example.com/immich", "example.com"),
        ("http://[::1]:2283", "http://[::1]:2283", "1:2283"),
        (" HTTPS://Example.com/ ", "https://example.com", "example.com"),
    ],
)
def test_addresses(given, url, name):
    assert address(given) == url
    assert address(url) == url
    assert name_of(url) == name
    assert parts_of(path_of(name, PHOTO, "a/../b\n.jpg")) == (name, PHOTO)


@pytest.mark.parametrize(
    "given", ["", "photos", "ftp://a", "https://", "https://me:secret@a", "https://a/?x=1", "https://a:99999", "http://[::1"]
)
def test_what_is_no_address(given):
    with pytest.raises(ConfigError):
        address(given)


@pytest.mark.parametrize(
    "path", ["/a/b", "immich:", f"immich:/{PHOTO}/x", "immich:home/../x", f"immich:ho me/{PHOTO}", f"immich:home/{PHOTO}0/x", "x"]
)
def test_what_is_no_path_of_a_photo(path):
    with pytest.raises(ValueError, match="no path"):
        parts_of(path)


@pytest.mark.parametrize(
    ("url", "address_", "warns"),
    [
        ("http://photos.example.com", "93.184.216.34", True),
        ("http://photos.lan", "192.168.1.5", False),
        ("http://localhost", "127.0.0.1", False),
        ("http://six", "fd00::1%eth0", False),
        ("https://photos.example.com", "93.184.216.34", False),
    ],
)
def test_a_key_that_travels_in_the_open_is_told(url, address_, warns):
    told = []
    warn_of(url, told.append, lambda _: [address_])
    assert bool(told) == warns


def test_the_key_comes_from_its_file_or_the_credential(tmp_path, key_file):
    assert read_key(Server("a", "b", str(key_file)), print, {}).reveal() == fake_immich.KEY
    (tmp_path / "immich-key").write_text("another-key")
    assert read_key(Server("a", "b"), print, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).reveal() == "another-key"


def test_a_key_that_others_can_read_is_told(key_file):
    told = []
    key_file.chmod(0o644)
    read_key(Server("a", "b", str(key_file)), told.append, {})
    assert "chmod 600" in told[0]


@pytest.mark.parametrize("content", [b"", b"two words here", b"\xff\xfe", b"short", b"key-one-1234567\nkey-two-1234567"])
def test_a_file_that_holds_no_key(tmp_path, content):
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_key(Server("a", "b", str(file)), print, {})
    assert "two words" not in str(caught.value)


@pytest.mark.parametrize("server", [Server("a", "b"), Server("a", "b", "/nowhere/key")])
def test_a_key_that_is_not_there(server):
    with pytest.raises(ConfigError, match=r"key"):
        read_key(server, print, {})


def test_a_file_of_certificates_that_is_none(key_file, clock):
    with pytest.raises(ConfigError, match="PEM"):
        Client(Server("a", "https://a", "", str(key_file)), Key("x"), clock)
