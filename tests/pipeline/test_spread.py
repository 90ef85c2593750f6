"""A scan by workers that are slow, lost or ended by a photo: every photo comes out once, as the walk goes. No Ray."""

import os
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orientd.errors import OrientdError
from orientd.pipeline import run as pipeline
from orientd.pipeline.cluster import spread, units
from orientd.pipeline.cluster.spread import Ended
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat, Row, Verdict


def candidates(number, in_folder=10):
    for i in range(number):
        yield Candidate(f"/photos/{i // in_folder:04}/{i:06}", FileStat(1, i, i, i))


def row_of(candidate):
    return Row(candidate.path, decision=Verdict.FIX if candidate.stat.inode % 5 == 0 else Verdict.KEEP)


class Recorder:
    """Stages that remember what was asked of them."""

    def __init__(self, known=lambda i: False):
        self.acted, self.recorded, self._known = [], [], known
        self.stages = pipeline.Stages(self._lookup, None, self._act, self.recorded.extend)

    def _lookup(self, chunk):
        return [row_of(each) if self._known(each.stat.inode) else None for each in chunk]

    def _act(self, row):
        self.acted.append(row.path)
        return row


class FakeCrew:
    """Judges in the order that chance has it; now and then a worker is lost, and always at a photo that is `deadly`."""

    def __init__(self, room=4, seed=0, lost=0.0, deadly=(), hang=()):
        self.room, self.lost, self.deadly, self.hang = room, lost, set(deadly), set(hang)
        self.chance = random.Random(seed)
        self.in_hand, self.begun, self.hanging, self.spares, self.waited = [], [], [], 0, 0

    @property
    def has_room(self):
        return len(self.in_hand) < self.room

    @property
    def capacity(self):
        return self.room * units.MOST

    def begin(self, unit, candidates, *, spare=False):
        if not self.has_room:
            return False
        self.spares += spare
        self.begun.append([each.path for each in candidates])
        hangs = not spare and any(each.stat.inode in self.hang for each in candidates)
        (self.hanging if hangs else self.in_hand).append((unit, candidates))
        return True

    def ended(self, seconds):
        assert self.in_hand or self.hanging, "nobody waits for nothing"
        if not self.in_hand:
            self.waited += 1
            return []
        unit, judged = self.in_hand.pop(self.chance.randrange(len(self.in_hand)))
        if any(each.stat.inode in self.deadly for each in judged):
            return [Ended(unit, None, blamed=True)]
        if self.chance.random() < self.lost:
            return [Ended(unit, None, blamed=False)]
        return [Ended(unit, [row_of(each) for each in judged])]


def run(number, crew, recorder=None, stop=lambda: False, **more):
    recorder = recorder or Recorder()
    return list(spread.run(candidates(number, **more), recorder.stages, crew, stop))


@settings(max_examples=40)
@given(st.integers(0, 900), st.integers(1, 9), st.integers(0, 99), st.integers(1, 7), st.sampled_from([0.0, 0.3]))
def test_every_photo_comes_out_once_as_the_walk_goes(number, room, seed, modulus, lost):
    recorder, paths = Recorder(known=lambda i: i % modulus == 0), [each.path for each in candidates(number)]
    rows = run(number, FakeCrew(room, seed, lost), recorder)
    assert [row.path for row in rows] == paths
    assert sorted(row.path for row in recorder.recorded) == [path for i, path in enumerate(paths) if i % modulus]
    assert recorder.acted == paths[::5]


def test_what_comes_back_is_remembered_before_it_is_its_turn():
    recorder, crew = Recorder(), FakeCrew(room=5)
    crew.chance.randrange = lambda number: number - 1  # the last that was begun is the first to end
    rows = spread.run(candidates(500), recorder.stages, crew, lambda: False)
    assert next(rows).path == "/photos/0000/000000"
    assert len(recorder.recorded) > 2 * units.MOST
    rows.close()


def test_a_photo_that_ends_every_worker_is_left_out_and_costs_few():
    crew = FakeCrew(deadly=[7])
    rows = run(100, crew)
    assert [row.path for row in rows if row.decision is Verdict.ERROR] == ["/photos/0000/000007"]
    assert rows[7].reason_code is Reason.CRASHES
    assert [row.path for row in rows] == [each.path for each in candidates(100)]
    assert sum("/photos/0000/000007" in begun for begun in crew.begun) == 2 * spread.LOSSES - 1


def test_a_unit_that_is_late_is_begun_once_more(monkeypatch):
    monkeypatch.setattr(spread, "LATE", 0.0)
    recorder, crew = Recorder(), FakeCrew(hang=[3])
    assert [row.path for row in run(200, crew, recorder)] == [each.path for each in candidates(200)]
    assert crew.spares >= 1
    assert len(recorder.recorded) == 200, "nothing twice"
    assert len(crew.hanging) == 1


