"""What a run has met, counted by decision, outcome and reason."""

from collections import Counter
from collections.abc import Mapping, Sequence

from orientd.errors import ExitCode
from orientd.reasons import Reason, words
from orientd.records import LeftOut, Method, Row, Status, Verdict

NotLookedAt = Mapping[LeftOut, tuple[int, Sequence[str]]]
"""Numbers of files and folders, and the names of some."""


_FORBIDDEN = (Reason.NO_PERMISSION, Reason.READ_ONLY)


class Tally:
    """Counts of what happened; memory stays flat however many rows come."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Verdict, Status]] = Counter()
        self._reasons: Counter[tuple[Verdict, Reason | None]] = Counter()
        self.judged, self.beyond_reach, self.forbidden = 0, 0, 0
        self.rotated, self.rotated_bytes = 0, 0

    def add(self, row: Row) -> None:
        self._counts[row.decision, row.outcome] += 1
        self.judged += row.turn is not None or row.decision not in (Verdict.SKIP, Verdict.ERROR)
        self.beyond_reach += row.beyond_reach
        self.forbidden += row.decision is Verdict.FIX and row.outcome is Status.PENDING and row.reason_code in _FORBIDDEN
        if row.method is Method.ROTATE and row.outcome in (Status.PENDING, Status.FIXED):
            self.rotated, self.rotated_bytes = self.rotated + 1, self.rotated_bytes + (row.size or 0)
        if row.reason:
            self._reasons[row.decision, row.reason_code] += 1

    def count(self, decision: Verdict | None = None, outcome: Status | None = None) -> int:
        """Rows with that decision and that outcome; None means any."""
        return sum(
            number
            for (its_decision, its_outcome), number in self._counts.items()
            if decision in (None, its_decision) and outcome in (None, its_outcome)
        )

    def reasons(self, decision: Verdict) -> list[tuple[str, int]]:
        """(kind of reason in words, count), the most frequent first."""
        found = [(words(code), number) for (verdict, code), number in self._reasons.items() if verdict is decision]
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def exit_code(self, *, when_found: bool = False, interrupted: bool = False) -> ExitCode:
        """INTERRUPTED, else INCOMPLETE if anything failed, else FOUND if asked for and a photo needs a turn, else OK."""
        if interrupted:
            return ExitCode.INTERRUPTED
        if self.count(Verdict.ERROR) or self.count(outcome=Status.FAILED):
            return ExitCode.INCOMPLETE
        return ExitCode.FOUND if when_found and (self.count(Verdict.FIX) or self.beyond_reach) else ExitCode.OK
