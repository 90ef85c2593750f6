"""Reading ahead: whatever the order of need and the limits, every file is read once, and nobody waits for ever."""

import threading
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orientd.errors import ReadError
from orientd.library.read_ahead import ReadAhead
from orientd.reasons import Reason
from orientd.records import Candidate, FileStat

STAT = FileStat(0, 0, 0, 0)


class Disk:
    """Files of given sizes by path, which counts how often each is read."""

    def __init__(self, sizes, broken=()):
        self.sizes, self.broken = sizes, broken
        self.reads = []

    def __call__(self, candidate):
        path = candidate.path
        self.reads.append(path)
        if path in self.broken:
            raise ReadError(Reason.SYSTEM_ERROR, path)
        return path.encode(), STAT

    def candidates(self):
        return [Candidate(path, FileStat(0, 0, size, 0)) for path, size in self.sizes.items()]


def numbered(*sizes):
    return {f"{number}.jpg": size for number, size in enumerate(sizes)}


def asked(ahead, path):
    try:
        return ahead.read(Candidate(path, STAT))[0].decode()
    except ReadError as error:
        return f"no {error}"


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(st.integers(0, 50), max_size=40), st.integers(0, 60), st.integers(1, 3), st.integers(1, 4))
def test_each_file_is_read_once_and_goes_to_who_asked_for_it(data, sizes, most, readers, workers):
    disk = Disk(numbered(*sizes))
    disk.broken = data.draw(st.sets(st.sampled_from(list(disk.sizes)))) if sizes else ()
    orders = [data.draw(st.permutations(list(disk.sizes)[worker::workers])) for worker in range(workers)]
    found = {}

    def work(paths):
        found.update({path: asked(ahead, path) for path in paths})

    with closing(ReadAhead(disk, most, readers)) as ahead:
        ahead.expect(disk.candidates())
        threads = [threading.Thread(target=work, args=(order,)) for order in orders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found == {path: f"no {path}" if path in disk.broken else path for path in disk.sizes}
    assert sorted(disk.reads) == sorted(disk.sizes)


def all_wait(ahead, readers):
    """True once every reader waits for room, so that none will read a file before one is asked for."""
    return any(len(ahead._changed._waiters) == readers or threading.Event().wait(0.01) for _ in range(3000))


def test_no_more_is_read_ahead_than_the_limit_allows():
    disk = Disk(numbered(*[10] * 9))
    with closing(ReadAhead(disk, most=35, readers=2)) as ahead:
        ahead.expect(disk.candidates())
        assert all_wait(ahead, 2)
        assert sorted(disk.reads) == ["0.jpg", "1.jpg", "2.jpg"]
        assert asked(ahead, "0.jpg") == "0.jpg"
        assert all_wait(ahead, 2)
        assert sorted(disk.reads) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
        assert [asked(ahead, path) for path in list(disk.sizes)[1:]] == list(disk.sizes)[1:]


def test_a_file_larger_than_the_limit_is_read_all_the_same():
    disk = Disk(numbered(1000, 1000))
    with closing(ReadAhead(disk, most=10)) as ahead:
        ahead.expect(disk.candidates())
        assert [asked(ahead, path) for path in disk.sizes] == ["0.jpg", "1.jpg"]


def test_what_may_not_be_asked_for_is_not_read_ahead():
    disk = Disk({})
    never = [Candidate("a.txt", STAT), Candidate("b.jpg", STAT, skip="a link"), Candidate("c.jpg", STAT, error="gone")]
    with closing(ReadAhead(disk)) as ahead:
        ahead.expect(never)
        ahead.expect([Candidate("d.jpg", STAT)])
        assert asked(ahead, "d.jpg") == "d.jpg"
    assert disk.reads == ["d.jpg"]


def test_what_was_not_expected_is_read_when_asked_for():
    with closing(ReadAhead(Disk({}))) as ahead:
        assert ahead.read(Candidate("a.jpg", STAT)) == (b"a.jpg", STAT)


def test_an_end_in_the_middle_reads_nothing_more_and_leaves_no_thread():
    before = threading.active_count()
    disk = Disk(numbered(*[10] * 50))
    ahead = ReadAhead(disk, most=20)
    ahead.expect(disk.candidates())
    assert all_wait(ahead, 2)
    ahead.close()
    assert len(disk.reads) <= 4
    assert threading.active_count() == before


@pytest.mark.parametrize("readers", [1, 2])
def test_who_needs_a_file_behind_the_limit_gets_it_and_nothing_else_is_read_for_that(readers):
    disk = Disk(numbered(*[10] * 20))
    with closing(ReadAhead(disk, most=20, readers=readers)) as ahead:
        ahead.expect(disk.candidates())
        assert all_wait(ahead, readers)
        assert asked(ahead, "19.jpg") == "19.jpg"
        assert all_wait(ahead, readers)
        assert sorted(disk.reads) == ["0.jpg", "1.jpg", "19.jpg"]


def test_a_file_that_is_listed_twice_takes_no_room_for_ever():
    disk = Disk(numbered(10, 10, 10))
    with closing(ReadAhead(disk, most=20)) as ahead:
        for _ in range(2):
            ahead.expect(disk.candidates())
        assert [asked(ahead, path) for path in [*disk.sizes, *disk.sizes]] == [*disk.sizes, *disk.sizes]
        disk.reads.clear()
        ahead.expect([Candidate("large.jpg", FileStat(0, 0, 20, 0)), Candidate("next.jpg", FileStat(0, 0, 1, 0))])
        assert all_wait(ahead, 1)
        assert "next.jpg" not in disk.reads
