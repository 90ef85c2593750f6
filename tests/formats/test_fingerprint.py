"""What tells a picture from others stays the same when metadata change, in every container, and differs between pictures."""

import io
import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import heif_files, png_webp_tiff_files
from support.small_containers import WAYS

from orientd import formats
from orientd.formats import fingerprint
from orientd.formats.fingerprint import is_same, marks, pictures
from orientd.records import Format

TAKEN = 0x9003


def jpeg(seed=0, taken=(), **options):
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 48, 3), np.uint8)
    exif, out = Image.Exif(), io.BytesIO()
    for tag, time in zip((TAKEN, TAKEN + 1), taken, strict=False):
        exif.get_ifd(0x8769)[tag] = time
    Image.fromarray(pixels).save(out, "JPEG", exif=exif, **options)
    return out.getvalue()


PHOTOS = {name: draw() for name, draw in WAYS.items()} | {
    "jpeg": jpeg(),
    "jpeg: progressive": jpeg(progressive=True),
    "jpeg: dated": jpeg(taken=["2024:05:01 12:30:00"]),
}
every_photo = pytest.mark.parametrize("data", PHOTOS.values(), ids=PHOTOS)


@every_photo
def test_an_orientation_makes_no_other_picture(data):
    kind = formats.sniff(data)
    patched = formats.plan(kind, data, 6).apply(data)
    assert len(pictures(marks(kind, data))) == 1
    assert patched != data
    assert marks(kind, patched) == marks(kind, data)
    assert is_same(marks(kind, patched), marks(kind, data)) is True


@every_photo
def test_a_byte_of_the_picture_does(data):
    """One in the middle of the largest piece, wherever the container keeps it."""
    kind = formats.sniff(data)
    start, end = max(fingerprint._PIECES[kind](data), key=lambda piece: piece[1] - piece[0])
    at = (start + end) // 2
    other = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    assert pictures(marks(kind, other)) != pictures(marks(kind, data))


@pytest.mark.skipif(not shutil.which("exiftool"), reason="needs exiftool")
@pytest.mark.parametrize("name", [name for name in PHOTOS if not name.startswith("avif: overwritten")])
def test_exiftool_makes_no_other_picture_either(tmp_path, name):
    data = PHOTOS[name]
    kind, path = formats.sniff(data), tmp_path / "photo"
    path.write_bytes(data)
    command = ["exiftool", "-q", "-m", "-n", "-overwrite_original", "-EXIF:Orientation=8", "-XMP:Title=A day", str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("exiftool does not write this one")
    assert path.read_bytes() != data
    assert is_same(marks(kind, path.read_bytes()), marks(kind, data)) is True


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (["2024:05:01 12:30:00"], ["2024:05:01 12:30:01"], False),
        (["2024:05:01 12:30:00"], ["2024:05:01 12:30:00"], None),
        (["2024:05:01 12:30:00", "2024:05:01 12:30:01"], ["2024:05:02 00:00:00", "2024:05:01 12:30:01"], None),
        (["2024:05:01 12:30:00"], [], None),
        ([], [], None),
        (["0000:00:00 00:00:00"], ["2024:05:01 12:30:00"], None),
        (["    :  :     :  :  "], ["2024:05:01 12:30:00"], None),
    ],
)
def test_two_pictures_are_two_shots_only_if_taken_at_other_times(one, other, same):
    assert is_same(marks(Format.JPEG, jpeg(1, one)), marks(Format.JPEG, jpeg(2, other))) is same
    assert is_same(marks(Format.JPEG, jpeg(3, one)), marks(Format.JPEG, jpeg(3, other))) is True


def test_the_marks_of_a_photo_are_its_picture_and_its_times():
    times = ["2024:05:01 12:30:00", "2024:05:02 08:00:59"]
    found = marks(Format.JPEG, jpeg(taken=times))
    assert found - set(pictures(found)) == {f"taken {time}" for time in times}


def test_what_a_heif_does_not_list_is_no_part_of_its_picture():
    data = heif_files.build(heif_files.Recipe(other=()))
    unlisted = data.replace(b"infe\2\0\0\0\0\4", b"infe\2\0\0\0\0\7")
    assert unlisted != data
    assert len(pictures(marks(Format.HEIF, unlisted))) == 1
    assert is_same(marks(Format.HEIF, unlisted), marks(Format.HEIF, data)) is None


def test_what_is_not_known_has_no_picture():
    assert marks(Format.BMP, b"BM") == marks(Format.UNKNOWN, b"") == frozenset()
    assert marks(Format.JPEG, jpeg()[:-2]) == frozenset(), "without an end it could be any"
    assert is_same(frozenset(), frozenset()) is None
    assert is_same(frozenset({"picture "}), frozenset({"taken 2024:05:01 12:30:00"})) is None


def test_pieces_that_overlap_are_not_read_again_and_again():
    data = png_webp_tiff_files.tiff(png_webp_tiff_files.Tiff())
    with pytest.raises(fingerprint.Refused, match="overlap"):
        fingerprint._digest(data, [(0, len(data))] * 2)
    assert fingerprint._digest(data, []) == ""


@given(st.sampled_from([*PHOTOS.values(), heif_files.build(heif_files.Recipe(thumbnail=("irot0",)))]), st.data())
def test_damage_never_raises(data, choice):
    kind, damaged = formats.sniff(data), bytearray(data)
    for _ in range(choice.draw(st.integers(1, 6))):
        damaged[choice.draw(st.integers(0, min(len(data), 600) - 1))] = choice.draw(st.integers(0, 255))
    for cut in (len(data), choice.draw(st.integers(0, len(data)))):
        assert all(isinstance(mark, str) for mark in marks(kind, bytes(damaged[:cut])))
