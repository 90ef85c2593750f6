"""Judging batches with stand-ins for reading, decoding and the model."""

from dataclasses import replace

import numpy as np
import pytest

from orientd.errors import DecodeError, Refused
from orientd.judge.judge import Judge
from orientd.judge.panel import Voice
from orientd.judge.policy import Policy
from orientd.reasons import Reason
from orientd.records import Candidate, Evidence, FileStat, Format, Method, Photo, Picture, Prediction

MIB = 2**20


class Predictor:
    """Sees every photo as needing 90°, or as `upright`, and notes how many come together."""

    def __init__(self, upright=False):
        self.together, self.row = [], (1.0, 0.0, 0.0, 0.0) if upright else (0.0, 1.0, 0.0, 0.0)

    def look(self, pixels):
        self.together.append(len(pixels))
        return [self.look_again(each) for each in pixels]

    def look_again(self, pixels):
        return Prediction(self.row, (self.row,) * 8)


def judge(eyes, check=lambda photo, orientation: (Method.TAG, "", None), decoded=None):
    decoded = [] if decoded is None else decoded

    def read(candidate):
        if "none" in candidate.path:
            return None
        return Photo(candidate.path, candidate.stat, Format.JPEG, b"", 1, "ab" * 32)

    def decode(photo, *, whole=True):
        if "bad" in photo.path or ("hollow" in photo.path and whole):
            raise DecodeError(Reason.DAMAGED, "it is damaged")
        if "strange" in photo.path:
            raise ZeroDivisionError("a bug in a library")
        decoded.append((photo.path, whole))
        return Picture(np.zeros((2, 2, 3), np.uint8), 2, 2, whole or "part" not in photo.path)

    return Judge(read, decode, eyes, check, Policy(0.99, 0.95, 7, 0.9))


class BatchPredictor:
    """Sees photos whose name holds `seen` as its one row says, and leaves the others."""

    batch, weight = 3, 40 * MIB

    def __init__(self, *row):
        self.row, self.asked = row, []

    def __call__(self, photos):
        self.asked.append([photo.path for photo in photos])
        sight = Picture(np.zeros((2, 2, 3), np.uint8), 20, 10), Prediction(self.row, (self.row,))
        return [sight if "seen" in photo.path else None for photo in photos]


def candidates(*sizes):
    return [Candidate(f"/{i}.jpg", FileStat(1, i, size, 0)) for i, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "together"),
    [([1] * 16, [16]), ([20 * MIB] * 3, [1, 1, 1]), ([1, 2, 100 * MIB, 3], [2, 1, 1]), ([], []), ([0, 32 * MIB], [2])],
)
def test_large_files_are_not_in_memory_together(sizes, together):
    eyes = Predictor()
    rows = judge(eyes)(candidates(*sizes))
    assert eyes.together == together
    assert [row.path for row in rows] == [candidate.path for candidate in candidates(*sizes)]


def test_the_fault_of_one_photo_stays_its_own():
    paths = ["/a.jpg", "/bad.jpg", "/strange.jpg", "/none", "/b.jpg"]
    rows = judge(Predictor())([Candidate(path, FileStat(1, 1, 1, 1)) for path in paths])
    assert [row.decision for row in rows] == ["fix", "error", "error", "skip", "fix"]
    reasons = ["", "it is damaged", "unexpected ZeroDivisionError: a bug in a library", "not a photo", ""]
    assert [row.reason for row in rows] == reasons
    assert rows[2].sha256 == "", "a fault of this machine is not to be remembered"


def test_what_the_walk_gave_up_is_never_opened():
    decoded, stat = [], FileStat(1, 1, 1, 1)
    given = [Candidate("/a.jpg", stat, skip="a film"), Candidate("/b.jpg", stat, error="no permission")]
    rows = judge(Predictor(), decoded=decoded)(given)
    assert [(row.path, row.decision, row.reason) for row in rows] == [
        ("/a.jpg", "skip", "a film"),
        ("/b.jpg", "error", "no permission"),
    ]
    assert decoded == []


