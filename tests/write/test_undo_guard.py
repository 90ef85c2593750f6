"""A journal's word: nothing is put back but what orientd would have changed into what is there, in no folder but those meant."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files, kill_victim, sky_library, small_containers, turnable_jpegs
from support.faulty_disks import TEMP

from orientd import formats
from orientd.errors import PhotoError, Refused
from orientd.formats import sidecar
from orientd.orientation import UPRIGHT, from_turn
from orientd.records import FileStat, Format, Patch
from orientd.state.journal import Intent
from orientd.write import rotate, undo_guard

ABSENT = FileStat(0, 0, 0, 0)
WAYS = small_containers.WAYS | {f"jpeg: {n}": lambda n=n: kill_victim.draw(n) for n in range(4)}
every_way = pytest.mark.parametrize("draw", WAYS.values(), ids=WAYS)


def write(method="tag", path="/photos/a.jpg", turn=90):
    return Intent(path, Format.JPEG, ABSENT, "", "", Patch(()), None, None, turn, method, None, TEMP)


def packed(pixels, kind):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def tagged(data, new=6):
    return formats.plan(formats.sniff(data), data, new).apply(data)


@every_way
@pytest.mark.parametrize("new", [3, 6, 8])
def test_what_a_fix_did_may_be_taken_back(draw, new):
    old = draw()
    undo_guard.admit(write(), tagged(old, new), old)


@every_way
@given(data=st.data())
def test_a_photo_that_differs_in_anything_else_may_not_be_put_back(draw, data):
    old = draw()
    new, at = tagged(old), data.draw(st.integers(0, len(old) - 1))
    other = old[:at] + bytes([old[at] ^ data.draw(st.integers(1, 255))]) + old[at + 1 :]
    try:
        undo_guard.admit(write(), new, other)
    except PhotoError:
        return
    assert tagged(other) == new  # what differs is the orientation


@every_way
@pytest.mark.parametrize("named", [False, True])
def test_another_picture_is_never_put_back(draw, named):
    old = draw()
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    others = (packed(noise, "PNG"), packed(noise, "WEBP"), packed(noise, "JPEG"), b"", old[: len(old) // 2], b"cron" + old)
    for other in (other for other in others if other != old):
        with pytest.raises(Refused, match="left alone"):
            undo_guard.admit(write(), tagged(old), other, named)


def by_another(data):
    """The photo with the orientation in a block as orientd would not write it, as a former one may have."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[sky_library.ORIENTATION], exif[0x010F] = 6, "more"
    with Image.open(io.BytesIO(data)) as image:
        image.save(file, "JPEG", exif=exif, quality="keep")
    return file.getvalue()


def test_what_a_former_orientd_may_have_written_is_taken_back_by_name():
    old = by_another(kill_victim.draw(2)).replace(b"more", b"less")
    new = by_another(kill_victim.draw(2))
    with pytest.raises(Refused, match="orientd undo --file"):
        undo_guard.admit(write(), new, old)
    undo_guard.admit(write(), new, old, named=True)
    with pytest.raises(Refused, match="orientd undo --file"):
        undo_guard.admit(write(), new, by_another(kill_victim.draw(6)), named=True)


