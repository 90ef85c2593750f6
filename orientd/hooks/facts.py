"""The input of a hook: one JSON object with stable keys. docs/monitoring.md describes them."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from orientd import __version__
from orientd.records import Status, Verdict
from orientd.report.tally import Tally
from orientd.report.text import in_json

_ADDRESSES: Final = ("http://", "https://")
_OF_THIS_MACHINE: Final = ("roots", "report", "error")


class Event(StrEnum):
    """What has happened; the values are the names of the options."""

    FINISH = "on_finish"
    FOUND = "on_found"
    ERROR = "on_error"


@dataclass(frozen=True, slots=True)
class Facts:
    """What `command` did with `roots`, folders or addresses of servers, from `started` (seconds since the epoch) on, for
    `duration` seconds.

    report: the path of its report or plan, "" for none. run: the number of the run that wrote. exit_code: None while it runs.
    error: what ended it, "" for nothing.
    """

    command: str
    roots: Sequence[str]
    started: float
    duration: float
    tally: Tally = field(default_factory=Tally)
    report: str = ""
    run: int | None = None
    exit_code: int | None = None
    error: str = ""

    def to_json(self, event: Event, *, abroad: bool = False) -> bytes:
        """JSON, in ASCII and on one line; what goes `abroad` names no folder and no file of this machine."""
        facts: dict[str, object] = {
            "event": event.removeprefix("on_"),
            "command": self.command,
            "roots": [_shown(root if root.startswith(_ADDRESSES) else os.path.abspath(root)) for root in self.roots],
            "decisions": {verdict.value: self.tally.count(verdict) for verdict in Verdict},
            "outcomes": {status.value: self.tally.count(outcome=status) for status in Status if status},
            "report": os.path.abspath(self.report) if self.report else None,
            "run": self.run,
            "exit_code": self.exit_code,
            "error": self.error or None,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "duration": round(self.duration, 3),
            "version": __version__,
        }
        if abroad:
            facts |= dict.fromkeys(_OF_THIS_MACHINE)
        return json.dumps(in_json(facts)).encode("ascii") + b"\n"


def _shown(path: str) -> object:
    return in_json({"path": path})["path"]