def test_no_photo_is_turned_that_was_decoded_in_part():
    decoded, paths = [], ["/a.jpg", "/part.jpg", "/hollow-part.jpg"]
    rows = judge(Predictor(), decoded=decoded)([Candidate(path, FileStat(1, 1, 1, 1)) for path in paths])
    assert [(row.decision, row.reason) for row in rows] == [("fix", ""), ("fix", ""), ("error", "it is damaged")]
    assert rows[2].sha256, "the damage is in the file"
    assert decoded == [(path, False) for path in paths] + [("/part.jpg", True)]


def test_a_photo_that_is_left_as_it_is_is_decoded_once():
    decoded = []
    (row,) = judge(Predictor(upright=True), decoded=decoded)([Candidate("/hollow-part.jpg", FileStat(1, 1, 1, 1))])
    assert row.decision == "keep"
    assert decoded == [("/hollow-part.jpg", False)]


@pytest.mark.parametrize(("upright", "decision"), [(0.95, "keep"), (0.85, "fix")])
def test_a_glance_may_only_confirm_that_a_photo_is_upright(upright, decision):
    eyes, decoded = Predictor(), []
    small, seen = np.ones((2, 2, 3), np.uint8), Prediction((upright, 1 - upright, 0.0, 0.0), ((upright, 1 - upright, 0.0, 0.0),))
    eyes.look = lambda pixels: [seen if pixels[0].all() else eyes.look_again(each) for each in pixels]

    def glance(candidate):
        return Photo(candidate.path, candidate.stat, Format.JPEG, b"", 6, ""), Picture(small, 40, 30, whole=False)

    judging = replace(judge(eyes, decoded=decoded), thumbnail_glance=glance)
    (row,) = judging([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])
    assert row.decision == decision
    if decision == "keep":
        assert (row.width, row.height, row.orientation, row.reason, row.sha256) == (40, 30, 6, "by its thumbnail", "")
        assert decoded == []
    else:
        assert (row.width, row.reason, row.sha256) == (2, "", "ab" * 32)
        assert decoded == [("/a.jpg", False)]


def test_a_glance_that_fails_is_followed_by_a_look():
    def glance(candidate):
        raise MemoryError

    (row,) = replace(judge(Predictor()), thumbnail_glance=glance)([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])
    assert (row.decision, row.sha256) == ("fix", "ab" * 32)


def test_a_glance_that_tells_nothing_is_followed_by_a_look():
    asked = []
    judging = replace(judge(Predictor()), thumbnail_glance=lambda candidate: asked.append(candidate.path))
    assert [row.decision for row in judging([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])] == ["fix"]
    assert asked == ["/a.jpg"]


def crowded(crowd, *paths):
    judging = replace(judge(Predictor()), batch_predictor=crowd)
    return judging([Candidate(path, FileStat(1, 1, 1, 1)) for path in paths])


def test_a_crowd_has_the_last_word_on_photos_left_as_they_are():
    rows = crowded(BatchPredictor(1.0, 0.0, 0.0, 0.0), "/a.jpg", "/seen-1.jpg", "/bad.jpg", "/none", "/seen-bad.jpg")
    assert [row.path for row in rows] == ["/a.jpg", "/seen-1.jpg", "/bad.jpg", "/none", "/seen-bad.jpg"]
    assert [row.decision for row in rows] == ["fix", "keep", "error", "skip", "keep"]
    assert [row.width for row in rows] == [2, 20, None, None, 20]


def test_no_photo_is_turned_on_the_word_of_a_crowd_alone():
    rows = crowded(BatchPredictor(0.0, 0.0, 0.0, 1.0), "/seen-1.jpg", "/seen-bad.jpg", "/seen-strange.jpg")
    assert [row.decision for row in rows] == ["fix", "error", "error"]
    assert [row.width for row in rows] == [2, None, None], "decoded by itself"


