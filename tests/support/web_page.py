"""A web page on this machine that notes what it is asked and answers as it is told, or never."""

import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Page:
    """What was `asked`: (method, path, body). It answers with a status; with `to` leads elsewhere; or it `hangs` or `drips`."""

    def __init__(self, answer=200, to="", hangs=False, drips=False):
        self.asked, self.agents = [], []
        self.answer, self.to, self.hangs, self.drips = answer, to, hangs, drips
        self.closing = threading.Event()
        self.port = 0

    def url(self, path="/ping"):
        return f"http://127.0.0.1:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.respond()

    def do_POST(self):
        self.respond()

    def respond(self):
        page = self.server.page
        page.asked.append((self.command, self.path, self.rfile.read(int(self.headers["Content-Length"] or 0))))
        page.agents.append(self.headers["User-Agent"])
        if page.hangs:
            page.closing.wait(60)
        elif page.drips:
            self.drip()
        else:
            self.answer(page.to if self.path == "/ping" else "")

    def answer(self, to):
        page = self.server.page
        self.send_response(page.answer if to or not page.to else 200)
        if to:
            self.send_header("Location", to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def drip(self):
        """A header that never ends, a byte now and then: no time limit of a single read ever comes."""
        end = time.monotonic() + 60
        with suppress(OSError):
            while not self.server.page.closing.wait(0.05) and time.monotonic() < end:
                self.wfile.write(b"H")

    def log_message(self, *_):
        pass


@contextmanager
def served(page):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.page, server.daemon_threads = page, False
    page.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield page
    finally:
        page.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
