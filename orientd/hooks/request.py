"""Requests one web page, for a hook. But for it only `pipeline/immich/` calls anybody.

A program of its own, so that it can be ended whatever it waits for: a name that does not resolve, or a server that drips. It
needs nothing but Python. On its standard input it gets the address and the facts, as neither is for the list of processes; its
last line says what went wrong.
"""

import json
import sys
from email.message import Message
from http.client import HTTPException
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener


class LeadsElsewhere(Exception):
    """A page of another host was to be requested in its stead."""


class _SameHost(HTTPRedirectHandler):
    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        upgraded = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
        if not upgraded and (old.scheme, old.hostname, old.port) != (new.scheme, new.hostname, new.port):
            raise LeadsElsewhere
        # urllib's own would ask by GET, without the facts
        return Request(newurl.replace(" ", "%20"), req.data, req.headers, req.origin_req_host, unverifiable=True)


def post(address: str, body: bytes, seconds: float, direct: bool, agent: str) -> str:
    """Hand over `body`, which is JSON, from this `agent`: `direct`, or by the proxy that the environment names.

    Of the answer only the status counts. A page of the same host that it leads to is handed the same.

    Returns:
        what went wrong, with the host as the subject; "" if nothing did.
    """
    headers = {"Content-Type": "application/json", "User-Agent": agent}
    proxies = [ProxyHandler({})] if direct else []
    try:
        with build_opener(_SameHost, *proxies).open(Request(address, body, headers), timeout=seconds):
            return ""
    except HTTPError as error:
        error.close()
        return f"answered {error.code}"
    except LeadsElsewhere:
        return "leads to another host, which is not asked: name that one"
    except URLError as error:
        return f"cannot be reached: {getattr(error.reason, 'strerror', None) or error.reason}"
    except (OSError, HTTPException, ValueError) as error:
        return f"gave no proper answer: {getattr(error, 'strerror', None) or error or type(error).__name__}"


def main() -> None:
    asked = json.load(sys.stdin)
    sys.exit(post(asked["address"], asked["facts"].encode("ascii"), asked["seconds"], asked["direct"], asked["agent"]) or None)


if __name__ == "__main__":
    main()
