"""Serves the page: a socket first, then its address, then the browser, until Ctrl-C."""

import os
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path
from typing import Final

import uvicorn

from orientd.web import app as pages
from orientd.web.desk import Desk
from orientd.web.guard import Access, Guard
from orientd.web.listening import CONNECTIONS, Server
from orientd.web.listening import listening as listening

_LEADS_THERE: Final = (
    '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
    '<meta http-equiv="refresh" content="0;url={0}"><title>orientd</title><a href="{0}">Open the photos</a>'
)


def server(desk: Desk, access: Access, work_pool: Executor, preview_pool: Executor, stop: Callable[[], bool]) -> uvicorn.Server:
    """What answers requests about a desk, once it is run, until it hears of a signal or `stop` comes true."""
    guarded = Guard(pages.Pages(desk, work_pool, preview_pool, pages.workers()).app(), access)
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
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 1024,
    )
    return Server(settings, stop)


def serve(
    desk: Desk, bound: socket.socket, access: Access, begin: Callable[[], None], stop: Callable[[], bool] = lambda: False
) -> None:
    """Answer until Ctrl-C or SIGTERM, or until `stop` comes true; the photo in hand is finished first. `begin` comes before."""
    with (
        ThreadPoolExecutor(4, thread_name_prefix="orientd-page") as work_pool,
        ThreadPoolExecutor(pages.workers(), thread_name_prefix="orientd-preview") as preview_pool,
    ):
        try:
            preview_pool.submit(desk.warm)
            begin()
            work_pool.submit(desk.expect)
            server(desk, access, work_pool, preview_pool, stop).run(sockets=[bound])
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
