"""The page of a plan without a network: a desk, and a client that asks its routes as a browser would, or as an attacker."""

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie

from orientd.config import load
from orientd.library.paths import real_roots
from orientd.web.app import Pages
from orientd.web.desk import Desk, Rules
from orientd.web.guard import Access, Guard

PORT = 4711
ACCESS = Access("127.0.0.1", PORT, "the-token", "the-session")
HOST = f"127.0.0.1:{PORT}"
JSON = {"origin": f"http://{HOST}", "content-type": "application/json", "sec-fetch-site": "same-origin"}


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()


class Client:
    """Holds the cookie; any header may be another, or None to be left out."""

    def __init__(self, app):
        self.app, self._runner = app, asyncio.Runner()

    def get(self, path, **headers):
        return self.ask("GET", path, b"", headers)

    def post(self, path, said=None, **headers):
        body = json.dumps({"page": "p", **(said or {})}).encode()
        return self.ask("POST", path, body, JSON | headers)

    def ask(self, method, path, body=b"", headers=None, chunks=None):
        """`chunks` are the body in several messages; None among them is a client that falls silent."""
        sent = {"host": HOST, "cookie": f"{ACCESS.cookie}={ACCESS.session}"}
        sent |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if chunks is None:
            chunks = [body]
            sent.setdefault("content-length", str(len(body)))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items() if value is not None],
        }
        return self._runner.run(_asked(self.app, scope, chunks))

    def close(self):
        self._runner.close()


async def _asked(app, scope, chunks):
    messages = []

    async def receive():
        if not chunks or chunks[0] is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message):
        messages.append(message)

    await app(scope, receive, send)
    start = messages[0] if messages else {"status": 0, "headers": []}
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], headers, b"".join(message.get("body", b"") for message in messages[1:]))


def rules(*roots, read_only=False, notify=lambda _: None):
    return Rules(load(None, os.environ, {}), real_roots([str(root) for root in roots]), "orientd review", read_only, notify)


@contextmanager
def desk_of(plan, *roots, **more):
    """A desk on which a plan lies; what it began has ended afterwards."""
    desk = Desk(rules(*roots, **more))
    try:
        desk.open(str(plan))
        yield desk
    finally:
        desk.close()


@contextmanager
def client_of(desk, clock=None):
    with ThreadPoolExecutor(2) as hands, ThreadPoolExecutor(2) as eyes:
        app = Pages(desk, hands, eyes, 2).app()
        client = Client(Guard(app, ACCESS, *([clock] if clock else [])))
        try:
            yield client
        finally:
            client.close()


def cookie_in(answer):
    return SimpleCookie(answer.headers.get("set-cookie", ""))


def wait_for(client, seconds=60):
    """Until the job in hand has ended: its progress."""
    import time

    until = time.monotonic() + seconds
    while (job := client.get("/api/state").json["job"]) and not job["ended"]:
        assert time.monotonic() < until, job
        time.sleep(0.02)
    return job
