import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files

from orientd.errors import Refused
from orientd.formats import plan, sniff, stored_orientation
from orientd.records import Format

NAMES = {Format.JPEG: "JPEG", Format.PNG: "PNG", Format.WEBP: "WEBP", Format.TIFF: "TIFF"}
HEAD = jpeg_files.picture()[:2]


def saved(format_: Format, value: int | None) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = "a model"
    if value is not None:
        exif[0x0112] = value
    out = io.BytesIO()
    Image.new("RGB", (20, 16), (9, 99, 199)).save(out, NAMES[format_], exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("format_", NAMES)
@pytest.mark.parametrize("value", [None, *range(10), 65535])
def test_reads_what_pillow_wrote(format_, value):
    data = saved(format_, value)
    assert sniff(data) == format_
    assert stored_orientation(format_, data) == value


@pytest.mark.parametrize("format_", NAMES)
def test_nothing_is_stored_in_a_plain_picture(format_):
    out = io.BytesIO()
    Image.new("RGB", (20, 16)).save(out, NAMES[format_])
    assert stored_orientation(format_, out.getvalue()) is None


@pytest.mark.parametrize("format_", [Format.PNG, Format.WEBP])
def test_an_exif_header_before_the_block_is_no_fault(format_):
    data = saved(format_, 6)
    at = data.index({Format.PNG: b"eXIf", Format.WEBP: b"EXIF"}[format_])
    place = at + (4 if format_ is Format.PNG else 8)
    size = data[at - 4 : at] if format_ is Format.PNG else data[at + 4 : at + 8]
    order = "big" if format_ is Format.PNG else "little"
    longer = (int.from_bytes(size, order) + 6).to_bytes(4, order)
    riff = b"RIFF" + (int.from_bytes(data[4:8], "little") + 6).to_bytes(4, "little")
    head = data[: at - 4] + longer + b"eXIf" if format_ is Format.PNG else riff + data[8 : at + 4] + longer
    assert stored_orientation(format_, head + b"Exif\0\0" + data[place:]) == 6


def test_an_unannounced_webp_chunk_is_ignored_as_viewers_do():
    data = saved(Format.WEBP, 6)
    assert data[20] & 8
    silent = data[:20] + bytes([data[20] & ~8]) + data[21:]
    assert stored_orientation(Format.WEBP, silent) is None
    assert 0x0112 not in Image.open(io.BytesIO(silent)).getexif()


def test_jpeg_and_mpo_store_it_alike():
    data = jpeg_files.multi_picture(jpeg_files.app1(jpeg_files.tiff(jpeg_files.Recipe(orientations=((jpeg_files.SHORT, 8),)))))
    assert stored_orientation(Format.MPO, data) == stored_orientation(Format.JPEG, data) == 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        jpeg_files.with_segments(jpeg_files.app1(b"XX*\0")),
        jpeg_files.with_segments(jpeg_files.app1(b"II*\0\xff\xff\xff\xff")),
        jpeg_files.with_segments(jpeg_files.app1(b"MM\0*\0\0\0\x08\xff\xff")),
        HEAD + b"\xff\x02" + jpeg_files.with_segments(jpeg_files.app1(jpeg_files.tiff(jpeg_files.Recipe())))[2:],
    ],
)
def test_unreadable_counts_as_absent(data):
    assert stored_orientation(Format.JPEG, data) is None


@pytest.mark.parametrize("format_", [format_ for format_ in Format if format_ not in {*NAMES, Format.MPO, Format.RAW}])
def test_other_containers_store_no_exif_orientation_that_viewers_obey(format_):
    assert stored_orientation(format_, saved(Format.TIFF, 6)) is None


@pytest.mark.parametrize("format_", [Format.BMP, Format.GIF, Format.JPEG2000, Format.JPEG_XL, Format.RAW, Format.UNKNOWN])
def test_containers_that_cannot_be_written_are_refused_by_name(format_):
    with pytest.raises(Refused, match=f"^{format_.name.replace('_', ' ')} cannot be written"):
        plan(format_, jpeg_files.picture(), 6)


@given(st.sampled_from(list(NAMES)), st.binary(max_size=30), st.integers(0, 2000))
def test_never_fails_on_garbage(format_, noise, place):
    data = saved(format_, 6)
    for garbage in (noise, data[:place], data[:place] + noise + data[place + len(noise) :]):
        found = stored_orientation(format_, garbage)
        assert found is None or isinstance(found, int)
