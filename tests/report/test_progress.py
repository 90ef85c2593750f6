import io
import json
import sys

import pytest
from rich.console import Console

from orientd.records import Row, Verdict
from orientd.report.json_lines import JsonLines
from orientd.report.progress import JsonMeter, LineMeter, LiveMeter, Meter, Snapshot, Words, meter, say_above

KEEP, FIX = Row("/a.jpg", decision=Verdict.KEEP), Row("/b.jpg", decision=Verdict.FIX)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(shown: Meter, clock: Clock, rows: list[Row], seconds_each: float) -> None:
    for row in rows:
        clock.now += seconds_each
        shown.advance(row)


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (Snapshot(0, 0, 0.0), "0 photos · 0.0 a second · 0 sideways or upside down"),
        (Snapshot(1234, 5, 45.2), "1,234 photos · 45 a second · 5 sideways or upside down"),
        (Snapshot(90, 1, 2.0, 100), "90 of 100 photos · 2.0 a second · 1 sideways or upside down · 5 s left"),
        (Snapshot(0, 0, 1.0, 300), "0 of 300 photos · 1.0 a second · 0 sideways or upside down · 5 min left"),
        (Snapshot(0, 0, 1.0, 3600 * 26 + 90), "0 of 93,690 photos · 1.0 a second · 0 sideways or upside down · 26 h 2 min left"),
        (Snapshot(5, 0, 0.0, 100), "5 of 100 photos · 0.0 a second · 0 sideways or upside down"),
        (Snapshot(101, 0, 10.0, 100), "101 of 100 photos · 10 a second · 0 sideways or upside down · 0 s left"),
    ],
)
def test_words(snapshot, words):
    assert str(snapshot) == words


def test_plain_lines_come_every_ten_seconds():
    clock, stream = Clock(), io.StringIO()
    with LineMeter(stream, clock) as shown:
        run(shown, clock, [KEEP] * 38 + [FIX], 0.25)
        assert stream.getvalue() == ""
        run(shown, clock, [KEEP] * 2, 0.25)
        shown.total(120)
        run(shown, clock, [KEEP] * 40, 0.25)
    assert stream.getvalue().splitlines() == [
        "40 photos · 4.0 a second · 1 sideways or upside down",
        "80 of 120 photos · 4.0 a second · 1 sideways or upside down · 10 s left",
    ]


def test_the_rate_is_that_of_the_last_half_minute():
    clock, stream = Clock(), io.StringIO()
    shown = LineMeter(stream, clock)
    run(shown, clock, [KEEP] * 160, 0.25)
    run(shown, clock, [KEEP] * 30, 2.0)
    rates = [float(line.split(" · ")[1].split()[0]) for line in stream.getvalue().splitlines()]
    assert rates[:4] == [4.0] * 4
    assert rates[4:6] == [2.8, 1.7]
    assert rates[6:] == [0.5] * 4


@pytest.mark.parametrize("kind", [LineMeter, lambda stream, clock: LiveMeter(Console(file=stream, width=60), clock)])
def test_what_is_said_is_safe_and_stays_on_one_line(kind):
    clock, stream = Clock(), io.StringIO()
    with kind(stream, clock) as shown:
        shown.say("[red]:smile: " + "a" * 80 + "\x1b[2J\n\udce9")
    assert "[red]:smile: " + "a" * 80 + r"\x1b[2J\n\xe9" in stream.getvalue().splitlines()


def test_the_live_line(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    clock, stream = Clock(), Terminal()
    out, err = sys.stdout, sys.stderr
    with LiveMeter(Console(file=stream, width=120), clock) as shown:
        assert (sys.stdout, sys.stderr) == (out, err)
        run(shown, clock, [FIX] * 4, 0.0625)
        shown.total(1004)
        run(shown, clock, [KEEP] * 1000, 0.015625)
    text = stream.getvalue()
    assert "2 photos · 16 a second · 2 sideways or upside down" in text
    assert "of 1,004 photos · " in text
    assert text.count("sideways or upside down") < 150
    assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h")


def test_other_things_are_counted_in_their_own_words():
    clock, stream = Clock(), io.StringIO()
    with meter(stream, clock=clock, words=Words("files", "at fault", "reading")) as shown:
        shown.total(80)
        for number in range(40):
            clock.now += 0.25
            shown.count(number == 3)
    assert stream.getvalue().splitlines() == ["40 of 80 files · 4.0 a second · 1 at fault · 10 s left"]


def test_what_is_said_beside_a_bar_stands_above_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    assert not say_above("nobody sees it")
    with LiveMeter(Console(file=stream, width=60), Clock(), Words(first="reading")):
        assert say_above("a\x1bb")
    assert not say_above("nobody sees it")
    text = stream.getvalue()
    assert text.index("reading") < text.index(r"a\x1bb") < text.rindex("reading")
    assert "nobody" not in text


def test_json_status_comes_every_second_and_speech_stays_out_of_it():
    clock, stream, spoken = Clock(), io.StringIO(), io.StringIO()
    with JsonMeter(JsonLines(stream), spoken, clock) as shown:
        run(shown, clock, [FIX] * 4, 0.25)
        shown.total(12)
        shown.say("hello")
        run(shown, clock, [KEEP] * 4, 0.25)
    assert spoken.getvalue() == "hello\n"
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"message_type": "status", "done": 4, "found": 4, "total": None, "seconds_left": None},
        {"message_type": "status", "done": 8, "found": 4, "total": 12, "seconds_left": 1.0},
    ]


def test_quiet_is_silent():
    clock, stream = Clock(), Terminal()
    with meter(stream, quiet=True, clock=clock) as shown:
        run(shown, clock, [FIX] * 100, 1.0)
        shown.say("hello")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("stream", "term", "json_lines", "kind"),
    [
        (Terminal(), "xterm", None, LiveMeter),
        (Terminal(), "dumb", None, LineMeter),
        (io.StringIO(), "xterm", None, LineMeter),
        (Terminal(), "xterm", JsonLines(io.StringIO()), JsonMeter),
    ],
)
def test_the_display_that_fits(monkeypatch, stream, term, json_lines, kind):
    monkeypatch.setenv("TERM", term)
    assert type(meter(stream, json=json_lines)) is kind
