"""Who may ask the page for something, and how much of it.

The page shows a person's photos and can have them changed, and any program and any web page on this machine can reach its port.
What keeps them out:

- A token of 256 random bits in the address, which the browser gets rid of at once for a cookie (HttpOnly, SameSite=Strict).
- The name in `Host` must be one of this machine's, so that no name of a stranger can be made to lead here (DNS rebinding).
- What changes something must come from the page itself, by `Origin` and `Sec-Fetch-Site`, and be JSON, which no form can send.
- Nothing but the page's own files can run in it or be loaded into it (CSP), and nobody can frame it.
- A body has a limit of size and of time; too frequent requests are refused for a while, those of strangers by their own limit.

What is not kept out: root, and whoever runs programs as this user. Beyond this machine (`--listen`) anybody on the way can read
along, as there is no TLS: the command says so, and a tunnel by SSH is the way to do it.
"""

import asyncio
import hmac
import ipaddress
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as made
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY: Final = 256 * 1024
"""Bytes of one request."""
SECONDS_FOR_A_BODY: Final = 10.0
OWNER: Final = (400.0, 1200)
"""Requests a second, and how many at once, of who has the key: a page that is scrolled asks for some hundred small pictures."""
STRANGERS: Final = (20.0, 60)

_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE: Final = ("", "0.0.0.0", "::")
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:/@\s\[\]]+)(?::\d{1,5})?")
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",  # photos of a person do not belong into the folders of a browser
}
_LOCKED: Final = "This page is locked. Open the address that was printed when it was started: it holds the key.\n"
_ENTRANCE: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/">'
    '<link rel="icon" href="/static/icon.svg">'
    '<title>orientd</title><p><a href="/">Open the photos</a></p></html>'
)


class TooMuch:
    """A bucket that fills at `rate` tokens a second up to `most`; each request takes one."""

    def __init__(self, rate: float, most: int, clock: Callable[[], float]) -> None:
        self._rate, self._most, self._clock = rate, most, clock
        self._left, self._at = float(most), clock()

    def __call__(self) -> bool:
        """True if there is none left for this request."""
        now = self._clock()
        self._left, self._at = min(self._most, self._left + (now - self._at) * self._rate), now
        if self._left < 1:
            return True
        self._left -= 1
        return False


@dataclass(frozen=True, slots=True)
class Access:
    """What opens the page. `host` is the address that is listened on; `cookie` names the cookie, whose value is `session`."""

    host: str
    port: int
    token: str = made(default_factory=lambda: secrets.token_urlsafe(32))
    session: str = made(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def cookie(self) -> str:
        return f"orientd-{self.port}"  # cookies do not distinguish ports

    @property
    def is_local(self) -> bool:
        return self.host in _LOCAL

    @property
    def address(self) -> str:
        """Where the page is, with the token."""
        name = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"http://{f'[{name}]' if ':' in name and name[0] != '[' else name}:{self.port}/?token={self.token}"

    def is_here(self, host: str) -> bool:
        """True if a `Host` names this machine. The port may be another, as of a tunnel: what matters is whose name it is."""
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].strip("[]").lower()
        if self.host not in _EVERYWHERE:
            return name in {self.host.lower(), *(_LOCAL if self.is_local else ())}
        with suppress(ValueError):
            ipaddress.ip_address(name)  # an address always leads to its owner
            return True
        return name in {"localhost", socket.gethostname().lower()}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself."""

    method: str
    path: str
    query: str
    headers: dict[str, str]

    @classmethod
    def of(cls, scope: Scope) -> "Asked":
        found: dict[str, str] = {}
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            joined = ", " if key != "cookie" else "; "
            found[key] = found[key] + joined + value.decode("latin-1") if key in found else value.decode("latin-1")
        return cls(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), found)

    def has_token(self, access: Access) -> bool:
        given = parse_qs(self.query, max_num_fields=4).get("token", [""])[0] if self.query.count("&") < 4 else ""
        return self.path == "/" and hmac.compare_digest(given.encode(), access.token.encode())

    def has_cookie(self, access: Access) -> bool:
        try:
            found = SimpleCookie(self.headers.get("cookie", "")).get(access.cookie)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), access.session.encode())


class Guard:
    """Wraps an application and passes on only what it may see, with the whole body."""

    def __init__(self, app: App, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._access = app, access
        self._owner, self._strangers = TooMuch(*OWNER, clock), TooMuch(*STRANGERS, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # uvicorn refuses what is not accepted
        asked = Asked.of(scope)
        if refused := self._refused(asked):
            await _answer(send, *refused)
        elif asked.has_token(self._access):
            cookie = f"{self._access.cookie}={self._access.session}; Path=/; HttpOnly; SameSite=Strict"
            await _answer(send, 200, _ENTRANCE, [("Set-Cookie", cookie)], "text/html")
        else:
            await self._let_in(asked, scope, receive, send)

    def _refused(self, asked: Asked) -> tuple[int, str] | None:
        """Status and text of what is not let in; None otherwise."""
        known = asked.has_token(self._access) or asked.has_cookie(self._access)
        if (self._owner if known else self._strangers)():
            return 429, "Too many requests: wait a moment.\n"
        host = asked.headers.get("host", "")
        if not self._access.is_here(host):
            return 403, "This name is none of this page's: open the address that was printed when it was started.\n"
        if not known:
            return 403, _LOCKED
        if asked.method not in ("GET", "POST"):
            return 405, "Not possible here.\n"
        return _from_elsewhere(asked, host)

    async def _let_in(self, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await asyncio.wait_for(_whole(asked, receive), SECONDS_FOR_A_BODY)
        except _TooLarge:
            await _answer(send, 413, f"More than {MOST_BODY:,} bytes.\n", [("Connection", "close")])
        except TimeoutError:
            await _answer(send, 408, "Too slow.\n", [("Connection", "close")])
        else:
            await self._app(scope, _once(body, receive), _with_headers(send))


class _TooLarge(Exception):
    pass


def _from_elsewhere(asked: Asked, host: str) -> tuple[int, str] | None:
    """What another page in the same browser, or a form in it, may have sent."""
    site = asked.headers.get("sec-fetch-site", "")
    if asked.method == "POST":
        if asked.headers.get("origin", "") not in (f"http://{host}", f"https://{host}"):
            return 403, "This was not sent by the page of orientd (Origin).\n"
        if asked.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "JSON is wanted.\n"
    if asked.path == "/" and asked.method == "GET":  # a link may lead there; it shows nothing by itself
        return None
    if site not in ("", "same-origin") and not (site == "none" and asked.method == "GET"):
        return 403, "This was not asked for by the page of orientd (Sec-Fetch-Site).\n"
    return None


async def _whole(asked: Asked, receive: Receive) -> bytes:
    """The body of a request."""
    length = asked.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > MOST_BODY:
        raise _TooLarge
    body, more = b"", asked.method == "POST"
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MOST_BODY:
            raise _TooLarge
    return body


def _once(body: bytes, receive: Receive) -> Receive:
    """Gives the body, and then whatever comes after it."""
    left = [body]

    async def received() -> MutableMapping[str, Any]:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return received


def _with_headers(send: Send) -> Send:
    async def sent(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *encoded(HEADERS.items())]
        await send(message)

    return sent


async def _answer(send: Send, status: int, text: str, more: Iterable[tuple[str, str]] = (), kind: str = "text/plain") -> None:
    body = text.encode()
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), *more, *HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded(headers)})
    await send({"type": "http.response.body", "body": body})


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
