"""How long the lock of a state folder is waited for, by a clock that is given."""

from functools import partial

import pytest

from orientd.errors import Busy, Stopped
from orientd.state.lock import Lock, Waiting


class Clock:
    """Passes only while somebody sleeps."""

    now = 100.0

    def sleep(self, seconds):
        self.now += seconds


def waiting(folder, seconds, said, clock, stop=lambda: False, for_watcher=0.0):
    return Waiting(str(folder), seconds, stop, said.append, for_watcher, clock.sleep)


@pytest.mark.parametrize(("seconds", "waited"), [(0.0, 0.0), (5.0, 5.0), (3600.0, 3600.0)])
def test_it_gives_up_after_the_seconds_asked_for_and_tells_once(tmp_path, seconds, waited):
    clock, said = Clock(), []
    with Lock(tmp_path), pytest.raises(Busy, match=r"another orientd is writing \(process \d+\): wait"):
        Lock(tmp_path, wait=waiting(tmp_path, seconds, said, clock))
    assert clock.now - 100 == pytest.approx(waited)
    assert len(said) == bool(waited)
    assert all(line.startswith("another orientd is writing (process ") and line.endswith(": waiting for it") for line in said)


def test_it_goes_on_once_the_other_is_done(tmp_path):
    clock, said, other = Clock(), [], Lock(tmp_path)
    sleep = clock.sleep

    def sleep_while_it_ends(seconds):
        sleep(seconds)
        if clock.now > 140:
            other.close()

    clock.sleep = sleep_while_it_ends
    with Lock(tmp_path, wait=waiting(tmp_path, float("inf"), said, clock)):
        assert 140 < clock.now < 141
    assert len(said) == 1


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 120.0), (300.0, 300.0)])
def test_a_watcher_which_pauses_is_waited_for_unasked(tmp_path, asked, waited):
    clock, said = Clock(), []
    with Lock(tmp_path, "watching"), Lock(tmp_path), pytest.raises(Busy):
        Lock(tmp_path, wait=waiting(tmp_path, asked, said, clock, for_watcher=120.0))
    assert clock.now - 100 == pytest.approx(waited)
    assert said == ["a watcher of orientd is writing: waiting for it to pause"]


def test_whoever_is_asked_to_stop_waits_no_longer(tmp_path):
    clock, said = Clock(), []
    with Lock(tmp_path), pytest.raises(Stopped):
        Lock(tmp_path, wait=waiting(tmp_path, float("inf"), said, clock, stop=lambda: clock.now > 130))
    assert 130 < clock.now < 131
    Lock(tmp_path).close()


def test_without_waiting_there_is_nothing_to_stop(tmp_path):
    with Lock(tmp_path), pytest.raises(Busy):
        Lock(tmp_path, wait=waiting(tmp_path, 0.0, [], Clock(), stop=lambda: True))


def test_the_one_that_gave_up_leaves_the_lock_to_others(tmp_path):
    take = partial(Lock, tmp_path)
    with take(), pytest.raises(Busy):
        take()
    take().close()
