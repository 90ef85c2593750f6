import pytest
from support import jpeg_files, png_webp_tiff_files
from support.jpeg_files import LONG, SHORT, Recipe
from support.png_webp_recipes import WEBP_KINDS
from support.png_webp_tiff_files import Webp, check_patch, riff, webp, webp_changes, webp_chunk, webp_header

from orientd.errors import Refused
from orientd.formats import plan, stored_orientation
from orientd.formats import webp as container
from orientd.records import Format

EXIF_FLAG = 0x08


def refusal(data: bytes, orientation: int = 6) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.WEBP, data, orientation)
    return str(caught.value)


def rebuilt(chunks: list[tuple[bytes, bytes]], trailer: bytes = b"") -> bytes:
    return riff(*(webp_chunk(*chunk) for chunk in chunks)) + trailer


def test_the_comparator_finds_a_changed_byte_anywhere():
    good = webp(Webp(kind="alpha", exif=Recipe(maker_note=True), xmp="element", profile=b"icc", unknown=b"?", trailer=b"end"))
    chunks, trailer = png_webp_tiff_files.split_webp(good)
    assert [name for name, _ in chunks] == [b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"MINE", b"EXIF", b"XMP "]
    assert rebuilt(chunks, trailer) == good
    assert webp_changes(good, good) == []
    for number, (name, body) in enumerate(chunks):
        for place in (0, len(body) // 2, len(body) - 1):
            wrong = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            assert webp_changes(good, rebuilt([*chunks[:number], (name, wrong), *chunks[number + 1 :]], trailer)), name
        assert webp_changes(good, rebuilt(chunks[:number] + chunks[number + 1 :], trailer)), name
    assert webp_changes(good, good + b"x")


@pytest.mark.parametrize("kind", ["lossy", "lossless", "lossless alpha"])
def test_the_comparator_finds_a_wrong_header(kind):
    data = webp(Webp(kind))
    after = plan(Format.WEBP, data, 6).apply(data)
    assert webp_changes(data, after) == []
    for place in (20, 24, 27):
        assert webp_changes(data, after[:place] + bytes([after[place] ^ 0x10]) + after[place + 1 :])


@pytest.mark.parametrize("kind", WEBP_KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_simple_file_gets_a_header_that_repeats_its_size(kind, orientation):
    data = webp(Webp(kind))
    after = check_patch(data, orientation).apply(data)
    chunks, _ = png_webp_tiff_files.split_webp(after)
    assert webp_chunk(*chunks[0]) == webp_header(EXIF_FLAG | (0x10 if "alpha" in kind else 0))
    assert chunks[1:-1] == [chunk for chunk in png_webp_tiff_files.split_webp(data)[0] if chunk[0] != b"VP8X"]
    assert len(after) - len(data) == (34 if kind == "alpha" else 52)


def test_a_header_may_announce_what_is_not_there():
    data = webp(Webp(flags=EXIF_FLAG))
    after = check_patch(data, 6).apply(data)
    assert len(after) - len(data) == 34


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("prefix", [False, True])
def test_padding_is_kept_in_order_when_a_chunk_grows(odd, prefix):
    data = webp(Webp(exif=Recipe(orientations=(), odd=odd), prefix=prefix, xmp="element"))
    assert not check_patch(data, 6).keeps_length


def test_bytes_behind_the_end_stay_as_they_are():
    data = webp(Webp(trailer=b"a film"))
    assert check_patch(data, 6).apply(data).endswith(b"a film")
    assert "AFCP" in refusal(webp(Webp(trailer=b"AXS!" + bytes(40))))
    assert "AFCP" in refusal(webp(Webp(exif=Recipe(orientations=()), trailer=b"AXS*" + bytes(40))))
    assert check_patch(webp(Webp(exif=Recipe(), trailer=b"AXS!" + bytes(40))), 6).keeps_length


def test_a_full_file_does_not_grow(monkeypatch):
    monkeypatch.setattr(container, "_LARGEST", len(BARE) - 8 + 52)
    assert not check_patch(BARE, 6).keeps_length
    monkeypatch.setattr(container, "_LARGEST", len(BARE) - 8 + 51)
    assert "the file is full (4 GB)" in refusal(BARE)
    assert check_patch(webp(Webp(exif=Recipe())), 6).keeps_length


def test_xmp_under_its_old_name_is_kept_in_step():
    data = webp(Webp(exif=Recipe(), xmp="element")).replace(b"XMP ", b"XMP\0")
    assert jpeg_files.packet("element", 6) in plan(Format.WEBP, data, 6).apply(data)


LOSSY = png_webp_tiff_files.bitstream("lossy")[0]
PICTURE = webp_chunk(*LOSSY)
ALPHA = webp_chunk(*png_webp_tiff_files.bitstream("alpha")[0])
EXIF = webp_chunk(b"EXIF", jpeg_files.tiff(Recipe()))
BARE = webp(Webp())

REFUSED = [
    ("not a WebP", b"\xff\xd8\xff"),
    ("not a WebP", b"RIFF\4\0\0\0WAVE"),
    ("cut short", BARE[:-2]),
    ("cut short", BARE[:-2] + b"!"),
    ("gives a wrong size", BARE[:4] + (len(BARE) - 7).to_bytes(4, "little") + BARE[8:] + b"!"),
    ("bad length at byte 12", BARE[:4] + (len(BARE) - 10).to_bytes(4, "little") + BARE[8:]),
    ("bad length at byte 12", riff(b"VP8 \xff\xff\xff\xff")),
    ("no picture", riff()),
    ("no picture", riff(EXIF)),
    ("does not announce", riff(PICTURE, EXIF)),
    ("does not announce", riff(webp_header(0), PICTURE, EXIF)),
    ("its picture is missing", riff(webp_header(EXIF_FLAG), EXIF)),
    ("wrong length", riff(webp_chunk(b"VP8X", bytes(8)), PICTURE)),
    ("twice", riff(webp_header(0), PICTURE, PICTURE)),
    ("twice", riff(webp_header(0), webp_header(0), PICTURE)),
    ("twice", riff(webp_header(0x10), ALPHA, ALPHA, PICTURE)),
    ("two EXIF chunks", riff(webp_header(EXIF_FLAG), PICTURE, EXIF, EXIF)),
    ("animated", riff(webp_header(0x02), PICTURE)),
    ("animated", riff(webp_header(0), webp_chunk(b"ANIM", bytes(6)), PICTURE)),
    ("animated", riff(webp_header(0), PICTURE, webp_chunk(b"ANMF", bytes(16)))),
    ("content credentials", riff(webp_header(0), PICTURE, webp_chunk(b"C2PA", b"jumb"))),
    ("header of its picture is broken", riff(webp_chunk(b"VP8 ", b"\0" + LOSSY[1][1:3] + b"nope" + LOSSY[1][7:]))),
    ("header of its picture is broken", riff(webp_chunk(b"VP8L", b"\0" * 10))),
    ("gives no size", riff(webp_chunk(b"VP8 ", LOSSY[1][:6] + bytes(4) + LOSSY[1][10:]))),
    ("EXIF says 3, XMP says 1", webp(Webp(exif=Recipe(orientations=((SHORT, 3),)), xmp="element"))),
    ("EXIF says nothing, XMP says 8", webp(Webp(xmp="attribute", xmp_value=8))),
    ("several orientations", webp(Webp(exif=Recipe(orientations=((SHORT, 1), (LONG, 6)))))),
    ("does not start with a TIFF header", riff(webp_header(EXIF_FLAG), PICTURE, webp_chunk(b"EXIF", b"nonsense"))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_refused(reason, data):
    assert reason in refusal(data)


def test_an_exif_chunk_behind_the_riff_part_is_none():
    assert stored_orientation(Format.WEBP, webp(Webp(flags=EXIF_FLAG)) + EXIF) is None