def test_what_ends_twice_counts_once():
    class Twice(FakeCrew):
        def ended(self, seconds):
            return 2 * super().ended(seconds)

    recorder = Recorder()
    assert len(run(300, Twice(), recorder)) == len(recorder.recorded) == 300


def test_a_copy_that_is_lost_leaves_the_other():
    crew, times = FakeCrew(room=2), iter([0.0, *[100.0] * 1000])

    def ended(seconds):
        crew.waited += 1
        if crew.waited == 1:
            return []  # late by now
        if crew.waited == 2:
            del crew.in_hand[0]
            return [Ended(0, None, blamed=True)]
        return FakeCrew.ended(crew, seconds)

    crew.ended = ended
    rows = list(spread.run(candidates(20), Recorder().stages, crew, lambda: False, clock=lambda: next(times)))
    assert [row.path for row in rows] == [each.path for each in candidates(20)]
    assert (len(crew.begun), crew.spares) == (3, 2), "by another spare one, as the first may be slow"


def test_a_unit_is_never_begun_by_more_than_two_at_a_time():
    crew, times = FakeCrew(room=9), iter([0.0, *[100.0] * 1000])

    def ended(seconds):
        crew.waited += 1
        return FakeCrew.ended(crew, seconds) if crew.waited > 20 else []

    crew.ended = ended
    assert len(list(spread.run(candidates(20), Recorder().stages, crew, lambda: False, clock=lambda: next(times)))) == 20
    assert (len(crew.begun), crew.spares) == (2, 1)


def test_where_nobody_is_free_not_every_late_unit_is_tried():
    """With a thousand workers and photos that take seconds, all of them are late, all the time."""
    crew, times, refused = FakeCrew(room=50), iter([*[0.0] * 50, *[100.0] * 1000]), []
    begin = crew.begin

    def beginning(unit, candidates, *, spare=False):
        begun = begin(unit, candidates, spare=spare)
        refused.append(spare and not begun)
        return begun

    crew.begin = beginning
    assert len(list(spread.run(candidates(3000), Recorder().stages, crew, lambda: False, clock=lambda: next(times)))) == 3000
    assert 0 < sum(refused) < 2 * len(crew.begun)


def test_so_much_waits_and_no_more(monkeypatch):
    """One unit hangs, and all others are quick: the walk stops before memory is full."""
    monkeypatch.setattr(spread, "MOST_HELD", 2000)
    taken = []

    def walk():
        for each in candidates(100_000):
            taken.append(each.path)
            yield each

    crew = FakeCrew(hang=[3])
    assert not list(spread.run(walk(), Recorder().stages, crew, lambda: crew.waited > 9))
    assert 2000 <= len(taken) <= 2000 + 500 + units.MOST


def test_known_rows_do_not_wait_for_the_end_of_the_walk():
    taken = []

    def walk():
        for each in candidates(10_000):
            taken.append(each.path)
            yield each

    rows = spread.run(walk(), Recorder(known=lambda i: True).stages, FakeCrew(), lambda: False)
    next(rows)
    assert len(taken) <= 500
    rows.close()


def test_once_stopped_nothing_more_comes_out():
    recorder, crew = Recorder(), FakeCrew()
    rows = []
    for row in spread.run(candidates(5000), recorder.stages, crew, lambda: len(rows) >= 40):
        rows.append(row)
    assert len(rows) == 40
    assert len(crew.begun) < 20


def test_while_all_workers_are_new_it_waits_for_them():
    """As where the only one was lost when nothing else was under way."""

    class Starting(FakeCrew):
        def ended(self, seconds):
            if self.in_hand:
                self.room = 0  # lost once it has judged its unit
                return super().ended(seconds)
            self.room = 1
            return []

    assert [row.path for row in run(100, Starting(room=0))] == [each.path for each in candidates(100)]


def test_where_nobody_is_left_it_says_so():
    crew = FakeCrew()

    def ended(seconds):
        raise OrientdError("no node of the cluster is left")

    crew.ended = ended
    with pytest.raises(OrientdError, match="no node"):
        run(100, crew)


@given(st.lists(st.integers(1, 45), max_size=11), st.integers(2, 40))
def test_a_folder_is_a_unit_unless_it_is_small_or_large(sizes, most):
    walked = [Candidate(f"/{folder:03}/{i}", FileStat(1, 1, 1, 1)) for folder, size in enumerate(sizes) for i in range(size)]
    found = [unit for _, unit in units.in_units(walked, lambda chunk: [None] * len(chunk), most)]
    assert [each for unit in found for each in unit] == walked
    assert all(0 < len(unit) <= most for unit in found)
    for unit, following in pairwise(found):
        same = os.path.dirname(unit[-1].path) == os.path.dirname(following[0].path)
        assert len(unit) == most or not same
        assert len(unit) >= most // 2
