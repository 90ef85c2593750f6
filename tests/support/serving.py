"""The service without a network, and as a process of its own; and what people send to it."""

import http.client
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager

from support.review_pages import Client

from orientd.web.guard import Access
from orientd.web.service.app import Service
from orientd.web.service.door import Door, Limits
from orientd.web.service.numbers import Numbers
from orientd.web.service.workers import Workers

PORT = 4711
ACCESS = Access("127.0.0.1", PORT)
TOKEN = "a-token-of-some-length"
JPEG = {"content-type": "image/jpeg"}


def form(*files, boundary="xYzZy"):
    """A form with files, (name, bytes) each, as browsers send it: its content type and its body."""
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'.encode()
        + b"Content-Type: image/jpeg\r\n\r\n"
        + data
        + b"\r\n"
        for name, data in files
    )
    return {"content-type": f"multipart/form-data; boundary={boundary}"}, body + f"--{boundary}--\r\n".encode()


class Asking(Client):
    """Sends pictures."""

    def send(self, path, data, headers=JPEG, **more):
        return self.ask("POST", path, data, {"cookie": None, **headers}, **more)

    def send_form(self, path, *files):
        headers, body = form(*files)
        return self.send(path, body, headers)


@contextmanager
def client_of(work, token="", limits=None, threads=1, queue=8, batch=1, latency=0.0, clock=None):
    """A client of the service, whose workers do `work`; it has `workers` and `numbers`."""
    limits, numbers = limits or Limits(), Numbers("a model", logging.getLogger("orientd"))
    with closing(Workers(work, threads, queue, batch, latency)) as workers:
        app = Service(workers, limits, numbers).app()
        client = Asking(Door(app, ACCESS, token, limits, numbers, *([clock] if clock else [])))
        client.workers, client.numbers = workers, numbers
        try:
            yield client
        finally:
            client.close()


@contextmanager
def served(*arguments, cwd, end=signal.SIGTERM, **environment):
    """orientd serve as a process, and its port; unless it has ended, it is told to, and ends well."""
    command = [sys.executable, "-m", "orientd", "serve", "--listen", "127.0.0.1:0", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(cwd)} | environment
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            found = re.search(r"http://127.0.0.1:(\d+)/", process.stdout.readline())
            assert found, process.communicate()
            process.port = int(found[1])
            yield process
            if process.poll() is None:
                process.send_signal(end)
                process.said = process.communicate(timeout=60)[1]
                assert process.returncode == 0, process.said
        finally:
            if process.poll() is None:
                process.kill()


def ask(port, method, path, body=None, headers=None, timeout=60):
    """Status, headers and content of an answer; what is JSON is read."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        content = answer.read()
    is_json = answer.headers.get_content_type() == "application/json"
    return answer.status, answer.headers, json.loads(content) if is_json else content


@contextmanager
def running(work, terms=None, token="", threads=1, queue=8, stop=None):
    """The service on a socket, in threads of this process, with that work, until `stop`; its port, and its numbers."""
    from orientd.web.listening import listening
    from orientd.web.service import serving

    ended, numbers = stop or threading.Event(), Numbers("a model", logging.getLogger("orientd"))
    terms = terms or serving.Terms(token, Limits(), threads, queue)
    with listening("127.0.0.1:0") as (bound, access), closing(Workers(work, terms.threads, terms.queue)) as workers:
        server = serving.server(workers, access, terms, numbers, ended.is_set, lambda: None)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield access.port, numbers
        finally:
            ended.set()
            thread.join(60)
