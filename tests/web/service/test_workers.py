"""The queue and the threads behind it: bounded, in groups, and gone at the end."""

import threading
from contextlib import closing

import pytest

from orientd.web.service.workers import Full, Load, Workers


class Gate:
    """Work that waits at a gate, and notes the groups that came."""

    def __init__(self):
        self.open, self.arrived, self.groups = threading.Event(), threading.Semaphore(0), []

    def __call__(self, tasks):
        self.groups.append(list(tasks))
        self.arrived.release()
        assert self.open.wait(60)
        return [ValueError(task) if task == "bad" else task.upper() for task in tasks]


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def test_each_gets_its_answer(gate):
    gate.open.set()
    with closing(Workers(gate, 2, 10)) as workers:
        good, bad, other = workers.ask(["a", "bad", "b"])
        assert (good.result(60), other.result(60)) == ("A", "B")
        with pytest.raises(ValueError, match="bad"):
            bad.result(60)


def test_a_full_queue_takes_nothing_more(gate):
    with closing(Workers(gate, 1, 2)) as workers:
        (first,) = workers.ask(["a"])
        assert gate.arrived.acquire(timeout=60)
        waiting = workers.ask(["b", "c"])
        assert workers.load == Load(2, 1)
        with pytest.raises(Full):
            workers.ask(["d"])
        gate.open.set()
        assert [one.result(60) for one in (first, *waiting)] == ["A", "B", "C"]
        assert workers.ask(["e"])[0].result(60) == "E"


def test_all_or_none_of_a_request_is_taken(gate):
    with closing(Workers(gate, 1, 2)) as workers:
        with pytest.raises(Full):
            workers.ask(["a", "b", "c"])
        assert workers.load == Load(0, 0)


def test_what_is_cancelled_is_not_done_and_makes_room(gate):
    with closing(Workers(gate, 1, 1)) as workers:
        workers.ask(["a"])
        assert gate.arrived.acquire(timeout=60)
        (given_up,) = workers.ask(["b"])
        assert given_up.cancel()
        (later,) = workers.ask(["c"])
        gate.open.set()
        assert later.result(60) == "C"
        assert gate.groups == [["a"], ["c"]]


def test_tasks_of_several_requests_go_together(gate):
    gate.open.set()
    with closing(Workers(gate, 1, 10, batch=3, latency=60)) as workers:
        answers = [workers.ask([task])[0] for task in "abc"]
        assert [one.result(50) for one in answers] == ["A", "B", "C"], "a whole group does not wait"
        assert gate.groups == [["a", "b", "c"]]


def test_one_does_not_wait_longer_than_the_latency(gate):
    gate.open.set()
    with closing(Workers(gate, 1, 10, batch=64, latency=0.01)) as workers:
        assert workers.ask(["a"])[0].result(60) == "A"


def test_a_fault_of_the_work_is_told_and_the_threads_go_on():
    def work(tasks):
        if "bad" in tasks:
            raise RuntimeError("a fault")
        return tasks

    with closing(Workers(work, 1, 10)) as workers:
        with pytest.raises(RuntimeError, match="a fault"):
            workers.ask(["bad"])[0].result(60)
        assert workers.ask(["good"])[0].result(60) == "good"
        assert (workers.are_well, workers.load) == (True, Load(0, 0))


def test_at_the_end_what_is_in_hand_is_answered_and_what_waits_is_cancelled(gate):
    workers = Workers(gate, 1, 10)
    (first,) = workers.ask(["a"])
    assert gate.arrived.acquire(timeout=60)
    (second,) = workers.ask(["b"])
    ending = threading.Thread(target=workers.close)
    ending.start()
    gate.open.set()
    ending.join(60)
    assert (first.result(60), second.cancelled(), workers.are_well) == ("A", True, False)
    with pytest.raises(Full):
        workers.ask(["c"])


def test_many_threads_ask_at_once():
    with closing(Workers(lambda tasks: [task * 2 for task in tasks], 4, 10_000, batch=5, latency=0.001)) as workers:
        found = {}

        def ask(start):
            for number in range(start, start + 200):
                found[number] = workers.ask([number])[0].result(60)

        threads = [threading.Thread(target=ask, args=(200 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == {number: 2 * number for number in range(1600)}