def test_a_fault_of_a_parser_refuses_one_photo(monkeypatch):
    monkeypatch.setattr(formats, "plan", lambda *_: 1 // 0)
    with pytest.raises(Refused, match=r"cannot be checked \(ZeroDivisionError"):
        undo_guard.admit(write(), kill_victim.draw(1), kill_victim.draw(1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pixels_are_taken_back_to_the_sample(kind, turn):
    pixels = np.random.default_rng(5).integers(0, 255, (24, 32, 3), np.uint8)
    old, format_ = packed(pixels, kind), Format(kind.lower())
    new = rotate.Rotator(jpeg=False).plan(format_, old, from_turn(turn)).apply(old)
    undo_guard.admit(write("rotate", turn=turn), new, old)
    nearly = pixels.copy()
    nearly[3, 4, 1] ^= 1
    for other in (packed(nearly, kind), packed(pixels[:, ::-1], kind), packed(pixels[:-1], kind), new, old[:-40]):
        with pytest.raises(Refused, match=r"not the same picture|never makes"):
            undo_guard.admit(write("rotate", turn=turn), new, other)
    with pytest.raises(Refused, match="not the same picture"):
        undo_guard.admit(write("rotate", turn=(turn + 90) % 360), new, old)
    with pytest.raises(Refused, match="cannot be checked"):
        undo_guard.admit(write("rotate", turn=4500), new, old)
    with pytest.raises(Refused, match="never makes"):
        undo_guard.admit(write("rotate", turn=turn), tagged(new, 3), old)


@turnable_jpegs.needs_turbojpeg
@pytest.mark.parametrize("library", [True, False])
def test_a_jpeg_turned_by_pixels_is_taken_back_with_the_library_and_without(monkeypatch, library):
    old, other = turnable_jpegs.draw(turnable_jpegs.Recipe()), turnable_jpegs.draw(turnable_jpegs.Recipe(seed=1))
    new = rotate.Rotator().plan(Format.JPEG, old, 6).apply(old)
    monkeypatch.setattr(rotate, "checker", lambda: rotate.Rotator(jpeg=library).check)
    undo_guard.admit(write("rotate"), new, old)
    upside_down = rotate.Rotator().plan(Format.JPEG, old, 3).apply(old)
    for wrong in (upside_down, new, *([other] if library else [])):
        with pytest.raises(Refused, match="not the same picture"):
            undo_guard.admit(write("rotate"), new, wrong)


@turnable_jpegs.needs_turbojpeg
def test_several_pictures_never_take_the_place_of_one():
    """Whose pixels they might prove: metadata is not compared."""
    old, several = jpeg_files.with_segments(jfif=False), jpeg_files.multi_picture()
    new = rotate.Rotator().plan(Format.JPEG, old, 6).apply(old)
    rotate.checker()(Format.JPEG, several, new, 6)
    undo_guard.admit(write("rotate"), new, old)
    with pytest.raises(Refused, match="never makes"):
        undo_guard.admit(write("rotate"), new, several)


def test_the_pixels_of_others_are_never_turned():
    with pytest.raises(Refused, match="never turned"):
        rotate.Rotator(jpeg=False).check(Format.TIFF, b"", b"", UPRIGHT)


MINE = sidecar.fresh(1).replace(b"<rdf:Description", b'<rdf:Description xmlns:dc="urn:x" dc:title="mine"')
SIDECARS = {"made": b"", "digit": MINE, "attribute": MINE.replace(b'tiff:Orientation="1"', b"")}


def noted(old, ending=""):
    return sidecar.plan(old, 6).apply(old) if old else sidecar.fresh(6, ending)


@pytest.mark.parametrize("old", SIDECARS.values(), ids=SIDECARS)
@pytest.mark.parametrize("path", ["/a.cr2.xmp", "/a.XMP"])
def test_a_sidecar_is_taken_back_as_it_was_changed(old, path):
    undo_guard.admit(write("sidecar", path), noted(old, "CR2" if path == "/a.XMP" else ""), old)
    for wrong in (write("sidecar", "/a.txt"), write("tag", path)):
        with pytest.raises(Refused, match="never makes"):
            undo_guard.admit(wrong, noted(old), old)


@pytest.mark.parametrize("old", SIDECARS.values(), ids=SIDECARS)
def test_a_sidecar_is_not_removed_or_changed_otherwise(old):
    for new in (MINE, noted(old).replace(b'"6"', b'"6" '), noted(old).replace(b"adobe:ns", b"adobe:xs")):
        for named in (False, True):
            with pytest.raises(Refused, match="never makes"):
                undo_guard.admit(write("sidecar", "/a.xmp"), new, old if old != new else b"", named)
    with pytest.raises(Refused, match="never makes"):
        undo_guard.admit(write("sidecar", "/a.xmp"), b"", MINE)
    with pytest.raises(Refused, match="never makes"):
        undo_guard.admit(write("sidecar", "/a.xmp"), noted(old), b"* * * * * root evil")
