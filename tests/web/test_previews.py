"""Photos in small: shown as viewers show them, kept within a bound, and never read from where a plan must not lead."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import raw_files, review_pages, sky_library
from support.decodable_photos import store

from orientd import orientation
from orientd.errors import PhotoError, Refused
from orientd.library.paths import below
from orientd.reasons import Reason
from orientd.web.previews import SIDES, Previews


@pytest.fixture
def previews(photos):
    photos.mkdir()
    return Previews(review_pages.rules().config, lambda: [str(photos)])


def pixels(preview):
    image = Image.open(BytesIO(preview.jpeg))
    assert image.format == "JPEG"
    return np.asarray(image.convert("RGB")).astype(int)


def reason(previews, path):
    with pytest.raises(PhotoError) as raised:
        previews.get(str(path), 320)
    return raised.value.code


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "heif", "avif", "bmp", "jpeg2000"])
def test_every_container_comes_as_a_jpeg(previews, photos, kind):
    (photos / "a").write_bytes(store(kind))
    height, width, _ = pixels(previews.get(str(photos / "a"), 320)).shape
    assert (width, height) == (192, 128), "no larger than it is"


def test_a_raw_file_comes_by_its_preview_although_it_is_not_judged(previews, photos):
    path = photos / "a.dng"
    path.write_bytes(raw_files.dng(raw_files.preview()))
    assert pixels(previews.get(str(path), 320)).shape == (213, 320, 3)


@pytest.mark.parametrize("side", SIDES)
def test_the_longer_side_is_the_one_that_was_asked_for(previews, photos, side):
    Image.fromarray(np.zeros((2000, 3000, 3), np.uint8)).save(photos / "a.jpg")
    assert pixels(previews.get(str(photos / "a.jpg"), side)).shape[1] == side


@pytest.mark.parametrize("stored", range(1, 9))
def test_it_is_shown_as_viewers_show_it(previews, photos, stored):
    path = photos / "a.jpg"
    image, exif = sky_library.landscape(), Image.Exif()
    exif[sky_library.ORIENTATION] = stored
    image.save(path, exif=exif, quality=95)
    wanted = orientation.apply(np.asarray(image).astype(int), stored)
    seen = pixels(previews.get(str(path), 320))
    assert seen.shape == wanted.shape
    assert np.abs(seen - wanted).mean() < 25, "a noisy picture, packed twice"


def test_what_lies_elsewhere_is_not_read(previews, photos, tmp_path):
    outside = sky_library.draw(tmp_path / "private" / "a.jpg")
    beside = sky_library.draw(tmp_path / "photos-private" / "a.jpg")
    for path in (
        outside,
        beside,
        f"{photos}/../private/a.jpg",
        f"{photos}/./../photos-private/a.jpg",
        "/etc/passwd",
        "/dev/zero",
        "",
        "\0",
        "a.jpg",
    ):
        assert reason(previews, path) == Reason.NOT_ALLOWED


def test_symbolic_links_lead_nowhere(previews, photos, tmp_path):
    outside = sky_library.draw(tmp_path / "private" / "a.jpg")
    (photos / "link.jpg").symlink_to(outside)
    (photos / "folder").symlink_to(outside.parent)
    assert reason(previews, photos / "link.jpg") == Reason.SYMBOLIC_LINK
    assert reason(previews, photos / "folder" / "a.jpg") == Reason.NOT_ALLOWED


def test_a_folder_that_becomes_a_link_while_it_is_looked_at_leads_nowhere(previews, photos, tmp_path, monkeypatch):
    """Between the look at where a path really leads and the reading."""
    outside = sky_library.draw(tmp_path / "private" / "a.jpg")
    inside = sky_library.draw(photos / "folder" / "a.jpg")

    def swapped(path, roots):
        is_inside = below(path, roots)
        inside.parent.rename(photos / "old")
        (photos / "folder").symlink_to(outside.parent)
        return is_inside

    monkeypatch.setattr("orientd.pipeline.pictures.below", swapped)
    assert reason(previews, inside) == Reason.SYMBOLIC_LINK


def test_without_folders_nothing_is_read(photos):
    path = sky_library.draw(photos / "a.jpg")
    assert reason(Previews(review_pages.rules().config, list), path) == Reason.NOT_ALLOWED


def test_devices_pipes_and_folders_are_no_photos(previews, photos):
    os.mkfifo(photos / "a.jpg")
    assert reason(previews, photos / "a.jpg") == Reason.NOT_A_FILE
    (photos / "b.jpg").mkdir()
    assert reason(previews, photos / "b.jpg") in (Reason.NOT_A_FILE, Reason.UNEXPECTED)


def test_broken_files_are_told_and_not_shown(previews, photos):
    whole = sky_library.draw(photos / "a.jpg").read_bytes()
    wanted = {b"": Reason.DAMAGED, whole[: len(whole) // 2]: Reason.DAMAGED, b"GIF89a": None, b"no photo": Reason.UNKNOWN_CONTENT}
    for number, (data, code) in enumerate(wanted.items()):
        path = photos / f"{number}.jpg"
        path.write_bytes(data)
        assert code in (None, reason(previews, path)), data[:8]
    assert reason(previews, photos / "gone.jpg") == Reason.VANISHED
    (photos / "notes.txt").write_text("no photo either")
    assert reason(previews, photos / "notes.txt") == Reason.NOT_A_PHOTO


def test_one_beyond_the_limits_is_not_decoded(photos, monkeypatch):
    monkeypatch.setenv("ORIENTD_MAX_PIXELS", "1000")
    previews = Previews(review_pages.rules().config, lambda: [str(photos)])
    assert reason(previews, sky_library.draw(photos / "a.jpg")) == Reason.TOO_LARGE


def test_what_was_seen_is_kept_until_the_file_changes(previews, photos, monkeypatch):
    path = str(sky_library.draw(photos / "a.jpg"))
    first = previews.get(path, 320)
    assert previews.get(path, 320) is first
    sky_library.draw(Path(path), seed=1)
    assert previews.get(path, 320).sha256 != first.sha256


def test_what_is_kept_stays_within_a_bound_and_what_was_used_last_stays(photos):
    paths = [str(sky_library.draw(photos / f"{number}.jpg", seed=number)) for number in range(6)]
    small = Previews(review_pages.rules().config, lambda: [str(photos)])
    size = len(small.get(paths[0], 320).jpeg)
    previews = Previews(review_pages.rules().config, lambda: [str(photos)], most=4 * size)
    first = previews.get(paths[0], 320)
    for path in paths[1:]:
        previews.get(path, 320)
        assert previews.get(paths[0], 320) is first
    assert sum(len(one.jpeg) for one in previews._kept.values()) == previews._held <= 4 * size
    assert len(previews._kept) < len(paths)


def test_what_may_not_be_read_is_refused_in_words(previews):
    with pytest.raises(Refused, match="not shown: it is outside the folders named"):
        previews.get("/etc/passwd", 320)
