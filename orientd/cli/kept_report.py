"""The report of a run, which never takes the place of what a person has made of an earlier one."""

import os
from datetime import datetime

from orientd.errors import OrientdError
from orientd.report.csv_file import CsvReport, default_report
from orientd.report.text import printable
from orientd.state.written_reports import WrittenReports


class KeptReport(CsvReport):
    """A report at the path `named`; if that is a folder, or empty, with a name of its own there, by the time `now`.

    Raises:
        ConfigError: as CsvReport, and if the file was changed since orientd wrote it, unless it is to `overwrite` that.
    """

    def __init__(self, named: str, state_dir: str, now: datetime, *, overwrite: bool, excel: bool = False) -> None:
        self._place = default_report(now, named) if not named or os.path.isdir(named) else named
        self._written = WrittenReports(state_dir) if self._place == named else None
        self._overwrite = overwrite
        if self._written and not overwrite:
            self._written.check(named)
        super().__init__(self._place, excel=excel)

    def finish(self) -> str:
        """As CsvReport. A file that orientd does not know to be as it wrote it gets another name before."""
        if self._written and not self._overwrite:
            self._make_room(self._written)
        path = super().finish()
        if self._written:
            self._written.remember(path)
        return path

    def _make_room(self, written: WrittenReports) -> None:
        try:
            aside = written.make_room(self._place)
        except OSError as error:
            raise OrientdError(f"{printable(self._place)} cannot be renamed: {error.strerror}") from error
        if aside:
            self.notice = f"the report that was at {printable(self._place)} may have been edited: it is {printable(aside)} now"