def test_a_crowd_gets_only_photos_and_as_many_bytes_as_it_likes():
    crowd = BatchPredictor(1.0, 0.0, 0.0, 0.0)
    assert replace(judge(Predictor()), batch_predictor=crowd).batch == 3
    assert judge(Predictor()).batch == 1
    crowded(crowd, "/none", "/seen-1.jpg", "/a.jpg")
    assert crowd.asked == [["/seen-1.jpg", "/a.jpg"]]
    replace(judge(Predictor()), batch_predictor=crowd)(candidates(20 * MIB, 20 * MIB, 1))
    assert crowd.asked[1:] == [["/0.jpg", "/1.jpg"], ["/2.jpg"]]


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (Refused(Reason.UNUSUAL, "its container is closed"), "its container is closed", Reason.UNUSUAL),
        (KeyError(1), "unexpected KeyError: 1", Reason.UNEXPECTED),
    ],
)
def test_a_refusal_keeps_what_should_be_done(error, words, code):
    def check(photo, orientation):
        raise error

    (row,) = judge(Predictor(), check)(candidates(1))
    assert (row.decision, row.turn, row.new_orientation, row.beyond_reach) == ("skip", 90, 6, True)
    assert (row.reason, row.reason_code) == (f"sideways or upside down, but not to be written: {words}", code)


VOICES = (Voice("scene", 1.0, 4.0), Voice("faces", 1.0, 6.0))


def witnessed(judging, scores, log, skew=None):
    """The same judge with a witness that has these scores for every photo."""

    def ask(photo):
        def answer():
            log.append(photo.path)
            return Evidence("faces", scores, skew=skew)

        return [("faces", answer)]

    return replace(judging, voices=VOICES, ask=ask)


@pytest.mark.parametrize(
    ("scores", "decision", "turn"), [((0, 9, 0, 0), "fix", 90), ((9, 0, 0, 0), "keep", 0), ((0, 0, 9, 0), "unsure", 180)]
)
def test_witnesses_are_weighed_against_the_network(scores, decision, turn):
    log = []
    (row,) = witnessed(judge(Predictor()), scores, log)([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])
    assert (row.decision, row.turn, log) == (decision, turn, ["/a.jpg"])
    assert row.evidence.startswith("scene 90 +4.0; faces ")


@pytest.mark.parametrize("skew", [None, 0.0, -3.2])
def test_a_skew_is_a_column_and_turns_nothing(skew):
    (row,) = witnessed(judge(Predictor()), (9, 0, 0, 0), [], skew)([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])
    assert (row.skew, row.decision, row.turn) == (skew, "keep", 0)


def test_a_photo_that_is_clear_at_first_sight_costs_no_witness():
    log = []
    rows = witnessed(judge(Predictor(upright=True)), (0, 9, 0, 0), log)([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])
    assert ([row.decision for row in rows], log) == (["keep"], [])


def test_a_crowd_is_weighed_against_the_same_witnesses():
    log = []
    judging = witnessed(replace(judge(Predictor()), batch_predictor=BatchPredictor(0.3, 0.7, 0.0, 0.0)), (9, 0, 0, 0), log)
    (row,) = judging([Candidate("/seen-1.jpg", FileStat(1, 1, 1, 1))])
    assert (row.decision, row.width, log) == ("keep", 20, ["/seen-1.jpg"])


def test_a_glance_that_is_not_enough_leads_to_the_witnesses():
    log, small = [], Picture(np.ones((2, 2, 3), np.uint8), 40, 30, whole=False)

    def glance(candidate):
        return Photo(candidate.path, candidate.stat, Format.JPEG, b"", 6, ""), small

    judging = replace(witnessed(judge(Predictor()), (9, 0, 0, 0), log), thumbnail_glance=glance)
    (row,) = judging([Candidate("/a.jpg", FileStat(1, 1, 1, 1))])
    assert (row.decision, row.width, log) == ("keep", 2, ["/a.jpg"])
