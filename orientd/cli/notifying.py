"""Notifications at the end of a run, once its report is closed and its locks are free: hooks, and node_exporter by its textfile.

If one fails, a line on standard error says so: neither the exit code nor what was done changes.
"""

import os
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from orientd.config import Config
from orientd.errors import ExitCode, OrientdError

if TYPE_CHECKING:
    from orientd.cli.session import Session
    from orientd.report.tally import Tally


def notifying(command: str, roots: str, option: str = "") -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Notify others of a command that takes a `config`; it gets a `notifier`, too.

    `roots` names the argument that holds its folders or the address of its server; where that is not given, the address is the
    `option` of the configuration.
    """

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        @wraps(function)
        def around(config: Config, **values: Any) -> int:
            named = values[roots] or (getattr(config, option) if option else "")
            notifier = Notifier(
                config, command, [named] if isinstance(named, str) and named else named or (), of_folders=not option
            )
            try:
                code = function(config=config, notifier=notifier, **values)
            except (click.ClickException, BrokenPipeError):  # a mistyped command, or a closed pipe: a person sees that at once
                raise
            except Exception as error:
                notifier.failed(error)
                raise
            notifier.finished(code)
            return code

        return around

    return decorate


class Notifier:
    """Begins with the run. Without anyone to notify, nothing is loaded for it."""

    def __init__(self, config: Config, command: str, roots: Sequence[str], *, of_folders: bool = True) -> None:
        """The textfile is left to the scan `of_folders`: another scan's numbers would pass for its own."""
        self._config, self._command, self._roots, self._of_folders = config, command, roots, of_folders
        self._began, self._began_by_clock = time.time(), time.monotonic()
        self._session: Session | None = None

    @property
    def session(self) -> "Session | None":
        return self._session

    def of(self, session: "Session") -> None:
        """Report the counts of that session."""
        self._session = session

    def finished(self, code: int) -> None:
        """Report the end of the run, unless somebody interrupted it: then nobody is notified."""
        if code == ExitCode.INTERRUPTED or not self._session:
            return
        from orientd.records import Verdict

        seconds = time.monotonic() - self._began_by_clock
        tally, _, _ = self._session.so_far
        if self._command == "scan":
            if self._config.metrics_textfile and self._of_folders:
                self._leave_textfile(tally, seconds)
            if tally.count(Verdict.FIX):
                self._run("on_found", seconds, code)
        self._run("on_finish", seconds, code)

    def failed(self, error: Exception) -> None:
        """An error ended it."""
        code = error.exit_code if isinstance(error, OrientdError) else ExitCode.ERROR
        self._run("on_error", time.monotonic() - self._began_by_clock, code, str(error) or type(error).__name__)

    def _run(self, name: str, seconds: float, code: int, error: str = "") -> None:
        if not getattr(self._config, name):
            return
        from orientd.cli.output import note
        from orientd.cli.stopping import stoppable
        from orientd.hooks.facts import Event, Facts
        from orientd.hooks.run import run
        from orientd.report.tally import Tally

        tally, report, number = self._session.so_far if self._session else (Tally(), "", None)
        there = report if os.path.exists(report) else ""
        facts = Facts(self._command, self._roots, self._began, seconds, tally, there, number, int(code), error)
        with stoppable() as stop:
            run(self._config, Event(name), facts, note, stop=stop)

    def _leave_textfile(self, tally: "Tally", seconds: float) -> None:
        from orientd.cli.output import note
        from orientd.pipeline.stages import model_name
        from orientd.report import prometheus

        try:
            content = prometheus.of_scan(tally, model_name(self._config), time.time(), seconds)
            prometheus.leave(content, self._config.metrics_textfile)
        except (OSError, OrientdError) as error:
            why = getattr(error, "strerror", None) or error
            note(f"metrics_textfile: {self._config.metrics_textfile} was not written: {why}")
