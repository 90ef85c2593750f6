"""What a PNG and a WebP promise alike: readers agree, a patch is stable and can be undone, what is damaged is refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import png_webp_recipes
from support.png_webp_recipes import values
from support.png_webp_tiff_files import (
    Png,
    check_patch,
    judge_damaged,
    png,
    png_chunk,
    png_with_exif_first,
    split_png,
    webp,
)

from orientd.formats import plan
from orientd.records import Format


@st.composite
def damaged_pngs(draw, data: bytes) -> list[bytes]:
    """Bytes are flipped inside chunks, whose checksums are then made to fit: those of a hostile file always do."""
    chunks, trailer = split_png(data)
    damaged = []
    for name, body in chunks:
        if body and name not in (b"IHDR", b"IDAT") and draw(st.integers(0, 3)) == 0:
            place = draw(st.integers(0, len(body) - 1))
            body = body[:place] + draw(st.binary(min_size=1, max_size=3)) + body[place + 1 :]
        damaged.append(png_chunk(name, body))
    spoiled = data[:8] + b"".join(damaged) + trailer
    return [spoiled[: draw(st.just(len(spoiled)) | st.integers(0, len(spoiled)))]]


@st.composite
def damaged_webps(draw, data: bytes) -> list[bytes]:
    """Bytes are flipped anywhere and the end is cut off: once as it is, once with the size that the header tells made to fit."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data) - 1))
        data = data[:place] + draw(st.binary(min_size=1, max_size=4)) + data[place + 1 :]
    cut = data[: draw(st.just(len(data)) | st.integers(0, len(data)))]
    return [cut, *([cut[:4] + (len(cut) - 8).to_bytes(4, "little") + cut[8:]] if len(cut) > 8 else [])]


@dataclass(frozen=True)
class Container:
    format: Format
    build: Callable[[Any], bytes]
    recipes: st.SearchStrategy[Any]
    damaged: Callable[[bytes], st.SearchStrategy[list[bytes]]]
    brought_forward: Callable[[bytes], bytes]
    """What becomes of a file whose EXIF stands behind the picture, once it is to tell a turn."""


CONTAINERS = {
    "png": Container(Format.PNG, png, png_webp_recipes.pngs(), damaged_pngs, png_with_exif_first),
    "webp": Container(Format.WEBP, webp, png_webp_recipes.webps(), damaged_webps, lambda data: data),
}
every_container = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)


def is_late(recipe: Any) -> bool:
    """True of a PNG whose EXIF stands behind the picture."""
    return isinstance(recipe, Png) and recipe.late and recipe.exif is not None


@every_container
@given(st.data(), values)
def test_readers_agree_and_no_other_byte_changed(container, random, orientation):
    check_patch(container.build(random.draw(container.recipes)), orientation)


@every_container
@given(st.data(), values)
def test_a_value_that_is_there_is_overwritten_and_nothing_else(container, random, orientation):
    recipe = random.draw(container.recipes)
    assume(recipe.exif and recipe.exif.orientations)
    old = recipe.exif.orientations[0][1]
    exif = replace(
        recipe.exif,
        orientations=tuple((type_, orientation) for type_, _ in recipe.exif.orientations),
        thumbnail_orientation=orientation if recipe.exif.thumbnail_orientation == old else recipe.exif.thumbnail_orientation,
    )
    data = container.build(recipe)
    expected = container.build(replace(recipe, exif=exif, xmp_value=orientation))
    if is_late(recipe) and recipe.exif != exif and orientation != 1:
        expected = container.brought_forward(expected)
    assert plan(container.format, data, orientation).apply(data) == expected


@every_container
@given(st.data(), values, values)
def test_a_patch_of_a_patch_is_a_patch(container, random, first, second):
    recipe = random.draw(container.recipes)
    assume(recipe.exif is None or recipe.exif.thumbnail_orientation != first)
    data = container.build(recipe)
    once = plan(container.format, data, first).apply(data)
    twice = plan(container.format, once, second)
    result, directly = twice.apply(once), plan(container.format, data, second).apply(data)
    assert twice.keeps_length or is_late(recipe)
    if is_late(recipe):
        result, directly = map(container.brought_forward, (result, directly))
    assert result == directly


@every_container
@given(st.data(), values)
def test_damaged_files_are_refused_or_patched_without_a_change_of_pixels(container, random, orientation):
    for data in random.draw(container.damaged(container.build(random.draw(container.recipes)))):
        judge_damaged(data, orientation)
