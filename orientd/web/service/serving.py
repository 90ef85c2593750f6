"""Serves: judges and workers first, then the answers, until Ctrl-C or SIGTERM; what is in hand is answered before it ends."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import uvicorn

from orientd.web.guard import Access
from orientd.web.listening import Server
from orientd.web.service.app import Answers, Service
from orientd.web.service.connections import Connection
from orientd.web.service.door import Door, Limits
from orientd.web.service.judging import Judging
from orientd.web.service.numbers import Left, Numbers
from orientd.web.service.workers import Workers

_LAST_ANSWERS: Final = 20  # seconds that requests in hand have once it is to end
_ALIVE_EVERY: Final = 20  # seconds


@dataclass(frozen=True, slots=True)
class Terms:
    """How it is served: at most `queue` pictures wait for `threads`; see `Workers` for `latency`, in seconds."""

    token: str = ""
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    queue: int = 64
    latency: float = 0.02


@contextmanager
def workers(judging: Judging, terms: Terms) -> Iterator[Answers]:
    """What answers tasks as long as this lasts."""
    with closing(Workers(judging, terms.threads, terms.queue, judging.batch, terms.latency)) as made:
        yield made


def server(
    answers: Answers, access: Access, terms: Terms, numbers: Numbers, stop: Callable[[], bool], alive: Callable[[], None]
) -> Server:
    """What answers requests, once it is run, until it hears of a signal or `stop` comes true; says that it is `alive`."""
    made: list[Server] = []

    def connected() -> int:
        return len(made[0].server_state.connections)

    async def say() -> None:
        if answers.are_well:
            alive()

    application = Service(answers, terms.limits, numbers, connected).app()
    settings = uvicorn.Config(
        Door(application, access, terms.token, terms.limits, numbers),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=partial(Connection, refused=numbers.refused, unread=partial(numbers.left, Left.READING)),  # type: ignore[arg-type]  # it is called as the class would be
        loop="asyncio",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=_LAST_ANSWERS,
        h11_max_incomplete_event_size=32 * 1024,
        callback_notify=say,
        timeout_notify=_ALIVE_EVERY,
    )
    made.append(Server(settings, stop))
    return made[0]


def serve(
    judging: Judging,
    bound: socket.socket,
    access: Access,
    terms: Terms,
    log: logging.Logger,
    begin: Callable[[], None],
    stop: Callable[[], bool] = lambda: False,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Answer until Ctrl-C or SIGTERM, or until `stop` comes true. `begin` comes once all is loaded."""
    judging.warm()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every request that it cannot read
    numbers = Numbers(judging.model, log)
    with workers(judging, terms) as answers:
        begin()
        server(answers, access, terms, numbers, stop, alive).run(sockets=[bound])
