"""HEIC and AVIF photos through the whole program: found, put right, seen by others, taken back."""

from io import BytesIO
from itertools import product
from pathlib import Path

import heifs
import numpy as np
import pytest
import scenes
import skies
from heifs import Recipe, box, build
from PIL import Image

from orientd import formats, orientation
from orientd.decode.cpu import CpuDecoder, witness
from orientd.orientation import TURNS

KINDS = {"heic": "HEIF", "avif": "AVIF"}


def draw(path, turn=0, by_tag=True, seed=0):
    """Write a landscape that needs `turn` degrees clockwise to be shown upright: told wrongly, or stored so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = skies.landscape(seed)
    told = orientation.inverse(orientation.from_turn(turn)) if by_tag else orientation.UPRIGHT
    if turn and not by_tag:
        image = image.rotate(turn, expand=True)
    path.write_bytes(scenes.encode(image, KINDS[path.suffix[1:]], quality=90, exif=scenes.exif(told)))
    return path


def shown_turned(path):
    """How far (degrees clockwise) the landscape must be turned from how others show it."""
    shown = heifs.shown(path.read_bytes()).astype(int)
    height, width = shown.shape[:2]
    halves = (shown[: height // 2], shown[:, : width // 2], shown[height // 2 :], shown[:, width // 2 :])
    return 90 * int(np.argmax([half.mean() for half in halves]))


@pytest.fixture
def needs(photos):
    """A library of HEIC and AVIF; the turn each path needs."""
    found = {}
    for number, (kind, turn, by_tag) in enumerate(product(KINDS, TURNS, (True, False))):
        found[str(draw(photos / f"{number:02}.{kind}", turn, by_tag, number))] = turn
    return found


def test_the_judge_of_these_tests_sees_a_wrong_photo(needs):
    assert {path: shown_turned(Path(path)) for path in needs} == needs


def test_photos_are_put_right_and_taken_back(orientd, photos, needs, tmp_path):
    before = skies.snapshot(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert skies.snapshot(photos) == before
    found = skies.rows(tmp_path / "plan.csv")
    assert {path: int(row["turn"]) for path, row in found.items()} == needs
    assert {row["decision"] for path, row in found.items() if needs[path]} == {"fix"}
    assert {(row["width"], row["height"]) for row in found.values()} == {("96", "64"), ("64", "96")}
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert {row["outcome"] for path, row in skies.rows(tmp_path / "done.csv").items() if needs[path]} == {"fixed"}
    after = skies.snapshot(photos)
    assert {path for path in needs if after[path][0] != before[path][0]} == {path for path, turn in needs.items() if turn}
    assert {shown_turned(path) for path in photos.iterdir()} == {0}
    assert orientd("scan", photos, "--fix", "--rescan", "--report", tmp_path / "again.csv") == 0
    assert skies.snapshot(photos) == after
    assert orientd("undo") == 0
    assert {path: entry[:3] for path, entry in skies.snapshot(photos).items()} == {p: e[:3] for p, e in before.items()}


def test_what_cannot_be_written_is_listed_with_its_turn(orientd, photos, tmp_path):
    path = draw(photos / "a.heic", 90, by_tag=False)
    path.write_bytes(path.read_bytes() + box(b"uuid", bytes(20)))
    before = skies.snapshot(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") in (0, 3)
    row = skies.rows(tmp_path / "1.csv")[str(path)]
    assert (row["decision"], row["turn"]) == ("skip", "90")
    assert "'uuid' box in it may count bytes" in row["reason"]
    assert skies.snapshot(photos) == before


@pytest.mark.parametrize("brand", ["heif", "avif"])
@pytest.mark.parametrize("turns", [(), ("irot0",), ("irot1",), ("irot2",), ("irot3",), ("irot1", "imir0"), ("irot3", "imir1")])
def test_the_witness_sees_what_is_stored(brand, turns):
    assert orientation.normalise(witness(build(Recipe(brand, turns=turns)))) == heifs.value_of(turns)


@pytest.mark.parametrize("lie", [1, 3, 8])
def test_the_witness_is_not_deceived(monkeypatch, lie):
    """It looks at pixels: whoever misreads the direction or the amount of a turn is found out."""
    real = formats.stored_orientation
    data = build(Recipe(turns=("irot3",)))
    monkeypatch.setattr(formats, "stored_orientation", lambda kind, held: lie if held == data else real(kind, held))
    assert witness(data) != lie


def test_where_nothing_can_be_seen_the_witness_believes_the_file():
    grey = scenes.encode(Image.new("RGB", (64, 64), "grey"), "HEIF", exif=scenes.exif(6))
    assert witness(grey) == 6


def test_the_witness_refuses_what_does_not_decode():
    data = build(Recipe())
    with pytest.raises(Exception, match="compare it with a backup"):
        witness(data[:-200])


@pytest.mark.parametrize("brand", ["heif", "avif"])
@pytest.mark.parametrize("turns", [(), ("irot1",), ("irot2",), ("irot3",), ("imir0",), ("irot1", "imir0"), ("irot3", "imir0")])
def test_width_and_height_are_those_stored_and_the_pixels_those_shown(brand, turns):
    data = build(Recipe(brand, turns=turns))
    photo = scenes.photo(data)
    picture = CpuDecoder(scenes.SIZE).decode(photo)
    assert (photo.orientation, picture.width, picture.height) == (heifs.value_of(turns) if turns else None, 96, 64)
    upright = CpuDecoder(scenes.SIZE).decode(scenes.photo(build(Recipe(brand)))).pixels
    assert scenes.difference(picture.pixels, orientation.apply(upright, heifs.value_of(turns))) <= 1


def test_the_order_of_mirror_and_turn_is_that_of_the_list():
    early, late = (build(Recipe(turns=turns)) for turns in (("imir0", "irot1"), ("irot1", "imir0")))
    assert {scenes.photo(data).orientation for data in (early, late)} == {5, 7}
    for data in (early, late):
        shown = np.asarray(Image.fromarray(heifs.shown(data)).resize((scenes.SIZE, scenes.SIZE), Image.Resampling.BILINEAR))
        assert scenes.difference(CpuDecoder(scenes.SIZE).decode(scenes.photo(data)).pixels, shown) <= 2


def test_what_pillow_writes_is_read_back():
    for value in range(1, 9):
        file = BytesIO()
        Image.fromarray(scenes.scene(64, 48)).save(file, "AVIF", exif=scenes.exif(value))
        assert orientation.normalise(scenes.photo(file.getvalue()).orientation) == value
        assert orientation.normalise(scenes.photo(scenes.store("heif", stored=value)).orientation) == value
