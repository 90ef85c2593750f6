import logging

import pytest

from orientd.reasons import Reason
from orientd.watch.log_limit import LogLimiter

DAY = 86_400.0


class Clock:
    now = 5.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def remarks(clock, caplog):
    caplog.set_level(logging.INFO, logger="orientd.test")
    return LogLimiter(logging.getLogger("orientd.test"), clock)


def test_of_many_alike_a_few_are_named_and_the_rest_counted(remarks, caplog):
    for number in range(1050):
        remarks.add(logging.WARNING, "not fixed", f"/{number}", f"as disk {number} says", Reason.READ_ONLY)
    remarks.add(logging.WARNING, "not fixed", "/x", "damaged", Reason.DAMAGED)
    assert len(caplog.messages) == 4
    assert caplog.messages[0] == "not fixed: /0: as disk 0 says"
    assert caplog.messages[-1] == "not fixed: /x: damaged", "another reason is told"
    assert (caplog.records[0].levelname, caplog.records[0].path) == ("WARNING", "/0")
    remarks.sum_up()
    assert caplog.messages[4:] == ["not fixed: 1,047 more: read only"]
    remarks.sum_up()
    assert len(caplog.messages) == 5


def test_the_same_is_told_again_after_a_day_or_for_another_reason(remarks, caplog, clock):
    for _ in range(3):
        remarks.add(logging.WARNING, "not fixed", "/a", "read-only", Reason.READ_ONLY)
        remarks.sum_up()
    assert len(caplog.messages) == 1
    remarks.add(logging.WARNING, "not fixed", "/a", "full", Reason.NO_ROOM)
    assert len(caplog.messages) == 2
    clock.now += DAY - 1
    remarks.add(logging.WARNING, "not fixed", "/a", "full", Reason.NO_ROOM)
    assert len(caplog.messages) == 2
    clock.now += 1
    remarks.add(logging.WARNING, "not fixed", "/a", "full", Reason.NO_ROOM)
    assert len(caplog.messages) == 3


def test_what_is_no_trouble_is_told_once(remarks, caplog, clock):
    for _ in range(3):
        remarks.add(logging.INFO, "left alone", "/a", "turned back", Reason.TAKEN_BACK)
        clock.now += 2 * DAY
    assert caplog.messages == ["left alone: /a: turned back"]


def test_its_memory_has_an_end(remarks):
    for number in range(10_050):
        remarks.add(logging.INFO, "left alone", f"/{number}", "turned back", Reason.TAKEN_BACK)
    assert len(remarks._logged) == 10_000
    assert "/49" not in remarks._logged
    assert "/50" in remarks._logged


def test_what_an_earlier_version_gave_no_code_for_is_told_once_too(remarks, caplog):
    for _ in range(2):
        remarks.add(logging.INFO, "left alone", "/a", "turned back", None)
    assert caplog.messages == ["left alone: /a: turned back"]
