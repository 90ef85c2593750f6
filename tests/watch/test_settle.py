"""Files that grow, shrink, vanish and stall, under a clock that the test turns."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.records import Candidate, FileStat
from orientd.watch.settle import Settling

QUIET, STALLED = 2.0, 60.0
PHOTO = FileStat(dev=1, inode=2, size=1000, mtime_ns=5)


class Disk(dict):
    """Files by path; what the watcher would see by lstat."""

    def settled(self, settling, now, most=100):
        return [candidate.path for candidate in settling.settled(now, self.get, most)]


@pytest.fixture
def settling():
    return Settling(QUIET, STALLED, room=10)


def test_a_file_that_keeps_still_settles_once(settling):
    disk = Disk(a=PHOTO)
    assert settling.touch("a", PHOTO, 0)
    assert disk.settled(settling, 1.9) == []
    assert list(settling.settled(2.0, disk.get, 100)) == [Candidate("a", PHOTO)]
    assert disk.settled(settling, 100.0) == []
    assert (len(settling), settling.next_due()) == (0, None)


@pytest.mark.parametrize("change", [{"size": 1001}, {"mtime_ns": 6}, {"inode": 3}, {"dev": 2}])
def test_whatever_changes_between_two_looks_starts_the_wait_anew(settling, change):
    settling.touch("a", PHOTO, 0)
    disk = Disk(a=replace(PHOTO, **change))
    assert disk.settled(settling, 2) == []
    assert settling.next_due() == 4
    assert disk.settled(settling, 4) == ["a"]


def test_a_sign_of_life_starts_the_wait_anew_although_the_file_looks_the_same(settling):
    disk = Disk(a=PHOTO)
    settling.touch("a", PHOTO, 0)
    settling.touch("a", PHOTO, 1.5)
    assert disk.settled(settling, 2) == []
    assert disk.settled(settling, 3.5) == ["a"]


def test_finding_a_file_again_gives_it_no_more_time(settling):
    disk = Disk(a=PHOTO)
    assert settling.offer("a", PHOTO, 0)
    assert settling.offer("a", PHOTO, 1.5)
    assert disk.settled(settling, 2) == ["a"]


def test_a_writer_may_pause_for_longer_than_the_quiet_time(settling):
    disk = Disk(a=PHOTO)
    settling.touch("a", PHOTO, 0, writing=True)
    assert disk.settled(settling, 30) == []
    settling.touch("a", PHOTO, 30)  # closed
    assert disk.settled(settling, 31) == []
    assert disk.settled(settling, 32) == ["a"]


def test_a_file_whose_closing_nobody_told_settles_in_the_end(settling):
    disk = Disk(a=PHOTO)
    settling.touch("a", PHOTO, 0, writing=True)
    settling.offer("a", PHOTO, 50)
    assert disk.settled(settling, 59) == []
    assert disk.settled(settling, 60) == ["a"]


def test_one_that_grew_until_then_is_waited_for_as_long_again(settling):
    settling.touch("a", PHOTO, 0, writing=True)
    disk = Disk(a=replace(PHOTO, size=2000))
    assert disk.settled(settling, 60) == []
    assert disk.settled(settling, 119) == []
    assert disk.settled(settling, 120) == ["a"]


def test_a_young_file_that_was_found_is_given_the_time_of_one_whose_writer_pauses(settling):
    disk = Disk(a=PHOTO, b=PHOTO)
    settling.offer("a", PHOTO, 0, young=True)
    settling.offer("b", PHOTO, 0, young=True)
    settling.offer("a", PHOTO, 30, young=True)
    settling.touch("b", PHOTO, 30)  # closed
    assert disk.settled(settling, 32) == ["b"]
    disk["a"] = replace(PHOTO, size=2000)
    assert disk.settled(settling, 60) == []
    assert disk.settled(settling, 120) == ["a"]


def test_an_empty_file_is_given_time_to_be_filled(settling):
    empty = replace(PHOTO, size=0)
    disk = Disk(a=empty, b=empty)
    settling.touch("a", empty, 0)
    settling.offer("b", empty, 0)
    assert disk.settled(settling, 59) == []
    disk["a"] = PHOTO
    assert disk.settled(settling, 60) == ["b"], "one that stays empty is told"
    assert disk.settled(settling, 119) == []
    assert disk.settled(settling, 120) == ["a"]


def test_what_is_deleted_or_renamed_is_not_waited_for(settling):
    disk = Disk(a=PHOTO, b=PHOTO)
    settling.touch("a", PHOTO, 0)
    settling.touch("b", PHOTO, 0)
    settling.forget("a")
    settling.forget("never seen")
    del disk["b"]
    assert disk.settled(settling, 10) == []
    assert len(settling) == 0


def test_there_is_room_for_so_many_and_no_more(settling):
    assert all(settling.touch(str(i), PHOTO, 0) for i in range(10))
    assert settling.free == 0
    assert not settling.touch("x", PHOTO, 0)
    assert not settling.offer("x", PHOTO, 0)
    assert settling.touch("3", PHOTO, 1), "one that is waited for needs no more room"
    assert len(settling) == 10


def test_no_more_are_handed_out_than_asked_for(settling):
    disk = Disk({str(i): PHOTO for i in range(5)})
    for i in range(5):
        settling.touch(str(i), PHOTO, i / 10)
    assert disk.settled(settling, 10, most=2) == ["0", "1"]
    assert disk.settled(settling, 10, most=2) == ["2", "3"]
    assert disk.settled(settling, 10, most=0) == []
    assert disk.settled(settling, 10) == ["4"]


def test_a_sign_of_life_beside_a_file_restarts_its_quiet_time_and_nothing_else():
    disk, settling = Disk(a=PHOTO, b=PHOTO), Settling(QUIET, STALLED, 2)
    settling.touch("a", PHOTO, 0, writing=True)
    assert settling.nudge("a", PHOTO, 1)
    assert settling.nudge("b", PHOTO, 1)
    assert settling.nudge("b", PHOTO, 2)
    assert not settling.nudge("c", PHOTO, 2), "there is no room"
    assert disk.settled(settling, 1 + QUIET) == []
    assert disk.settled(settling, 2 + QUIET) == ["b"]
    assert disk.settled(settling, STALLED) == ["a"], "its writer was waited for"


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["write", "close", "delete", "find", "wait"]),
        st.sampled_from("abc"),
        st.floats(0, 5),
    ),
    max_size=60,
)


@given(ACTIONS)
def test_nothing_is_lost_and_nothing_is_handed_out_while_it_changes(actions):
    """The last state of each file is handed out exactly once, and never within the quiet time of its last change."""
    settling, disk, now, changed, handed = Settling(QUIET, STALLED, 10), Disk(), 0.0, {}, []
    size = 0
    for action, path, seconds in [*actions, *[("wait", "", STALLED + QUIET)] * 3]:
        now += seconds
        if action == "write":
            size += 1
            disk[path], changed[path] = replace(PHOTO, size=size), now
            settling.touch(path, disk[path], now, writing=True)
        elif action == "close" and path in disk:
            changed[path] = now
            settling.touch(path, disk[path], now)
        elif action == "delete":
            disk.pop(path, None)
            settling.forget(path)
        elif action == "find" and path in disk and (path, disk[path]) not in handed:
            settling.offer(path, disk[path], now)
        for candidate in settling.settled(now, disk.get, 100):
            assert now - changed[candidate.path] >= QUIET
            handed.append((candidate.path, candidate.stat))
    assert all(handed.count((path, stat)) >= 1 for path, stat in disk.items())
    assert len(settling) == 0
