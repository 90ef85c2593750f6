"""The benchmark of what isolation costs: its sums are right, both ways are measured, and each is the way that it says."""

import json
import subprocess
import sys

import pytest

from benchmarks.cpu import isolation
from benchmarks.measuring import ROOT


def test_each_round_is_compared_with_its_own_pair():
    plain = {"CPU ms": 10, "rounds": [10.0, 20.0, 40.0], "start-up: CPU ms": 300}
    isolated = {"CPU ms": 11, "rounds": [11.0, 21.0, 50.0], "start-up: CPU ms": 500}
    assert isolation.compared(plain, isolated) == {
        "CPU ms": [10, 11],
        "more, %": 10.0,
        "more in each round, %": [10.0, 5.0, 25.0],
        "start-up: CPU ms": [300, 500],
    }


def test_the_two_ways_take_turns(monkeypatch, tmp_path):
    lives = []

    def life(root, case, originals, place):
        lives.append((case.isolated, len(originals)))
        place.mkdir(exist_ok=True)
        return dict.fromkeys(isolation.writing.COMMANDS, len(originals) * (1.1 if case.isolated else 1.0))

    monkeypatch.setattr(isolation.writing, "life", life)
    kinds = {"small": isolation.Case(2, "jpg", (64, 48))}
    found = isolation.measure(kinds, tmp_path, 2)
    assert lives == 2 * [(False, 1), (False, 2), (True, 1), (True, 2)]
    assert found["small"]["scan"]["more, %"] == 10.0
    assert "| small | 2 | 500.0 | 550.0 | +10.0 % | 500.0 | 550.0 | +10.0 % |" in isolation.table(found)


@pytest.mark.slow
def test_it_runs_to_its_end(tmp_path):
    script = "from benchmarks.cpu import isolation as it\nit.KINDS = {'12 MP JPEG': it.Case(2, 'jpg', (640, 480))}\nit.main()"
    options = ["--out", tmp_path, "--rounds", "1", "--kinds", "12 MP JPEG", isolation.THUMBNAILS]
    done = subprocess.run([sys.executable, "-c", script, *options], cwd=ROOT)
    assert done.returncode == 0
    found = json.loads((tmp_path / "isolation.json").read_text())["found"]
    assert list(found) == ["12 MP JPEG", isolation.THUMBNAILS]
    assert all(kind["scan"]["CPU ms"] for kind in found.values())
