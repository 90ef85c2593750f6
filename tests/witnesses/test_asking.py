"""The witnesses of a run: opened late and once, asked at one picture, and never the end of a photo."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from orientd.errors import DecodeError
from orientd.records import Evidence, FileStat, Format, Photo, Picture
from orientd.witnesses.asking import Bench
from orientd.witnesses.views import Pixels

PHOTO = Photo("/a.jpg", FileStat(1, 1, 1, 0), Format.JPEG, b"", 1, "ab" * 32)
PICTURE = Picture(np.zeros((4, 6, 3), np.uint8), 6, 4)


@dataclass
class Stub:
    name: str
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def look(self, picture: Pixels) -> Evidence | None:
        self.shapes.append(picture.shape)
        if self.name == "broken":
            raise ZeroDivisionError("a bug in a library")
        return Evidence(self.name, (0.0, 1.0, 0.0, 0.0))


@dataclass
class Run:
    """What a bench was seen to do."""

    opened: int = 0
    decoded: int = 0
    told: list[str] = field(default_factory=list)
    damaged: bool = False

    def bench(self, *names: str, absent: str = "") -> Bench:
        def opened() -> dict[str, Stub | None]:
            self.opened += 1
            return {name: None if name == absent else Stub(name) for name in names}

        def fitted(photo: Photo) -> Picture:
            self.decoded += 1
            if self.damaged:
                raise DecodeError("it is damaged")
            return PICTURE

        return Bench(names, opened, fitted, self.told.append)


@pytest.fixture
def run() -> Run:
    return Run()


def test_nothing_is_opened_or_decoded_before_the_first_question(run: Run) -> None:
    bench = run.bench("pages", "faces")
    questions = bench.questions(PHOTO)
    assert [name for name, _ in questions] == ["pages", "faces"]
    assert (run.opened, run.decoded) == (0, 0)
    assert [ask() for _, ask in questions] == [Evidence(name, (0.0, 1.0, 0.0, 0.0)) for name in ("pages", "faces")]
    assert (run.opened, run.decoded) == (1, 1)
    assert [ask() for _, ask in bench.questions(PHOTO)]
    assert (run.opened, run.decoded) == (1, 2)


def test_a_witness_that_fails_is_silent_and_told_once(run: Run) -> None:
    bench = run.bench("broken", "faces")
    for _ in range(2):
        assert [ask() is None for _, ask in bench.questions(PHOTO)] == [True, False]
    assert run.told == ["the witness 'broken' failed at a photo (a bug in a library): it is judged without it"]


def test_a_witness_that_is_absent_is_silent(run: Run) -> None:
    assert [ask() is None for _, ask in run.bench("faces", "pages", absent="faces").questions(PHOTO)] == [True, False]
    assert run.told == []


def test_a_photo_that_cannot_be_shown_to_them_is_judged_without_them(run: Run) -> None:
    run.damaged = True
    assert [ask() for _, ask in run.bench("faces", "pages").questions(PHOTO)] == [None, None]
    assert run.decoded == 1
    assert run.told == []
