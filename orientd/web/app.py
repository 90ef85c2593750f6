"""The routes: requests become calls of the desk, and its answers JSON. A request that gets here has passed the guard."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from importlib import resources
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from orientd.config import processors
from orientd.errors import OrientdError, PhotoError
from orientd.report.text import printable
from orientd.report.verdicts import Choice
from orientd.web.desk import Desk, NotPossible
from orientd.web.previews import SIDES

_KINDS: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_STATIC: Final = {
    name: resources.files("orientd.web").joinpath("static", name).read_bytes()
    for name in ("review.html", "review.css", "review.js", "api.js", "cards.js", "grid.js", "large.js", "panels.js", "icon.svg")
}
_MOST_NUMBERS: Final = 20_000
_CHOICES: Final = (Choice.ACCEPT, Choice.KEEP, Choice.TURN, Choice.SKIP)
_GONE: Final = 499  # the browser does not want it any more

Handler = Callable[[Request], Awaitable[Response]]


class Pages:
    """Answers requests about a desk; what takes time is done by `work_pool`, and what shows photos by `preview_pool`."""

    def __init__(self, desk: Desk, work_pool: Executor, preview_pool: Executor, most: int) -> None:
        """At most `most` photos are decoded at the same time; the others wait, and are forgotten if nobody wants them then."""
        self._desk, self._work_pool, self._preview_pool = desk, work_pool, preview_pool
        self._places = asyncio.Semaphore(most)

    def app(self) -> Starlette:
        read = [
            Route("/", self._static("review.html")),
            Route("/api/state", self._asked(lambda query: self._desk.state(_whole(query, "since")))),
            Route("/api/list", self._asked(self._desk.listed)),
            Route("/api/cards", self._asked(lambda query: self._desk.cards(_numbers(query.get("n", "").split(","))))),
            Route("/photo/{number:int}/{side:int}", self._photo),
            *(Route(f"/static/{name}", self._static(name)) for name in _STATIC if name != "review.html"),
        ]
        return Starlette(routes=[*read, *self._changing()])

    def _changing(self) -> list[Route]:
        desk = self._desk
        actions: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "verdict": lambda said: desk.judge(_numbers(said["numbers"]), _choice(said), _turn(said), _page(said)),
            "accept": lambda said: desk.accept(_texts(said["query"]), float(said["above"]), _page(said)),
            "take-back": lambda said: desk.take_back(_page(said)),
            "apply": lambda said: desk.apply("all" if said["which"] == "all" else "accepted", int(said["count"])),
            "undo": lambda said: desk.undo(int(said["run"])),
            "stop": lambda said: desk.stop(),
        }
        return [Route(f"/api/{name}", self._said(action), methods=["POST"]) for name, action in actions.items()]

    def _static(self, name: str) -> Handler:
        async def answer(request: Request) -> Response:
            return Response(_STATIC[name], media_type=_KINDS[name.rpartition(".")[2]])

        return answer

    def _asked(self, action: Callable[[Mapping[str, str]], Any]) -> Handler:
        async def answer(request: Request) -> Response:
            return await self._done(lambda: action(request.query_params))

        return answer

    def _said(self, action: Callable[[Mapping[str, Any]], Any]) -> Handler:
        async def answer(request: Request) -> Response:
            body = await request.body()
            return await self._done(lambda: action(_object(body)))

        return answer

    async def _done(self, action: Callable[[], Any]) -> Response:
        try:
            return JSONResponse(await asyncio.get_running_loop().run_in_executor(self._work_pool, action))
        except NotPossible as error:
            return JSONResponse({"error": str(error)}, error.status)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            return JSONResponse({"error": "This request cannot be understood."}, 400)
        except OrientdError as error:
            return JSONResponse({"error": printable(str(error))}, 500)
        except Exception as error:  # reported here and at the terminal; the server goes on
            return JSONResponse({"error": self._desk.fault(error)}, 500)

    async def _photo(self, request: Request) -> Response:
        number, side = request.path_params["number"], request.path_params["side"]
        if side not in SIDES:
            return PlainTextResponse("There is no such size.", 404)
        await request.body()  # the message after it says that nobody waits any more
        async with self._places:
            if await request.is_disconnected():
                return Response(status_code=_GONE)
            try:
                look = asyncio.get_running_loop().run_in_executor(self._preview_pool, self._desk.preview, number, side)
                return Response((await look).jpeg, media_type="image/jpeg")
            except NotPossible as error:
                return PlainTextResponse(str(error), error.status)
            except PhotoError as error:
                return PlainTextResponse(printable(str(error)), 422)
            except Exception as error:
                return PlainTextResponse(self._desk.fault(error), 500)


def _object(body: bytes) -> Mapping[str, Any]:
    said = json.loads(body)
    if not isinstance(said, dict):
        raise TypeError
    return said


def _numbers(given: Any) -> list[int]:
    if not isinstance(given, list) or len(given) > _MOST_NUMBERS:
        raise TypeError
    return [int(number) for number in given if str(number).isdecimal()]


def _whole(query: Mapping[str, str], name: str) -> int | None:
    return int(query[name]) if query.get(name) else None


def _choice(said: Mapping[str, Any]) -> Choice:
    choice = Choice(said["choice"])
    if choice not in _CHOICES:
        raise ValueError
    return choice


def _turn(said: Mapping[str, Any]) -> int | None:
    turn = said.get("turn") if said["choice"] == Choice.TURN else None
    if turn is not None and turn not in (90, 180, 270):
        raise ValueError
    return turn


def _page(said: Mapping[str, Any]) -> str:
    return str(said["page"])[:64]


def _texts(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise TypeError
    return {str(name): str(value) for name, value in given.items()}


def workers() -> int:
    """How many photos are decoded for the page at the same time: one core is left to the browser and to the verdicts."""
    return min(8, max(1, processors.available() - 1))
