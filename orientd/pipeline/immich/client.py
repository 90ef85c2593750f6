"""The API of one Immich server, as far as orientd needs it: every answer is checked, and every fault is reported in words.

A request that only reads is repeated for two minutes while the server is busy, down or starting; after that for some seconds
only, until the server answers again. A request that changes a photo is sent once; a later request finds out whether it arrived.
No redirect is followed, so that the key goes nowhere else.
"""

import ssl
import threading
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from orientd import commands
from orientd.errors import ConfigError, EngineUnavailable, LibraryUnavailable, OrientdError, PhotoError, ReadError, Stopped
from orientd.pipeline.immich.address import Key, Server
from orientd.pipeline.immich.edits import Edit, checked
from orientd.reasons import Reason

if TYPE_CHECKING:
    import httpx

OLDEST: Final = (2, 5)
READING: Final = ("asset.read", "asset.view", "asset.edit.get", "user.read")
WRITING: Final = ("asset.edit.create", "asset.edit.delete")
_AT_THE_START: Final = 5.0
PATIENCE: Final = 120.0  # a server that is restarted answers again within half a minute or so
_WHILE_AWAY: Final = 1 / 24  # of it, once it was waited for in vain: two minutes more for each photo would be days
_LONGEST_WAIT: Final = 15.0
_MOST_BYTES: Final = 64 * 2**20  # of an answer: a preview has some hundred thousand, a page of photos some million
_LONGEST_ANSWER: Final = 120.0
_BUSY: Final = (429, 502, 503, 504)
_OF_THE_WIRE: Final = ("content-encoding", "content-length", "transfer-encoding")  # of what came, not of what it holds
_TRIES_OF_A_FAULT: Final = 3  # of the server's at one photo, say: others may be in order
_TRUSTED: Final = "name the file of its certificate, or of who signed that, by --ca-file or immich_ca_file"

Asset = dict[str, Any]


