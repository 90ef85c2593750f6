import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orientd.config import HOURS
from orientd.watch.throttle import RateLimiter, is_quiet, on_battery, spans

NOON, MIDNIGHT = 12 * 60, 0


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("22:00-07:30", [22 * 60, 23 * 60 + 59, 0, 7 * 60 + 29], [7 * 60 + 30, NOON, 22 * 60 - 1]),
        ("09:00-17:00", [9 * 60, NOON], [9 * 60 - 1, 17 * 60, MIDNIGHT]),
        ("00:00-00:01", [0], [1, 23 * 60 + 59]),
        ("12:00-12:00", [], [NOON, MIDNIGHT]),
    ],
)
def test_quiet_hours_hold_their_start_and_not_their_end(hours, quiet, loud):
    assert re.fullmatch(HOURS, hours)
    found = spans(hours)
    assert [minute for minute in quiet if not is_quiet(minute, found)] == []
    assert [minute for minute in loud if is_quiet(minute, found)] == []


def test_there_may_be_several_spans_or_none():
    found = spans("22:00-07:00, 12:00-13:00")
    assert is_quiet(NOON, found)
    assert not is_quiet(14 * 60, found)
    assert not is_quiet(NOON, spans(""))


@pytest.mark.parametrize("text", ["24:00-07:00", "22:60-07:00", "22:00", "2:00-3:00", "22:00-07:00 ", "22-7", ""])
def test_what_is_no_span_of_hours(text):
    assert not re.fullmatch(HOURS, text)


def supply(folder, name, **values):
    (folder / name).mkdir()
    for key, value in values.items():
        (folder / name / key).write_text(f"{value}\n")


@pytest.mark.parametrize(
    ("status", "mains", "expected"),
    [("Discharging", 0, True), ("Discharging", 1, False), ("Charging", 0, False), ("Full", 1, False)],
)
def test_on_battery_is_an_emptying_battery_without_mains(tmp_path, status, mains, expected):
    supply(tmp_path, "BAT0", type="Battery", status=status)
    supply(tmp_path, "AC", type="Mains", online=mains)
    supply(tmp_path, "ucsi-source-psy", type="USB", online=1)
    supply(tmp_path, "hid-mouse", type="Battery", scope="Device", status="Discharging")
    assert on_battery(str(tmp_path)) is expected


def test_the_battery_of_a_mouse_is_not_ours_and_no_supplies_are_mains(tmp_path):
    assert not on_battery(str(tmp_path / "none"))
    supply(tmp_path, "hid-mouse", type="Battery", scope="Device", status="Discharging")
    assert not on_battery(str(tmp_path))


def test_without_a_rate_everything_is_granted():
    allowance = RateLimiter(0)
    allowance.spend(10**6)
    assert allowance.granted(0) == 10**6
    assert allowance.wait() == 0


def test_a_rate_grants_one_at_once_and_the_rest_as_time_goes_by():
    allowance = RateLimiter(60)
    assert allowance.granted(100) == 1
    allowance.spend(1)
    assert (allowance.granted(100.5), allowance.wait()) == (0, pytest.approx(0.5))
    assert allowance.granted(101) == 1
    assert allowance.granted(10**6) == 60, "no more is saved up than a minute's worth"


@given(st.floats(0.5, 600), st.lists(st.floats(0, 100), max_size=50))
def test_never_more_than_the_rate(per_minute, steps):
    allowance, now, photos = RateLimiter(per_minute), 0.0, 0
    for step in steps:
        now += step
        granted = allowance.granted(now)
        allowance.spend(granted)
        photos += granted
    assert photos <= per_minute * now / 60 + max(per_minute, 1) + 1e-6
