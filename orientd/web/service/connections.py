"""Connections of the service: so many, each for so long, whatever its other side does or does not do.

uvicorn waits forever for a first request, for a header that never ends, and for a client that does not read; here each
connection is looked at now and then, and cut off once nothing has changed for too long.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from orientd.web.service.tasks import Refusal

MOST: Final = 256
IDLE: Final = 20.0
"""Seconds in which a request must begin and its header must end."""
IN_HAND: Final = 180.0
"""Seconds that one request may take in all, until its answer has been read."""
_EVERY: Final = 5.0
_LEAVING: Final = 2.0  # seconds in which a client that is turned away may read why
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 75\r\nRetry-After: 1\r\n"
    b'Connection: close\r\n\r\n{"error": "too many are connected already", "reason_code": "too_busy"}     '
)


_NO_HTTP: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 56\r\nConnection: close\r\n\r\n"
    b'{"error": "it is no HTTP", "reason_code": "bad_request"}'
)


class Connection(H11Protocol):
    """See above. `refused` is called with kind and message for a connection beyond `most`, and for data that is no HTTP; `unread`
    for one that ends in the middle of an answer, or by a reset behind it, which a client causes that has not read all."""

    most, idle, in_hand, every = MOST, IDLE, IN_HAND, _EVERY

    def __init__(
        self, *args: Any, refused: Callable[[str, str], None], unread: Callable[[], None] = lambda: None, **named: Any
    ) -> None:
        super().__init__(*args, **named)
        self._refused, self._unread, self._is_leaving = refused, unread, False
        self._state: object = None
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Look after it from now on, or turn it away."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._leave(transport)
        else:
            self._since = self.loop.time()
            self._timer = self.loop.call_later(self.every, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to be looked after any more."""
        if self._timer:
            self._timer.cancel()
        has_begun = self.cycle is not None and self.cycle.response_started
        if self.flow.write_paused or (has_begun and (exc is not None or not self.cycle.response_complete)):
            self._unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As a server does, unless it is turned away."""
        if not self._is_leaving:
            super().data_received(data)

    def _leave(self, transport: asyncio.Transport) -> None:
        self._is_leaving = True
        self._refused("connections", "too many are connected already")
        if len(self.connections) > 2 * self.most:
            transport.abort()
            return
        transport.write(_FULL)
        transport.write_eof()
        self._timer = self.loop.call_later(_LEAVING, transport.abort)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered as everything else is, unless the answer is on its way already."""
        self._refused(Refusal.BAD_REQUEST, "it is no HTTP")
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            self.transport.write(_NO_HTTP)
        self.transport.close()

    def _look(self) -> None:
        """Cut it off if it has been as it is for too long."""
        is_asked = self.cycle is not None and not self.cycle.response_complete
        state, now = (id(self.cycle), is_asked), self.loop.time()
        if state != self._state:
            self._state, self._since = state, now
        is_reading = not is_asked and not self.transport.get_write_buffer_size()
        if now - self._since >= (self.idle if is_reading else self.in_hand):
            self.transport.abort()
            return
        self._timer = self.loop.call_later(self.every, self._look)
