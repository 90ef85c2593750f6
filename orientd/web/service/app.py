"""The routes of the service: requests become tasks of its workers, and their answers JSON or pictures.

A request that gets here has passed the door, which has the whole body.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from importlib import resources
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from orientd import __version__
from orientd.errors import PhotoError, code_of
from orientd.reasons import Reason
from orientd.report.text import in_json, printable
from orientd.web.service import forms
from orientd.web.service.door import Limits, Turned
from orientd.web.service.numbers import Left, Numbers
from orientd.web.service.tasks import Answer, Kind, Refusal, Task, Wanted
from orientd.web.service.workers import Full, Workers

_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_KINDS: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json"}
_FOLDER: Final = resources.files("orientd.web.service").joinpath("static")
_PAGES: Final = {"/": "serve.html", "/docs": "reference.html"}
_STATIC: Final = ("serve.css", "serve.js", "picture.js", "queue.js", "reference.css", "reference.js")
_UNSUPPORTED: Final = (Reason.UNKNOWN_CONTENT, Reason.UNSUPPORTED, Reason.RAW_FILE, Reason.NOT_A_PHOTO, Reason.NO_PREVIEW)
_GONE: Final = 499  # the client has closed the connection

Answers = Workers[Task, Answer]
Handler = Callable[[Request], Awaitable[Response]]


class Service:
    """Answers requests by `workers`."""

    def __init__(self, workers: Answers, limits: Limits, numbers: Numbers, connections: Callable[[], int] = lambda: 0) -> None:
        self._workers, self._limits, self._numbers, self._connections = workers, limits, numbers, connections

    def app(self) -> Starlette:
        icon = resources.files("orientd.web").joinpath("static", "icon.svg").read_bytes()
        fixed = [Route(path, _fixed(_FOLDER.joinpath(name).read_bytes(), name)) for path, name in _PAGES.items()]
        fixed += [Route(f"/static/{name}", _fixed(_FOLDER.joinpath(name).read_bytes(), name)) for name in _STATIC]
        routes = [
            *fixed,
            Route("/static/icon.svg", _fixed(icon, "icon.svg", "image/svg+xml")),
            Route("/openapi.json", _fixed(json.dumps(openapi()).encode(), "openapi.json")),
            Route("/healthz", self._health),
            Route("/metrics", self._metrics),
            Route("/v1/orientation", self._asked(Kind.ORIENTATION), methods=["POST"]),
            Route("/v1/page", self._asked(Kind.PAGE), methods=["POST"]),
        ]
        app = Starlette(
            routes=routes, exception_handlers={HTTPException: _http_error, Turned: self._turned, Exception: _unexpected}
        )
        app.router.redirect_slashes = False  # it would lead from a proxy's https to http, and the token with it
        return app

    async def _turned(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Turned)
        self._numbers.refused(error.code, str(error))
        return JSONResponse({"error": str(error), "reason_code": error.code}, error.status, error.headers)

    async def _health(self, request: Request) -> Response:
        well = self._workers.are_well
        return PlainTextResponse("ok\n" if well else "it does not go on with its work\n", 200 if well else 503)

    async def _metrics(self, request: Request) -> Response:
        return Response(self._numbers.text(self._workers.load, self._connections()), media_type=_METRICS)

    def _asked(self, kind: Kind) -> Handler:
        async def answer(request: Request) -> Response:
            tasks = _tasks(kind, request)
            try:
                waiting = self._workers.ask(tasks)
            except Full:
                raise Turned(
                    429, Refusal.QUEUE_FULL, "as many wait as may wait: ask again in a moment", Retry_After="1"
                ) from None
            found = await self._found(request, waiting)
            if found is None:
                self._numbers.left(Left.WAITING)
                return Response(status_code=_GONE)
            return self._one(tasks[0], found[0]) if len(tasks) == 1 else self._several(tasks, found)

        return answer

    async def _found(self, request: Request, waiting: Sequence[Future[Answer]]) -> list[Answer | BaseException] | None:
        """What came of each; None if nobody waits for it any more.

        Raises:
            Turned: it took too long.
        """
        answers = asyncio.gather(*map(asyncio.wrap_future, waiting), return_exceptions=True)
        answers.add_done_callback(_heard)
        leaving = asyncio.ensure_future(request.receive())  # the body is read: what comes behind it is that the client goes
        try:
            both: set[asyncio.Future[Any]] = {answers, leaving}
            await asyncio.wait(both, timeout=self._limits.answer_seconds, return_when=asyncio.FIRST_COMPLETED)
            if answers.done():
                return answers.result()
            if leaving.done():
                return None
            raise Turned(503, Refusal.TOO_BUSY, "it took too long: ask again when less is asked", Retry_After="5")
        finally:
            leaving.cancel()
            for one in waiting:
                one.cancel()
            answers.cancel()

    def _one(self, task: Task, found: Answer | BaseException) -> Response:
        if isinstance(found, BaseException):
            status, content = self._fault(found)
            return JSONResponse(content, status)
        self._count(found.values)
        if found.file:
            return Response(found.file, media_type=found.media, headers=_headers(found.values))
        return JSONResponse(in_json({"images": [found.values]}))

    def _several(self, tasks: Sequence[Task], found: Sequence[Answer | BaseException]) -> Response:
        images = []
        for task, one in zip(tasks, found, strict=True):
            if isinstance(one, BaseException):
                status, fault = self._fault(one)
                images.append({"name": task.name or None, "status": status, **fault})
            else:
                self._count(one.values)
                images.append(dict(one.values))
        return JSONResponse(in_json({"images": images}))

    def _count(self, values: Mapping[str, Any]) -> None:
        if values:
            self._numbers.judged(values.get("decision", "preview"), **values["seconds"])

    def _fault(self, error: BaseException) -> tuple[int, dict[str, Any]]:
        """Status and content of the answer about a picture that cannot be judged; what nobody expected is logged."""
        self._numbers.judged("error")
        if isinstance(error, PhotoError):
            return status_of(error.code), {"error": printable(str(error)), "reason_code": error.code}
        code = code_of(error) if isinstance(error, Exception) else Reason.UNEXPECTED
        if code is Reason.UNEXPECTED:
            self._numbers.fault(error)
            return 500, {"error": f"a fault of orientd: {printable(f'{type(error).__name__}: {error}')}", "reason_code": code}
        return status_of(code), {"error": printable(str(error)), "reason_code": code}


def _heard(answers: asyncio.Future[Any]) -> None:
    """Answers that nobody waits for any more are no fault that asyncio should log."""
    if not answers.cancelled():
        answers.exception()


def status_of(code: Reason) -> int:
    """The HTTP status that goes with the reason why a picture is not judged."""
    if code is Reason.TOO_LARGE:
        return 413
    return 415 if code in _UNSUPPORTED else 422


def openapi() -> dict[str, Any]:
    """The description of the service for programs (OpenAPI 3.1)."""
    schema: dict[str, Any] = json.loads(_FOLDER.joinpath("openapi.json").read_bytes())
    schema["info"]["version"] = __version__
    schema["components"]["schemas"]["ReasonCode"]["enum"] = [*Reason, *Refusal]
    return schema


def _tasks(kind: Kind, request: Request) -> list[Task]:
    """Raises Turned if the request cannot be understood."""
    try:
        sent = forms.pictures(request.headers.get("content-type", ""), request.scope["orientd.body"])
    except forms.Misunderstood as error:
        raise Turned(error.status, error.code, str(error)) from None
    wanted, full = _chosen(kind, request)
    if wanted is not Wanted.JSON and len(sent) > 1:
        raise Turned(400, Refusal.BAD_REQUEST, f"return={wanted} gives one picture back: send one")
    now = time.monotonic()
    return [Task(kind, one.data, printable(one.name)[:255], wanted, full, now) for one in sent]


def _chosen(kind: Kind, request: Request) -> tuple[Wanted, bool]:
    query = dict(request.query_params)
    wanted, detail = query.pop("return", "json"), query.pop("detail", "usual")
    allowed = [one.value for one in Wanted if kind is Kind.ORIENTATION or one is not Wanted.PREVIEW]
    details = ["usual", "full"] if kind is Kind.ORIENTATION else ["usual"]
    if query or wanted not in allowed or detail not in details:
        choices = f"return={'|'.join(allowed)}" + (" and detail=usual|full" if len(details) > 1 else "")
        raise Turned(400, Refusal.BAD_REQUEST, f"the address may say {choices}, and nothing else")
    return Wanted(wanted), detail == "full"


def _headers(values: Mapping[str, Any]) -> dict[str, str]:
    """The result as headers of a response that holds a picture."""
    headers = {f"Orientd-{name.title()}": values.get(name) for name in ("decision", "turn", "angle", "confidence", "changed")}
    given = {name: value for name, value in headers.items() if value is not None}
    return {name: f"{value:.4f}" if isinstance(value, float) else str(value) for name, value in given.items()}


def _fixed(content: bytes, name: str, media: str = "") -> Handler:
    async def answer(request: Request) -> Response:
        return Response(content, media_type=media or _KINDS[name.rpartition(".")[2]])

    return answer


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, why = (
        (Refusal.WRONG_METHOD, f"not by {request.method}")
        if error.status_code == 405
        else (Refusal.NOT_FOUND, "there is no such place")
    )
    return JSONResponse({"error": f"{why}: see /docs", "reason_code": code}, error.status_code, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    """uvicorn logs it."""
    return JSONResponse({"error": "a fault of orientd: its log tells more", "reason_code": Reason.UNEXPECTED}, 500)
