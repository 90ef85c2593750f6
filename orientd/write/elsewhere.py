"""The interface of a writer of photos on a server: the same as is done to files, with the same journal."""

from enum import StrEnum
from typing import Protocol

from orientd.records import Outcome, Row
from orientd.state.journal import Journal, Write


class State(StrEnum):
    """What has become of a photo that was written; only the last four are faults."""

    HOLDS = "holds"
    OLD = "old"
    CHANGED = "changed"
    VANISHED = "vanished"
    FORGOTTEN = "forgotten"
    UNSETTLED = "unsettled"
    UNREADABLE = "unreadable"
    SPOILT = "spoilt"


class Elsewhere(Protocol):
    """A writer of photos on servers. What goes wrong with one photo is an outcome with a reason; only StateError is raised."""

    def fix(self, journal: Journal, run: int, row: Row) -> Outcome:
        """Have a photo shown turned as its row says, as a part of the run."""

    def take_back(self, journal: Journal, run: int, write: Write) -> Outcome:
        """Take a write back, as a part of the run."""

    def would_take_back(self, journal: Journal, write: Write) -> Outcome:
        """What `take_back` would do, as far as the server's answers show; PENDING where it would."""

    def settle(self, journal: Journal, write: Write) -> Outcome:
        """Find out what came of a write that was interrupted; what cannot be found out now stays open."""

    def state(self, write: Write) -> tuple[State, str]:
        """What has become of a write, and why that is known."""
