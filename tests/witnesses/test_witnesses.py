"""What each witness says, of pictures in all turns and mirrored, and that it is the same to the bit in other places."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import drawn_pages
from support import seen_by_witnesses as pictures

from orientd import orientation
from orientd.infer import registry
from orientd.infer.engine import VIEWS
from orientd.witnesses.faces import Faces
from orientd.witnesses.layout import MAPS
from orientd.witnesses.opened import open_witnesses
from orientd.witnesses.pages import Pages
from orientd.witnesses.people import SIDE, People
from orientd.witnesses.scene import Scene
from orientd.witnesses.things import Things

TURNS = orientation.TURNS
MIRROR_BLIND = [name for name in pictures.WITNESSES if name != "pages"]


@pytest.fixture(scope="module")
def witnesses():
    def fail(said):
        raise AssertionError(said)

    return open_witnesses(registry.find("", registry.BUNDLED).open(), fail)


def drawn(kind, seed, height, width):
    if kind == "noise":
        return pictures.noise(seed, height, width, 1 + seed % 30)
    gradient = np.linspace(seed, 255, height).astype(np.uint8)[:, None, None]
    return np.broadcast_to(gradient, (height, width, 3)) if kind == "gradient" else np.full((height, width, 3), seed, np.uint8)


def scores(evidence):
    return evidence.scores if evidence else None


def places(said, turn):
    """The scores of a picture that was turned by so many degrees clockwise, by those of the picture."""
    return said and tuple(said[((each + turn) % 360) // 90] for each in TURNS)


def mirrored(said):
    return said and (said[0], said[3], said[2], said[1])


@pytest.mark.parametrize("name", pictures.WITNESSES)
@given(
    st.sampled_from(["noise", "gradient", "flat"]),
    st.integers(0, 255),
    st.integers(1, 200),
    st.integers(1, 200),
    st.sampled_from(VIEWS),
)
@settings(deadline=None, max_examples=15)
def test_a_turned_picture_gets_the_same_scores_in_other_places(witnesses, name, kind, seed, height, width, view):
    picture = orientation.apply(drawn(kind, seed, height, width), view)
    said = scores(witnesses[name].look(picture))
    for turn in TURNS:
        turned = orientation.apply(picture, orientation.from_turn(turn))
        assert scores(witnesses[name].look(turned)) == places(said, turn)


@pytest.mark.parametrize("picture", [pictures.page, pictures.people, pictures.hiker])
@pytest.mark.parametrize("name", pictures.WITNESSES)
def test_a_photo_in_all_turns_and_mirrored(witnesses, name, picture):
    picture = picture()
    upright = witnesses[name].look(picture)
    for turn in TURNS:
        turned = orientation.apply(picture, orientation.from_turn(turn))
        here, there = witnesses[name].look(turned), witnesses[name].look(np.ascontiguousarray(turned))
        assert here == there
        assert scores(here) == places(scores(upright), turn)
        if name in MIRROR_BLIND:
            assert scores(witnesses[name].look(turned[:, ::-1])) == mirrored(scores(here))


def best(evidence):
    return TURNS[int(np.argmax(evidence.scores))]


@pytest.mark.parametrize("turn", TURNS)
def test_they_are_right_about_pictures_that_are_clear(witnesses, turn):
    def needing(picture):
        return orientation.apply(picture, orientation.inverse(orientation.from_turn(turn)))

    page, people, hiker = needing(pictures.page()), needing(pictures.people()), needing(pictures.hiker())
    seen = {"pages": page, "faces": people, "people": people, "things": hiker, "surroundings": hiker, "scene-288": people}
    assert {name: best(witnesses[name].look(picture)) for name, picture in seen.items()} == dict.fromkeys(seen, turn)


@pytest.mark.parametrize(("turn", "heads"), [(0, "up"), (90, "left"), (180, "down"), (270, "right")])
def test_notes_tell_a_person_what_was_seen(witnesses, turn, heads):
    picture = orientation.apply(pictures.people(), orientation.inverse(orientation.from_turn(turn)))
    assert witnesses["faces"].look(picture).note == f"3 faces, heads {heads}"
    assert witnesses["people"].look(picture).note == f"3 people, heads {heads}"
    assert "person" in witnesses["things"].look(picture).note


def test_nothing_seen_is_nothing_said(witnesses):
    flat = np.full((300, 300, 3), 90, np.uint8)
    assert [witnesses[name].look(flat) for name in ("faces", "people", "things")] == [None, None, None]
    assert witnesses["things"].look(flat[:200]).note == ""


def test_pages_are_heard_about_pages_alone(witnesses):
    hear = witnesses["pages"].look
    assert hear(pictures.page())
    assert [hear(picture) for picture in (pictures.hiker(), pictures.people())] == [None, None]


class Reader:
    """Stands for both networks of pages: a picture is redder at the top, as it should be, and looks so much like a page."""

    def __init__(self, likeness):
        self.likeness = likeness
        self.asked = 0

    def __call__(self, given):
        self.asked += 1
        red = given[0, :, :, 0] if given.dtype == np.uint8 else given[0, 0]
        edges = [red[:9].mean(), red[:, :9].mean(), red[-9:].mean(), red[:, -9:].mean()]  # the turn that mends: 0, 90, 180, 270
        mends = int(np.argmax(edges))
        stands = np.eye(4, dtype=np.float32)[-mends % 4] * 0.8 + 0.05
        return {"fetch_name_0": stands[None], "page": np.array([[self.likeness]]), "logits": np.eye(4)[[mends]] * 3}


@pytest.mark.parametrize("turn", TURNS)
def test_what_both_networks_say_of_a_page_is_added_up(turn):
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:16, :, 0] = 250
    shown = orientation.apply(picture, orientation.from_turn(turn))
    alone, both = (Pages(Reader(1.0), more).look(shown).scores for more in (None, Reader(1.0)))
    mends = TURNS.index(-turn % 360)
    said = np.log(np.array([np.exp(3) if place == mends else 1 for place in range(4)]) / (np.exp(3) + 3))
    assert np.argmax(alone) == mends
    assert np.array(both) - alone == pytest.approx(said)


def test_the_second_network_is_asked_about_pages_alone():
    for likeness, asked in ((1.0, 4), (-1.0, 0)):
        second = Reader(likeness)
        Pages(Reader(likeness), second).look(pictures.page())
        assert second.asked == asked


@pytest.mark.parametrize(("needs", "told"), [(3, 3), (-7, -7), (90, 0), (184, 4)])
def test_pages_tell_how_askew_they_are_whichever_way_is_up(witnesses, needs, told):
    image = drawn_pages.lying(drawn_pages.page(size=28), needs).convert("RGB")
    image.thumbnail((640, 640))
    assert witnesses["pages"].look(np.asarray(image)).skew == pytest.approx(told, abs=0.2)


def test_of_a_page_whose_lines_are_not_clear_no_skew_is_told(witnesses, monkeypatch):
    monkeypatch.setattr("orientd.witnesses.pages.LEAST_CONFIDENCE", 1.0)
    assert witnesses["pages"].look(pictures.page()).skew is None


def test_several_threads_hear_the_same(witnesses):
    picture = pictures.people()
    alone = {name: witness.look(picture) for name, witness in witnesses.items()}
    with ThreadPoolExecutor(4) as pool:
        for name, witness in witnesses.items():
            assert list(pool.map(witness.look, [picture] * 6)) == [alone[name]] * 6


def test_the_closer_look_at_the_scene_is_the_mean_of_four_turned_back():
    asked = []

    def brightest(shown):
        """Says at which of its four sides a picture is brightest."""
        asked.append(shown.shape)
        sides = shown[0, 0], shown[0, :, 0], shown[0, -1], shown[0, :, -1]
        return np.array([[side.mean() for side in sides]])

    picture = np.full((40, 60, 3), 50, np.uint8)
    picture[:, :6] = 200
    picture[:4] = 90
    said = Scene("scene-16", 16, brightest).look(picture)
    assert asked == [(1, 16, 16, 3)] * 4
    assert np.argsort(said.scores).tolist()[::-1][:2] == [1, 0]
    assert said.scores[2] == pytest.approx(50, abs=15)


class Doll:
    """Stands for the detector of people: it finds hips at the reddest and the head at the greenest pixel, wherever they are."""

    def __init__(self, sure=3):
        self.sure = sure

    def __call__(self, given):
        levels = (given[0] + 1) * 127.5
        hips, head = (self._place(levels, channel) for channel in (0, 1))
        boxes, found = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -100.0, np.float32)
        column, row = (int(value * 28 / SIDE) for value in hips)
        number = 2 * (28 * row + column)
        middle = np.array([(column + 0.5) / 28, (row + 0.5) / 28]) * SIDE
        boxes[0, number, :8] = [0, 0, 40, 40, *(hips - middle), *(head - middle)]
        found[0, number] = self.sure
        return {"boxes": boxes, "scores": found}

    @staticmethod
    def _place(levels, channel):
        others = [other for other in range(3) if other != channel]
        row, column = np.unravel_index(np.argmax(levels[..., channel] - levels[..., others].max(axis=2)), levels.shape[:2])
        return np.array([column + 0.5, row + 0.5])


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(("head", "mends"), [((40, 20), 0), ((15, 70), 90), ((60, 110), 180), ((90, 60), 270)])
def test_a_head_is_where_the_second_point_is_seen_from_the_first(head, mends, view):
    picture = np.zeros((130, 100, 3), np.uint8)
    picture[61:70, 46:55, 0] = 255
    picture[head[1] - 4 : head[1] + 5, head[0] - 4 : head[0] + 5, 1] = 255
    said = People(Doll()).look(orientation.apply(picture, view)).scores
    upright = orientation.from_turn(mends)
    shown = [
        turn for turn in TURNS if orientation.then(view, orientation.from_turn(turn)) in (upright, orientation.then(upright, 2))
    ]
    assert [TURNS[int(np.argmax(said))]] == shown
    aside, along = sorted(abs(np.array(head) - (50, 65)))
    leaning = np.arctan2(aside, along) / (np.pi / 2)
    amounts = 4 / (1 + np.exp(-3)) * np.array([0, 0, leaning, 1 - leaning])
    assert sorted(said) == pytest.approx(np.log(0.3 + amounts), abs=0.05)


def test_a_head_at_45_degrees_speaks_for_both_turns_alike():
    picture = np.zeros((130, 100, 3), np.uint8)
    picture[61:70, 46:55, 0] = picture[31:40, 16:25, 1] = 255
    said = People(Doll()).look(picture)
    assert said.scores == pytest.approx(np.log(0.3 + 2 / (1 + np.exp(-3)) * np.array([1, 1, 0, 0])), abs=0.05)


def test_a_person_who_is_hardly_seen_counts_and_is_not_noted(monkeypatch):
    picture = np.zeros((130, 100, 3), np.uint8)
    picture[61:70, 46:55, 0] = picture[16:25, 46:55, 1] = 255
    said = [People(Doll(sure)).look(picture) for sure in (3, -0.4, -1)]
    assert [evidence and evidence.note for evidence in said] == ["1 person, heads up", "", None]
    assert said[1].scores[0] == pytest.approx(np.log(0.3 + 4 / (1 + np.exp(0.4))), abs=0.05)


def answer_of_faces(height, width, found):
    """Answers of the faces' detector: `found` holds stride, row, column, score and size of each face."""
    said = {}
    for stride in (8, 16, 32):
        count = (height // stride) * (width // stride)
        said |= {f"cls_{stride}": np.zeros((1, count, 1), np.float32), f"obj_{stride}": np.zeros((1, count, 1), np.float32)}
        said[f"bbox_{stride}"] = np.zeros((1, count, 4), np.float32)
    for stride, row, column, score, size in found:
        place = row * (width // stride) + column
        said[f"cls_{stride}"][0, place] = said[f"obj_{stride}"][0, place] = score
        said[f"bbox_{stride}"][0, place] = [0.5, 0.5, *np.log(np.array([size, size]) / stride)]
    return said


def test_faces_count_by_how_sure_and_large_they_are():
    found = [(8, 1, 1, 0.95, 20), (8, 1, 2, 0.9, 20), (8, 5, 5, 0.85, 12), (16, 4, 4, 0.8, 30), (32, 2, 0, 0.7, 60)]
    asked = []

    def network(given):
        asked.append(given.shape)
        return answer_of_faces(*given.shape[2:], found if len(asked) in (1, 5) else [])

    said = Faces(network).look(pictures.noise(0, 100, 140, 5))
    assert sorted(said.scores) == pytest.approx([np.log(0.05)] * 3 + [np.log(0.05 + 0.2 + 0.05)])
    assert said.note.startswith("2 faces")
    assert {shape[2:] for shape in asked} == {(128, 160), (160, 128)}


def test_faces_are_looked_for_in_a_small_picture_too():
    asked = []

    def network(given):
        asked.append(max(given.shape[2:]))
        return answer_of_faces(*given.shape[2:], [(32, 2, 3, 0.95, 200)] if asked == [640] * 4 + [320] else [])

    said = Faces(network).look(pictures.noise(0, 640, 480, 40))
    assert asked == [640] * 4 + [320] * 4
    assert max(said.scores) == pytest.approx(np.log(0.05 + 0.2 / 2))
    assert said.note.startswith("1 face,")
    assert len(said.frames) == 1


def test_things_count_by_their_confidence_and_once():
    rows = np.zeros((1, 3549, 85), np.float32)
    for place, kind, sure, at in ((0, 16, 0.9, 0.5), (1, 16, 0.8, -0.5), (2704, 15, 0.5, 0.5), (3548, 1, 0.15, 0)):
        rows[0, place, :5] = [at, 0, 1, 1, 1]
        rows[0, place, 5 + kind] = sure
    asked = []

    def network(given):
        asked.append(given.shape)
        maps = {name: np.full((1, 1, 416 // side, 416 // side), len(asked) % 3, np.float32) for name, side in MAPS.items()}
        return maps | {"output": rows if len(asked) == 1 else np.zeros_like(rows)}

    said = Things(network, lambda features: {"score": np.array([[10 * features[0, 0]]])}).look(pictures.noise(0, 100, 140, 5))
    assert sorted(said.scores) == pytest.approx([0, 4.5, 4.5 + 0.9 + 0.5, 9])
    assert said.note == "dog 0.9, cat 0.5"
    assert asked == [(1, 3, 416, 416)] * 4
