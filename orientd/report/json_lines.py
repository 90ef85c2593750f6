"""What commands print for scripts: lines of JSON, as output.schema.json and docs/json.md say."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TextIO

from orientd.errors import ExitCode
from orientd.records import COLUMNS, LeftOut, Row, Status, Verdict
from orientd.report.tally import NotLookedAt, Tally
from orientd.report.text import in_json


class JsonLines:
    """One JSON object a line, `message_type` first; every line is flushed.

    Text is escaped to ASCII; of a path that is not UTF-8 `path_b64` has the bytes, see `text.in_json`. `mtime_ns` is text: as a
    number it would be more than most programs can hold, and be rounded.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def photo(self, row: Row) -> None:
        values = (round(value, 4) if isinstance(value, float) else value for value in row.cells())
        fields = dict(zip(COLUMNS, values, strict=True))
        self.write("photo", fields | {"mtime_ns": None if row.mtime_ns is None else str(row.mtime_ns)})

    def status(self, done: int, found: int, total: int | None, seconds_left: float | None) -> None:
        """`total` and `seconds_left` are None until the total is known."""
        self.write("status", {"done": done, "found": found, "total": total, "seconds_left": seconds_left})

    def error(self, message: str) -> None:
        self.write("error", {"message": message})

    def summary(self, tally: Tally, report: str, exit_code: ExitCode, left_out: NotLookedAt = MappingProxyType({})) -> None:
        """`report` is the path of the CSV file ("" for none); only the numbers of `left_out` are written."""
        decisions = {verdict.value: tally.count(verdict) for verdict in Verdict}
        outcomes = {status.value: tally.count(outcome=status) for status in Status if status}
        ending = {"left_out": {why.value: left_out.get(why, (0,))[0] for why in LeftOut}, "report": report}
        self.write("summary", {"photos": tally.count(), **decisions, **outcomes, **ending, "exit_code": int(exit_code)})

    def write(self, message_type: str, values: Mapping[str, object]) -> None:
        """One line of any type; output.schema.json says which there are. Raises ValueError for NaN, which JSON has not."""
        self._stream.write(json.dumps({"message_type": message_type, **in_json(values)}, allow_nan=False) + "\n")
        self._stream.flush()
