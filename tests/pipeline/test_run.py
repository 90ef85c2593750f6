"""Order, bounds and stopping, with stages that are plain functions."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orientd.pipeline import run as pipeline
from orientd.records import Candidate, FileStat, Row, Verdict


def candidates(number):
    for i in range(number):
        yield Candidate(f"/photos/{i}", FileStat(1, i, i, i))


def row_of(candidate):
    verdict = Verdict.FIX if candidate.stat.inode % 5 == 0 else Verdict.KEEP
    return Row(candidate.path, decision=verdict)


class Recorder:
    """Stages that remember what was asked of them."""

    def __init__(self, known=lambda i: False, stop_after=None):
        self.judged, self.acted, self.recorded = [], [], []
        self._known, self._stop_after = known, stop_after
        self.stages = pipeline.Stages(self._lookup, self._judge, self._act, self.recorded.extend)

    def _lookup(self, chunk):
        return [row_of(c) if self._known(c.stat.inode) else None for c in chunk]

    def _judge(self, batch):
        self.judged.extend(c.path for c in batch)
        return [row_of(c) for c in batch]

    def _act(self, row):
        assert threading.current_thread() is threading.main_thread(), "writes have one owner"
        self.acted.append(row.path)
        return row

    def stop(self):
        return self._stop_after is not None and len(self.acted) >= self._stop_after


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1300), st.integers(1, 5), st.integers(1, 40), st.integers(1, 7))
def test_every_candidate_comes_out_once(number, workers, batch, modulus):
    recorder = Recorder(known=lambda i: i % modulus == 0)
    rows = list(pipeline.run(candidates(number), recorder.stages, workers, batch, recorder.stop))
    paths = [f"/photos/{i}" for i in range(number)]
    assert [row.path for row in rows] == paths, "whatever is known"
    assert sorted(recorder.judged) == sorted(paths[i] for i in range(number) if i % modulus)
    assert sorted(recorder.acted) == sorted(paths[i] for i in range(number) if i % 5 == 0)
    assert sorted(row.path for row in recorder.recorded) == sorted(recorder.judged)


def test_the_order_does_not_depend_on_the_workers():
    orders = []
    for workers in (1, 4):
        recorder = Recorder(known=lambda i: i % 3 == 0)
        orders.append([row.path for row in pipeline.run(candidates(1200), recorder.stages, workers, 16, recorder.stop)])
    assert orders[0] == orders[1]


def test_nothing_new_is_acted_on_after_a_stop():
    recorder = Recorder(stop_after=3)
    rows = list(pipeline.run(candidates(5000), recorder.stages, 2, 16, recorder.stop))
    assert len(recorder.acted) == 3
    assert len(recorder.judged) < 1000, "the walk must not go on"
    assert [row.path for row in rows if row.decision == Verdict.FIX] == recorder.acted


def test_a_stop_ends_the_walk_at_the_next_file():
    taken = []

    def walk():
        for candidate in candidates(5000):
            taken.append(candidate)
            yield candidate

    recorder = Recorder()
    assert list(pipeline.run(walk(), recorder.stages, 2, 16, lambda: len(taken) >= 3)) == []
    assert (len(taken), recorder.judged) == (3, [])


@pytest.mark.parametrize(("every", "most"), [(1, pipeline.LOOKUP + 16 * 6), (400, 6 * pipeline.LOOKUP)])
def test_the_walk_is_never_far_ahead_of_the_judging(every, most):
    """Also where one photo in 400 is new, which the known ones behind it wait for."""
    taken = 0

    def counted():
        nonlocal taken
        for candidate in candidates(20_000):
            taken += 1
            yield candidate

    recorder = Recorder(known=lambda i: i % every)
    ahead = 0
    for number, _ in enumerate(pipeline.run(counted(), recorder.stages, 2, 16, recorder.stop), 1):
        ahead = max(ahead, taken - number)
    assert ahead <= most


def test_what_stops_the_run_reaches_the_caller():
    def broken(batch):
        raise RuntimeError("the engine is gone")

    stages = pipeline.Stages(lambda chunk: [None] * len(chunk), broken, lambda row: row, lambda rows: None)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        list(pipeline.run(candidates(100), stages, 2, 8, lambda: False))
