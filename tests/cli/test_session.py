"""A session shows its meter from its start to its summary, and takes it away once, however it ends."""

import pytest

from orientd.cli import session as module
from orientd.cli.session import Session
from orientd.report.csv_file import CsvReport
from orientd.report.progress import Meter


class CountedMeter(Meter):
    def __init__(self):
        super().__init__()
        self.calls = []

    def __enter__(self):
        self.calls.append("start")
        return super().__enter__()

    def __exit__(self, *error):
        self.calls.append("stop")
        super().__exit__(*error)


@pytest.fixture
def meter(monkeypatch):
    shown = CountedMeter()
    monkeypatch.setattr(module, "meter", lambda *_, **__: shown)
    return shown


def opened(folder, as_json=False):
    return Session(CsvReport(str(folder / "r.csv")), as_json, quiet=False, verbose=False, wrote=False)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_meter_is_stopped_once(tmp_path, meter, as_json, interrupted, capsys):
    with opened(tmp_path, as_json) as session:
        assert meter.calls == ["start"]
        session.finish(interrupted=interrupted)
    assert meter.calls == ["start", "stop"]


def test_it_is_gone_before_the_summary_is_printed(tmp_path, meter, monkeypatch):
    monkeypatch.setattr(module, "summary", lambda *_, **__: meter.calls.append("summary") or "")
    with opened(tmp_path) as session:
        session.finish(interrupted=False)
    assert meter.calls == ["start", "stop", "summary"]


def test_an_error_takes_it_away_too(tmp_path, meter):
    with pytest.raises(ValueError, match="on the way"), opened(tmp_path):
        raise ValueError("on the way")
    assert meter.calls == ["start", "stop"]
