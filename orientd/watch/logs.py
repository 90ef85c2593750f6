"""How a service talks: to systemd by sd_notify, to people and programs by its log."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, TextIO

from orientd.report.text import in_json, printable

_LEVELS: Final = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # see sd-daemon(3)
_RECORD: Final = frozenset(vars(logging.makeLogRecord({})))
_MADE: Final = {"message", "asctime"}  # what formatters of other handlers leave in a record


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        return f"{time.strftime('%H:%M:%S', time.localtime(record.created))} {said}{_line(record)}"


class _Journal(logging.Formatter):
    """The journal knows the time; it reads the level from the start of the line."""

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_LEVELS.get(record.levelname, 6)}>{_line(record)}"


class _Json(logging.Formatter):
    """One JSON object per line; the `extra` of a call becomes fields next to the message."""

    def format(self, record: logging.LogRecord) -> str:
        made = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        extra = {name: value for name, value in vars(record).items() if name not in _RECORD and name not in _MADE}
        fields = {
            "time": f"{made}.{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **extra,
        }
        return json.dumps(in_json(fields))


def _line(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return printable(text.replace("\n", " | "))


FORMATS: Final[Mapping[str, Callable[[], logging.Formatter]]] = {"human": _Human, "journal": _Journal, "json": _Json}


@contextmanager
def logging_to(stream: TextIO, kind: str = "auto") -> Iterator[logging.Logger]:
    """Log to a stream within the context: `auto` means human on a terminal and journal elsewhere; or json.

    Warnings of the libraries are logged, too, except those of watchdog: it complains about its own threads when they are stopped,
    and everything important of the rest is reported as a lost hint.
    """
    chosen = ("human" if stream.isatty() else "journal") if kind == "auto" else kind
    handler = logging.StreamHandler(stream)
    handler.setFormatter(FORMATS[chosen]())
    handler.addFilter(lambda record: not record.name.startswith("watchdog"))
    root, ours = logging.getLogger(), logging.getLogger("orientd")
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield ours
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)
        handler.close()