class Clock:
    """The time, and waiting; once `stop` is true, who waits gets Stopped."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self._stop, self._never = stop, threading.Event()

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            if self._stop():
                raise Stopped
            self._never.wait(min(left, 0.2))


class Client:
    """Asks one server; used from several threads at once.

    A method raises ReadError for what is wrong with one photo, or with all: then `trouble` is what must stop a run.
    """

    def __init__(self, server: Server, key: Key, clock: Clock, patience: float = PATIENCE) -> None:
        """`patience`: for so many seconds a server is waited for that does not answer.

        Raises EngineUnavailable without httpx, ConfigError for a `ca_file` that cannot be used.
        """
        try:
            import httpx
        except ImportError as error:
            raise EngineUnavailable(f"httpx is not installed, which asks Immich: {commands.adding('immich')}") from error
        self.server, self._clock, self._httpx, self._patience = server, clock, httpx, patience
        self.trouble: OrientdError | None = None
        self._is_away = False

        def signed(request: "httpx.Request") -> "httpx.Request":  # not among the headers of the client, which tracebacks may show
            request.headers["x-api-key"] = key.reveal()
            return request

        self._http = httpx.Client(
            base_url=f"{server.url}/api/",
            auth=signed,
            verify=_trusted(server.ca_file),
            timeout=httpx.Timeout(60.0, connect=10.0),
            limits=httpx.Limits(max_connections=16),
            follow_redirects=False,
            trust_env=False,  # no proxy, and no password of ~/.netrc
        )

    def __repr__(self) -> str:
        return f"Client({self.server.url})"

    def greet(self, needed: Sequence[str]) -> str:
        """See that the server can be used with the permissions `needed`; gives the id of the owner of the key.

        Raises:
            ConfigError: it is too old, or the key is wrong or may not do enough.
            LibraryUnavailable: it does not answer.
        """
        self.trouble = None  # of an earlier try
        try:
            version = self._json("GET", "server/version", patience=_AT_THE_START)
            if (version["major"], version["minor"]) < OLDEST:
                named = ".".join(str(version[part]) for part in ("major", "minor", "patch"))
                raise ConfigError(
                    f"{self.server.url} is Immich {named}, which has no edits of photos: upgrade it to 2.5 or later"
                )
            given = self._json("GET", "api-keys/me")["permissions"]
            if lacking := [one for one in needed if one not in given and "all" not in given]:
                raise ConfigError(f"the key of {self.server.url} lacks the permission {', '.join(lacking)}: add it in Immich")
            return str(self._json("GET", "users/me")["id"])
        except PhotoError as error:
            raise self.trouble or LibraryUnavailable(str(error)) from error
        except (KeyError, TypeError) as error:
            raise ConfigError(f"{self.server.url} does not answer as Immich does: is the address right?") from error

    def albums(self) -> list[Asset]:
        """The albums that the owner of the key sees."""
        return list(self._json("GET", "albums"))

    def page(self, number: int, wanted: Asset) -> tuple[list[Asset], bool]:
        """A page of photos (from 1), and whether there are more."""
        found = self._json("POST", "search/metadata", json={**wanted, "page": number})["assets"]
        return found["items"], bool(found["nextPage"])

    def total(self, wanted: Asset) -> int | None:
        """How many there are; None where the key may not ask that."""
        try:
            return int(self._json("POST", "search/statistics", json=wanted)["total"])
        except (PhotoError, KeyError, TypeError, ValueError):
            return None

    def asset(self, photo: str) -> Asset:
        """What the server knows of a photo."""
        found: Asset = self._json("GET", f"assets/{photo}")
        return found

    def edits(self, photo: str) -> tuple[tuple[Edit, ...], list[Asset]]:
        """The edits of a photo, and the same as the server lists them. Raises Refused where one is not known."""
        found = self._json("GET", f"assets/{photo}/edits")["edits"]
        return checked([{"action": each["action"], "parameters": each["parameters"]} for each in found]), found

    def preview(self, photo: str, *, edited: bool) -> tuple[bytes, int]:
        """The photo as Immich shows it, without or with its edits, 1,440 pixels on its shorter side; and when this preview was
        made, in seconds since the epoch (0: unknown)."""
        choice = "&edited=true" if edited else ""
        answer = self._patiently("GET", f"assets/{photo}/thumbnail?size=preview{choice}")
        return answer.content, _second(answer.headers.get("last-modified", ""))

    def put(self, photo: str, edits: Sequence[Edit]) -> None:
        """Have a photo shown with just these edits. An error does not say that they did not arrive; Unanswered says whether they
        may have."""
        if edits:
            self._answer("PUT", f"assets/{photo}/edits", json={"edits": [dict(edit) for edit in edits]})
        else:
            self._answer("DELETE", f"assets/{photo}/edits")

    def close(self) -> None:
        self._http.close()

    def _json(self, method: str, path: str, *, patience: float | None = None, json: Any = None) -> Any:
        answer = self._patiently(method, path, patience, json=json)
        try:
            return answer.json()
        except ValueError as error:
            raise self._down(f"{self.server.url} does not answer as Immich does: is the address right?") from error

    def _patiently(self, method: str, path: str, patience: float | None = None, **more: Any) -> "httpx.Response":
        patience = self._patience if patience is None else patience
        end, wait = self._clock.now() + (min(self._patience * _WHILE_AWAY, patience) if self._is_away else patience), 0.5
        for tried in count(1):
            try:
                return self._answer(method, path, **more)
            except Unanswered as busy:
                wait = min(wait * 2, _LONGEST_WAIT)
                if busy.code is Reason.SYSTEM_ERROR and tried == _TRIES_OF_A_FAULT:
                    raise
                left = end - self._clock.now()
                if (pause := max(wait, min(busy.wait, left))) > left:
                    self._is_away = True
                    raise self._down(str(busy)) from busy
                self._clock.wait(pause)
        raise AssertionError

    def _answer(self, method: str, path: str, **more: Any) -> "httpx.Response":
        try:
            answer = self._whole(method, path, **more)
        except self._httpx.RequestError as error:
            if distrust := _distrust(error):
                raise self._wrong(f"{self.server.url} is not trusted ({distrust}): {_TRUSTED}") from None
            never = isinstance(error, self._httpx.ConnectError | self._httpx.ConnectTimeout)
            message = f"{self.server.url} does not answer ({_why(error)}): is it running, and is the address right?"
            raise Unanswered(message, arrived=not never) from None
        if answer.status_code in _BUSY:
            message = f"{self.server.url} is busy or starting ({answer.status_code}): try again later"
            raise Unanswered(message, _after(answer), arrived=answer.is_server_error)
        self._is_away = False
        if answer.is_server_error:
            raise Unanswered(f"Immich fails at it ({answer.status_code}): see the log of the server", code=Reason.SYSTEM_ERROR)
        if answer.is_redirect:
            place = answer.headers.get("location", "")
            raise self._wrong(f"{self.server.url} sends elsewhere, to {place!r:.200}: if that is right, give it as --url")
        if answer.is_error:
            raise self._refused(answer)
        return answer

    def _whole(self, method: str, path: str, **more: Any) -> "httpx.Response":
        """An answer with its content, neither of which may fill the memory or go on forever."""
        end, held = self._clock.now() + _LONGEST_ANSWER, bytearray()
        with self._http.stream(method, path, **more) as answer:
            for chunk in answer.iter_bytes():
                held += chunk
                if len(held) > _MOST_BYTES:
                    raise ReadError(Reason.TOO_LARGE, f"Immich answers with more than {_MOST_BYTES:,} bytes: left alone")
                if self._clock.now() > end:
                    raise Unanswered(f"{self.server.url} takes longer than {_LONGEST_ANSWER:.0f} seconds for an answer")
        headers = [(name, value) for name, value in answer.headers.multi_items() if name not in _OF_THE_WIRE]
        return self._httpx.Response(answer.status_code, headers=headers, content=bytes(held))

    def _refused(self, answer: "httpx.Response") -> PhotoError:
        said = _message(answer)
        if answer.status_code == 401:
            return self._wrong(f"{self.server.url} does not know the key ({said}): make a new one in Immich")
        if answer.status_code == 403:
            return self._wrong(f"{self.server.url} does not allow that ({said}): give the key that permission in Immich")
        if answer.status_code == 404 or "Not found" in said or "not found" in said:
            return ReadError(Reason.VANISHED, f"Immich has it no more, or has not made a preview of it yet ({said})")
        return ReadError(Reason.SYSTEM_ERROR, f"Immich says no ({answer.status_code}: {said})")

    def _wrong(self, message: str) -> ReadError:
        self.trouble = self.trouble or ConfigError(message)
        return ReadError(Reason.NO_PERMISSION, message)

    def _down(self, message: str) -> ReadError:
        self.trouble = self.trouble or LibraryUnavailable(message)
        return ReadError(Reason.NOT_REACHABLE, message)


class Unanswered(ReadError):
    """Asked again later, after `wait` seconds, it may answer. If what was asked `arrived`, or may have, it may yet be done."""

    def __init__(self, message: str, wait: float = 0.0, code: Reason = Reason.NOT_REACHABLE, *, arrived: bool = True) -> None:
        super().__init__(code, message)
        self.wait, self.arrived = wait, arrived


def _trusted(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{ca_file} cannot be used as a file of certificates ({error}): give one in PEM form") from error


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _distrust(error: BaseException | None) -> str:
    """What is wrong with the certificate of a server; empty if that is not what went wrong."""
    while error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""


def _after(answer: "httpx.Response") -> float:
    """The seconds for which a server asks not to be called, which it states as a number or as a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "")
    if text.isdigit():
        return float(text)
    return float(max(0, _second(text) - _second(answer.headers.get("date", ""))))


def _second(date: str) -> int:
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except ValueError:
        return 0


def _message(answer: "httpx.Response") -> str:
    try:
        said = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = answer.text
    return "".join(letter if letter.isprintable() else " " for letter in str(said))[:200]
