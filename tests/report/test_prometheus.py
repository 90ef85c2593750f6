"""The textfile for node_exporter: whole at any time, and read by others."""

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orientd.records import Row, Status, Verdict
from orientd.report import prometheus
from orientd.report.tally import Tally


def test_the_sums_are_the_photos_judged_and_the_fixes_tried():
    tally = Tally()
    kinds = [(verdict, "") for verdict in Verdict for _ in range(3)] + [(Verdict.FIX, status) for status in Status if status]
    for decision, outcome in kinds:
        tally.add(Row("/a", decision=decision, outcome=Status(outcome)))
    text = prometheus.of_scan(tally, 'odd "name"\\\n\udce9', 1.5, 2.5)
    found = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert sum(sample.value for sample in found["orientd_scan_photos"]) == len(kinds)
    assert sum(sample.value for sample in found["orientd_scan_fixes"]) == 3
    assert found["orientd_build_info"][0].labels["model"] == 'odd "name"\\\n?'


def test_it_is_replaced_whole_and_what_was_there_stays_if_that_fails(tmp_path, monkeypatch):
    file = tmp_path / "orientd.prom"
    (tmp_path / "orientd.prom.partial").symlink_to("/etc/passwd")
    prometheus.leave("one 1\n", str(file))
    assert (file.read_text(), os.listdir(tmp_path)) == ("one 1\n", ["orientd.prom"])
    seen = file.stat().st_ino
    prometheus.leave("two 2\n", str(file))
    assert file.stat().st_ino != seen

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orientd.report.prometheus.os.replace", full)
    with pytest.raises(OSError, match="No space"):
        prometheus.leave("three 3\n", str(file))
    assert (file.read_text(), os.listdir(tmp_path)) == ("two 2\n", ["orientd.prom"])


def test_a_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "orientd.prom").symlink_to(tmp_path / "real" / "x.prom")
    prometheus.leave("one 1\n", str(tmp_path / "orientd.prom"))
    assert (tmp_path / "orientd.prom").is_symlink()
    assert (tmp_path / "real" / "x.prom").read_text() == "one 1\n"
