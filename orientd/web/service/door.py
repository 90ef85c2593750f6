"""Who may ask the service for something, and how much of it.

- With a token nothing but the token counts (`Authorization: Bearer`): there is no cookie that another page could borrow. Without
  one it listens on this machine alone, and what other web pages in a browser here send is refused, by `Host` (DNS rebinding),
  `Origin` and `Sec-Fetch-Site`.
- A body has a limit of bytes and of time, and all that are being received and judged share a limit; beyond it they are turned
  away. What is said too early or too late is not kept.
- Nothing that is sent names a file or an address that anybody here would open.
"""

import asyncio
import hmac
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from json import dumps
from typing import Any, Final

from orientd.web.guard import HEADERS, STRANGERS, Access, App, Asked, Receive, Scope, Send, TooMuch, encoded
from orientd.web.service.numbers import Left, Numbers
from orientd.web.service.tasks import Refusal

SECURITY: Final = {
    **HEADERS,
    "Content-Security-Policy": HEADERS["Content-Security-Policy"].replace("img-src 'self'", "img-src 'self' blob:"),
}
_CLOSED: Final = ("/v1/", "/metrics")
"""How the paths begin for which the token is needed, if there is one."""
_DRAINED: Final = 5.0  # seconds in which a client may send what nobody reads, so that it hears why


@dataclass(frozen=True, slots=True)
class Limits:
    """most_body: bytes of one request; most_bodies: of all at the same time. body_seconds: in which a body must be here;
    answer_seconds: in which it must be answered then."""

    most_body: int = 64 * 2**20
    most_bodies: int = 256 * 2**20
    body_seconds: float = 60.0
    answer_seconds: float = 60.0


class Turned(Exception):
    """Somebody is turned away: `status`, code and message of the answer, and headers of it."""

    def __init__(self, status: int, code: Refusal, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, {name.replace("_", "-"): text for name, text in headers.items()}


class _Gone(Exception):
    """The client is not there any more: nobody would read an answer."""


class Door:
    """Wraps an application, which finds the whole body of a POST in `scope["orientd.body"]`."""

    def __init__(
        self,
        app: App,
        access: Access,
        token: str,
        limits: Limits,
        numbers: Numbers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`token` is empty for none: then the address of `access` must be one of this machine alone."""
        self._app, self._access, self._limits, self._numbers = app, access, limits, numbers
        self._wanted = f"Bearer {token}".encode() if token else b""
        self._strangers, self._held = TooMuch(*STRANGERS, clock), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # uvicorn refuses what is not accepted
        send, asked, held = _Sending(send, self._numbers), Asked.of(scope), _Held(self)
        try:
            self._check(asked)
            if asked.method == "POST":
                scope["orientd.body"] = await self._body(asked, receive, held)
            await self._app(scope, receive, send)
        except _Gone:
            self._numbers.left(Left.UPLOADING)
        except Turned as turned:
            self._numbers.refused(turned.code, str(turned))
            await refuse(send, turned)
        except asyncio.CancelledError:  # the service ends, and this took longer than it waits for
            if not send.has_begun:
                await refuse(send, Turned(503, Refusal.TOO_BUSY, "it is ending: ask again when it is back", Retry_After="5"))
        finally:
            held.give_back()

    def _check(self, asked: Asked) -> None:
        """Raises Turned at who is not let in."""
        if self._wanted:
            if asked.path.startswith(_CLOSED) and not hmac.compare_digest(_said(asked), self._wanted):
                if self._strangers():
                    raise Turned(429, Refusal.TOO_MANY_TRIES, "too many came without the token: wait a moment", Retry_After="5")
                raise Turned(401, Refusal.TOKEN_NEEDED, "a token is needed (Authorization: Bearer …)", WWW_Authenticate="Bearer")
            return
        host, site = asked.headers.get("host", ""), asked.headers.get("sec-fetch-site", "same-origin")
        if not self._access.is_here(host):
            raise Turned(
                403, Refusal.FROM_ELSEWHERE, "this name is none of this machine's: ask for it by the address that it printed"
            )
        is_strange = asked.headers.get("origin", f"http://{host}") != f"http://{host}" or site not in ("same-origin", "none")
        if is_strange and not (asked.path == "/" and asked.method == "GET"):  # a link may lead there; it shows nothing by itself
            raise Turned(403, Refusal.FROM_ELSEWHERE, "this was sent by another web page (Origin, Sec-Fetch-Site)")

    async def _body(self, asked: Asked, receive: Receive, held: "_Held") -> bytes:
        try:
            return await asyncio.wait_for(self._whole(asked, receive, held), self._limits.body_seconds)
        except TimeoutError:
            message = f"it did not arrive within {self._limits.body_seconds:g} seconds"
            raise Turned(408, Refusal.BODY_TOO_SLOW, message, Connection="close") from None

    async def _whole(self, asked: Asked, receive: Receive, held: "_Held") -> bytes:
        most, length = self._limits.most_body, asked.headers.get("content-length", "0")
        too_much = f"a request has {most:,} bytes at most"
        if not length.isdecimal() or int(length[:20]) > most:
            raise Turned(413, Refusal.BODY_TOO_LARGE, too_much)  # the connection lasts: most clients read only once all is sent
        parts, size, is_full, more = [], 0, not held.take(int(length)), True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise _Gone
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > most:
                raise Turned(413, Refusal.BODY_TOO_LARGE, too_much, Connection="close")
            is_full = is_full or not held.take(max(0, size - held.size))
            if is_full:
                return await self._drained(receive, more)
            parts.append(part)
        return b"".join(parts)

    async def _drained(self, receive: Receive, more: bool) -> bytes:
        """Let a client finish, which hears nothing before that, and turn it away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAINED):
                while more:  # one that leaves now is turned away in its absence
                    message = await receive()
                    more = message["type"] == "http.request" and message.get("more_body", False)
        raise Turned(429, Refusal.QUEUE_FULL, "too much is being received already: ask again in a moment", Retry_After="1")

    def take(self, size: int) -> bool:
        """Have so many bytes of what all bodies may have together; False if they are not there."""
        if self._held + size > self._limits.most_bodies:
            return False
        self._held += size
        return True

    def give(self, size: int) -> None:
        self._held -= size


class _Sending:
    """Sends answers with their safety headers, counts them, and knows whether one `has_begun`."""

    def __init__(self, send: Send, numbers: Numbers) -> None:
        self._send, self._numbers, self.has_begun = send, numbers, False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            self._numbers.answered(message["status"])
            message["headers"] = [*message.get("headers", ()), *encoded(SECURITY.items())]
        await self._send(message)


class _Held:
    """What one request has of that."""

    def __init__(self, door: Door) -> None:
        self._door, self.size = door, 0

    def take(self, more: int) -> bool:
        if not self._door.take(more):
            return False
        self.size += more
        return True

    def give_back(self) -> None:
        self._door.give(self.size)
        self.size = 0


async def refuse(send: Send, turned: Turned) -> None:
    """Answer why not."""
    body = dumps({"error": str(turned), "reason_code": turned.code}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **turned.headers}
    await send({"type": "http.response.start", "status": turned.status, "headers": encoded(headers.items())})
    await send({"type": "http.response.body", "body": body})


def _said(asked: Asked) -> bytes:
    """What a request says of itself; the name of the scheme may be written in any case (RFC 9110)."""
    scheme, space, token = asked.headers.get("authorization", "").partition(" ")
    return f"{scheme.title()}{space}{token}".encode("utf-8", "surrogateescape")
