"""HEIC and AVIF photos through the whole program: found, put right, seen by others, taken back."""

from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import decodable_photos, heif_files, sky_library
from support.heif_files import Recipe, box, build

from orientd import formats, orientation
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.orientation import TURNS

KINDS = {"heic": "HEIF", "avif": "AVIF"}


def draw(path, turn=0, by_tag=True, seed=0):
    """Write a landscape that needs `turn` degrees clockwise to be shown upright: told wrongly, or stored so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sky_library.landscape(seed)
    told = orientation.inverse(orientation.from_turn(turn)) if by_tag else orientation.UPRIGHT
    if turn and not by_tag:
        image = image.rotate(turn, expand=True)
    path.write_bytes(decodable_photos.encode(image, KINDS[path.suffix[1:]], quality=90, exif=decodable_photos.exif(told)))
    return path


def shown_turned(path):
    """How far (degrees clockwise) the landscape must be turned from how others show it."""
    shown = heif_files.shown(path.read_bytes()).astype(int)
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
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--report", tmp_path / "plan.csv") == 0
    assert sky_library.snapshot(photos) == before
    found = sky_library.rows(tmp_path / "plan.csv")
    assert {path: int(row["turn"]) for path, row in found.items()} == needs
    assert {row["decision"] for path, row in found.items() if needs[path]} == {"fix"}
    assert {(row["width"], row["height"]) for row in found.values()} == {("96", "64"), ("64", "96")}
    assert orientd("apply", tmp_path / "plan.csv", "--report", tmp_path / "done.csv") == 0
    assert {row["outcome"] for path, row in sky_library.rows(tmp_path / "done.csv").items() if needs[path]} == {"fixed"}
    after = sky_library.snapshot(photos)
    assert {path for path in needs if after[path][0] != before[path][0]} == {path for path, turn in needs.items() if turn}
    assert {shown_turned(path) for path in photos.iterdir()} == {0}
    assert orientd("scan", photos, "--fix", "--rescan", "--report", tmp_path / "again.csv") == 0
    assert sky_library.snapshot(photos) == after
    assert orientd("undo", "--yes") == 0
    assert {path: entry[:3] for path, entry in sky_library.snapshot(photos).items()} == {p: e[:3] for p, e in before.items()}


def test_what_cannot_be_written_is_listed_with_its_turn(orientd, photos, tmp_path):
    path = draw(photos / "a.heic", 90, by_tag=False)
    path.write_bytes(path.read_bytes() + box(b"uuid", bytes(20)))
    before = sky_library.snapshot(photos)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") in (0, 3)
    row = sky_library.rows(tmp_path / "1.csv")[str(path)]
    assert (row["decision"], row["turn"]) == ("skip", "90")
    assert "'uuid' box in it may count bytes" in row["reason"]
    assert sky_library.snapshot(photos) == before


@pytest.mark.parametrize("brand", ["heif", "avif"])
@pytest.mark.parametrize("turns", [(), ("irot0",), ("irot1",), ("irot2",), ("irot3",), ("irot1", "imir0"), ("irot3", "imir1")])
def test_the_second_reader_sees_what_is_stored(brand, turns):
    assert orientation.normalise(second_reader(build(Recipe(brand, turns=turns)))) == heif_files.value_of(turns)


@pytest.mark.parametrize("lie", [1, 3, 8])
def test_the_second_reader_is_not_deceived(monkeypatch, lie):
    """It looks at pixels: whoever misreads the direction or the amount of a turn is found out."""
    real = formats.stored_orientation
    data = build(Recipe(turns=("irot3",)))
    monkeypatch.setattr(formats, "stored_orientation", lambda kind, held: lie if held == data else real(kind, held))
    assert second_reader(data) != lie


def test_where_nothing_can_be_seen_the_second_reader_believes_the_file():
    grey = decodable_photos.encode(Image.new("RGB", (64, 64), "grey"), "HEIF", exif=decodable_photos.exif(6))
    assert second_reader(grey) == 6


def test_the_second_reader_refuses_what_does_not_decode():
    data = build(Recipe())
    with pytest.raises(Exception, match="compare it with a backup"):
        second_reader(data[:-200])


@pytest.mark.parametrize("brand", ["heif", "avif"])
@pytest.mark.parametrize("turns", [(), ("irot1",), ("irot2",), ("irot3",), ("imir0",), ("irot1", "imir0"), ("irot3", "imir0")])
def test_width_and_height_are_those_stored_and_the_pixels_those_shown(brand, turns):
    data = build(Recipe(brand, turns=turns))
    photo = decodable_photos.photo(data)
    picture = CpuDecoder(decodable_photos.SIZE).decode(photo)
    assert (photo.orientation, picture.width, picture.height) == (heif_files.value_of(turns) if turns else None, 96, 64)
    upright = CpuDecoder(decodable_photos.SIZE).decode(decodable_photos.photo(build(Recipe(brand)))).pixels
    assert decodable_photos.difference(picture.pixels, orientation.apply(upright, heif_files.value_of(turns))) <= 1


def test_the_order_of_mirror_and_turn_is_that_of_the_list():
    early, late = (build(Recipe(turns=turns)) for turns in (("imir0", "irot1"), ("irot1", "imir0")))
    assert {decodable_photos.photo(data).orientation for data in (early, late)} == {5, 7}
    for data in (early, late):
        shown = np.asarray(
            Image.fromarray(heif_files.shown(data)).resize(
                (decodable_photos.SIZE, decodable_photos.SIZE), Image.Resampling.BILINEAR
            )
        )
        assert (
            decodable_photos.difference(CpuDecoder(decodable_photos.SIZE).decode(decodable_photos.photo(data)).pixels, shown) <= 2
        )


def test_what_pillow_writes_is_read_back():
    for value in range(1, 9):
        file = BytesIO()
        Image.fromarray(decodable_photos.scene(64, 48)).save(file, "AVIF", exif=decodable_photos.exif(value))
        assert orientation.normalise(decodable_photos.photo(file.getvalue()).orientation) == value
        assert orientation.normalise(decodable_photos.photo(decodable_photos.store("heif", stored=value)).orientation) == value
