"""Serves the page: a socket first, then its address, then the browser, until Ctrl-C."""

import os
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any, Final

import uvicorn

from orientd.errors import ConfigError
from orientd.web import app as pages
from orientd.web.desk import Desk
from orientd.web.guard import Access, Guard

_CONNECTIONS: Final = 128
_LAST_PORT: Final = 65_535
_LEADS_THERE: Final = (
    '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
    '<meta http-equiv="refresh" content="0;url={0}"><title>orientd</title><a href="{0}">Open the photos</a>'
)


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
        made.listen(_CONNECTIONS)
        failed.pop_all()
    return made


class _Server(uvicorn.Server):
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


def server(desk: Desk, access: Access, hands: Executor, eyes: Executor, stop: Callable[[], bool]) -> uvicorn.Server:
    """What answers requests about a desk, once it is run, until it hears of a signal or `stop` comes true."""
    guarded = Guard(pages.Pages(desk, hands, eyes, pages.workers()).app(), access)
    settings = uvicorn.Config(
        guarded,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 1024,
    )
    return _Server(settings, stop)


def serve(
    desk: Desk, bound: socket.socket, access: Access, begin: Callable[[], None], stop: Callable[[], bool] = lambda: False
) -> None:
    """Answer until Ctrl-C or SIGTERM, or until `stop` comes true; the photo in hand is finished first. `begin` comes before."""
    with (
        ThreadPoolExecutor(4, thread_name_prefix="orientd-page") as hands,
        ThreadPoolExecutor(pages.workers(), thread_name_prefix="orientd-preview") as eyes,
    ):
        try:
            eyes.submit(desk.warm)
            begin()
            hands.submit(desk.expect)
            server(desk, access, hands, eyes, stop).run(sockets=[bound])
        finally:
            desk.close()


@contextmanager
def doorway(address: str) -> Iterator[Path]:
    """A file for this user alone that leads to an address: others can see the command line of a browser."""
    with tempfile.TemporaryDirectory(prefix="orientd-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "review.html")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(_LEADS_THERE.format(escape(address)))
        yield path


def browse(path: Path) -> None:
    """Show a file in the browser of this machine, if it has one, and a screen. Some browsers end only when they are closed."""
    if any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")):
        threading.Thread(target=_browsed, args=(path.as_uri(),), name="orientd-browser", daemon=True).start()


def _browsed(address: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)
