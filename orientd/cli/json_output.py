"""What the smaller commands print with --json: lines as report/output.schema.json describes them."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from orientd import __version__
from orientd.cli.stopping import exit_code
from orientd.errors import ConfigError, ExitCode
from orientd.records import Status
from orientd.report.json_lines import JsonLines

if TYPE_CHECKING:
    from orientd.app import Standing
    from orientd.cli.doctor import Finding
    from orientd.records import Outcome
    from orientd.report.page_report import PageRow, PageVerdict
    from orientd.state.journal import Run

WATCHER_STATES: Final = {
    "starting": "starting",
    "idle": "idle",
    "judging": "judging",
    "looking through the folders": "walking",
    "quiet hours": "quiet_hours",
    "on battery": "on_battery",
    "rate limit": "rate_limit",
    "waiting for the state directory": "waiting_for_state",
    "stopped": "stopped",
}
"""The words by which a watcher tells people what it does, and the codes that scripts may rely on."""
_PENDING: Final = "pending"


def lines(asked: bool) -> JsonLines | None:
    """Where to write, if --json was given."""
    return JsonLines(sys.stdout) if asked else None


def ended(message: str) -> None:
    """Report the error that ends the command."""
    JsonLines(sys.stdout).error(message)


def time_text(seconds: float) -> str:
    """A time since the epoch as text: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def history(out: JsonLines, runs: Iterable["Run"]) -> int:
    for run in runs:
        out.write("run", _run(run))
    return ExitCode.OK


def meant(out: JsonLines, run: "Run", command: str, *, sure: bool) -> None:
    """Report the run that an undo without a number means; `command` names it.

    Raises:
        ConfigError: the caller did not say that it is `sure`; with JSON there is nobody to ask.
    """
    out.write("run", _run(run))
    if not sure:
        raise ConfigError(f"nothing was changed, as nobody is asked with --json. If that is meant:\n  {command}")


def outcomes(out: JsonLines, found: Iterable["Outcome"], stop: Callable[[], bool], began: Sequence[int]) -> int:
    """Report each outcome of an undo or a redo; returns the exit code. `began` holds its own number, if it wrote."""
    counts = _outcomes(out, found)
    return _summary(out, counts, stop, dry_run=False, run=began[0] if began else None)


def would_undo(out: JsonLines, found: Iterable["Outcome"], stop: Callable[[], bool]) -> int:
    """Report what an undo would do, as `outcomes` does."""
    counts = _outcomes(out, takewhile(lambda _: not stop(), found))
    return _summary(out, counts, stop, dry_run=True, run=None)


def _outcomes(out: JsonLines, found: Iterable["Outcome"]) -> Mapping[Status, int]:
    counts = dict.fromkeys(Status, 0)
    for one in found:
        counts[one.status] += 1
        fields = {"path": one.path, "outcome": one.status or _PENDING, "reason": one.reason or None, "reason_code": one.code}
        out.write("outcome", fields)
    return counts


def _summary(out: JsonLines, counts: Mapping[Status, int], stop: Callable[[], bool], *, dry_run: bool, run: int | None) -> int:
    code = exit_code(stop, faulty=counts[Status.FAILED] > 0)
    numbers = {status or _PENDING: number for status, number in counts.items()}
    out.write("summary", {"dry_run": dry_run, "run": run, "photos": sum(counts.values()), **numbers, "exit_code": int(code)})
    return code


def page(out: JsonLines, row: "PageRow") -> None:
    """Report the orientation of one page, and its outcome."""
    rounded = {"angle": 2, "angle_confidence": 4, "confidence": 4}
    fields = {
        name: round(value, rounded[name]) + 0.0 if isinstance(value, float) else value for name, value in row._asdict().items()
    }
    out.write("page", fields | {"copy": row.copy or None, "reason": row.reason or None})


def pages_summary(out: JsonLines, counts: Mapping["PageVerdict", int], report: str, code: ExitCode) -> None:
    """`report` is the path of the CSV file ("" for none)."""
    numbers = {verdict.value: number for verdict, number in counts.items()}
    out.write("summary", {"pages": sum(counts.values()), **numbers, "report": report, "exit_code": int(code)})


def status(out: JsonLines, standing: "Standing", watcher: Mapping[str, Any]) -> int:
    """Report what the state directory holds, and what the watcher does as `metrics.watcher` gives it."""
    runs = standing.runs
    held = {
        "state_dir": standing.state_dir,
        "model": standing.model,
        "files_known": standing.known,
        "runs": len(runs),
        "last_run": runs[0].id if runs else None,
        "fixed": sum(run.fixed for run in runs),
        "forgotten": sum(run.forgotten for run in runs),
        "originals": len(standing.originals),
        "originals_bytes": sum(standing.originals),
        "interrupted_writes": standing.unsettled,
        "watch": _watch(watcher),
    }
    out.write("state", held)
    return ExitCode.OK


def findings(out: JsonLines, found: Sequence["Finding"]) -> int:
    """Report what the doctor found; the exit code is ERROR if anything needed is missing."""
    for one in found:
        out.write("finding", {"check": one.check, "fine": one.fine, "needed": one.needed, "detail": one.detail})
    missing = sum(one.needed and not one.fine for one in found)
    code = ExitCode.ERROR if missing else ExitCode.OK
    out.write("summary", {"version": __version__, "checks": len(found), "missing": missing, "exit_code": int(code)})
    return code


def _run(run: "Run") -> dict[str, object]:
    return {
        "run": run.id,
        "command": run.command,
        "started": time_text(run.started_ns / 1e9),
        "finished": None if run.finished_ns is None else time_text(run.finished_ns / 1e9),
        "state": run.status,
        "fixed": run.fixed,
        "undone": run.undone,
        "forgotten": run.forgotten,
        "failed": run.failed,
    }


def _watch(watcher: Mapping[str, Any]) -> dict[str, object]:
    """Null is what no watcher has reported yet."""
    state = watcher["state"]
    return {
        "running": watcher["running"],
        "pid": watcher["pid"],
        "state": WATCHER_STATES.get(state, "other") if state else None,
        "started": time_text(watcher["started"]) if watcher["started"] else None,
        "updated": time_text(watcher["updated"]) if watcher["updated"] else None,
        "waiting": watcher["waiting"],
        "photos": watcher["photos"],
        "seconds": watcher["seconds"],
    }
