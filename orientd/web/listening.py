"""A socket to listen on, and a server on it that ends on request."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import uvicorn

from orientd.errors import ConfigError
from orientd.web.guard import Access

CONNECTIONS: Final = 128
_LAST_PORT: Final = 65_535


@contextmanager
def listening(address: str) -> Iterator[tuple[socket.socket, Access]]:
    """A socket at HOST:PORT that is bound and listens, and what opens the page there. Port 0 is a free one.

    Raises:
        ConfigError: the address cannot be used.
    """
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        if not colon or not host or not port.isdecimal() or int(port) > _LAST_PORT:
            raise ValueError("it must be HOST:PORT")
        family, kind, protocol, _, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        bound = _bound(socket.socket(family, kind, protocol), place)  # of no protocol it would send late, being no TCP to asyncio
    except (OSError, OverflowError, ValueError) as error:
        raise ConfigError(f"--listen {address} cannot be used: {getattr(error, 'strerror', None) or error}") from error
    with bound:
        yield bound, Access(host, bound.getsockname()[1])


def _bound(made: socket.socket, place: Any) -> socket.socket:
    with ExitStack() as failed:
        failed.enter_context(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(CONNECTIONS)
        failed.pop_all()
    return made


class Server(uvicorn.Server):
    """Ends also if `stop` came true before it hears of signals itself."""

    def __init__(self, config: uvicorn.Config, stop: Callable[[], bool]) -> None:
        self._stop, self._ended = stop, False
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        return self._ended or self._stop()

    @should_exit.setter
    def should_exit(self, ended: bool) -> None:
        self._ended = ended
