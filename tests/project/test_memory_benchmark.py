"""The benchmark of memory by workers runs to its end, on photos that witnesses are asked about, and measures whole families."""

import os
import subprocess
import sys

import pytest
from support import probe_pictures

from benchmarks.cpu import memory
from benchmarks.measuring import ROOT, script


def test_it_measures_each_number_of_workers(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.jpg").write_bytes(probe_pictures.as_jpeg(probe_pictures.noise(number, 2.0)))
    command = script("cpu.memory", tmp_path, "--workers", 1, 2, "--rounds", 1)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "2 photos, 1 rounds" in done.stdout
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "| this |" in line]
    assert [row[0] for row in rows] == ["1", "2"]
    assert all(float(largest) > 50 and float(together) > 50 for *_, largest, together in rows)


def test_only_photos_that_witnesses_were_asked_about_are_hard():
    report = b"path,evidence\r\n/a.jpg,\r\n/b.jpg,scene 90 +1.0; faces 90 +2.0\r\n"
    assert [str(path) for path in memory.hard(report)] == ["/b.jpg"]


def test_children_count_and_what_fails_is_no_measurement():
    nested = "import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', sys.argv[1]], check=True)"
    holds = "import time; held = b'x' * 200_000_000; time.sleep(1)"
    run = memory.watched([sys.executable, "-S", "-c", nested, holds], dict(os.environ))
    assert 190 < run.together < 400
    with pytest.raises(RuntimeError, match="ended with 3"):
        memory.watched([sys.executable, "-S", "-c", "raise SystemExit(3)"], dict(os.environ))


def test_scans_that_report_otherwise_are_an_error(monkeypatch, tmp_path):
    reports = iter([b"one", b"another"])
    monkeypatch.setattr(memory, "scan", lambda *_: (memory.Run(1.0, 1.0, 1.0), next(reports)))
    with pytest.raises(RuntimeError, match="this with 2 workers does not report"):
        memory.measure({"this": ROOT}, tmp_path, tmp_path, [1, 2], 2)
