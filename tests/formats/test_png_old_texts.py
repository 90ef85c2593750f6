"""EXIF and XMP in the texts of a PNG, as ImageMagick, exiv2 and Photoshop have written them, and texts of any size."""

import io
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import jpeg_files, png_webp_tiff_files
from support.jpeg_files import LONG, SHORT, Recipe
from support.png_webp_tiff_files import Png, png, png_chunk
from support.referee import HAS_EXIFTOOL, read_tags, tag_changes

from orientd.decode.cpu import second_reader
from orientd.errors import Refused
from orientd.formats import plan, stored_orientation
from orientd.records import Format, Patch

CASES = Path(__file__).parents[3] / "shared" / "corpus" / "cases"
needs_exiftool = pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")
BARE = png(Png())
HEADER_END = 8 + 25
KINDS = [b"tEXt", b"zTXt", b"iTXt", b"iTXt packed"]
KEYS = [b"Raw profile type exif", b"Raw profile type APP1"]
values = st.integers(1, 8)


def text_chunk(kind: bytes, key: bytes, text: bytes) -> bytes:
    """A chunk that holds the text in one of the four ways there are."""
    if kind == b"tEXt":
        return png_chunk(kind, key + b"\0" + text)
    if kind == b"zTXt":
        return png_chunk(kind, key + b"\0\0" + zlib.compress(text))
    packed = kind.endswith(b"packed")
    return png_chunk(b"iTXt", key + b"\0" + bytes([packed, 0]) + b"\0\0" + (zlib.compress(text) if packed else text))


def profile(block: bytes, name: bytes = b"exif", prefix: bool = True, width: int = 72) -> bytes:
    data = (b"Exif\0\0" if prefix else b"") + block
    digits = data.hex().encode()
    lines = [digits[at : at + width] for at in range(0, len(digits), width)]
    return b"\n%s\n%8d\n%s\n" % (name, len(data), b"\n".join(lines))


def raw(value: int | None, kind: bytes = b"zTXt", key: bytes = KEYS[0], **options: object) -> bytes:
    """A chunk with an EXIF block that stores `value`, or no orientation."""
    return text_chunk(kind, key, profile(jpeg_files.tiff(recipe(value)), **options))


def raw_xmp(value: int, kind: bytes, start: bytes = b"", key: bytes = b"Raw profile type xmp") -> bytes:
    """A chunk with an XMP packet that stores `value`, as ImageMagick writes it."""
    return text_chunk(kind, key, profile(start + jpeg_files.packet("element", value), b"xmp", prefix=False))


def recipe(value: int | None) -> Recipe:
    return Recipe(orientations=() if value is None else ((SHORT, value),), thumbnail=True, maker_note=True)


def behind_header(*added: bytes, data: bytes = BARE) -> bytes:
    return data[:HEADER_END] + b"".join(added) + data[HEADER_END:]


def before_end(*added: bytes) -> bytes:
    return BARE[:-12] + b"".join(added) + BARE[-12:]


def refusal(data: bytes, orientation: int = 6) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.PNG, data, orientation)
    return str(caught.value)


def tags(data: bytes) -> dict[int, object]:
    with Image.open(io.BytesIO(data)) as image:
        return dict(image.getexif())


def turned(data: bytes, value: int) -> bytes:
    """The patched file, once what must hold of any patch does."""
    patch = plan(Format.PNG, data, value)
    after = patch.apply(data)
    assert patch.inverse().apply(after) == data
    assert png_webp_tiff_files.pixels(after) == png_webp_tiff_files.pixels(data)
    assert stored_orientation(Format.PNG, after) == tags(after)[0x112] == value
    assert plan(Format.PNG, after, value) == Patch(())
    return after


@pytest.mark.parametrize("place", [behind_header, before_end])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("kind", KINDS)
def test_exif_that_tells_no_turn_moves_to_its_own_chunk(kind, key, place):
    for told in (None, 0, 1, 9):
        for value in range(1, 9):
            data = place(raw(told, kind, key), png_chunk(b"tEXt", b"Comment\0hello"))
            chunks, _ = png_webp_tiff_files.split_png(turned(data, value))
            old, _ = png_webp_tiff_files.split_png(data)
            assert [chunk for chunk in chunks if chunk[0] != b"eXIf"] == [chunk for chunk in old if key not in chunk[1]]
            assert chunks[1] == (b"eXIf", chunks[1][1])
            if told is not None:
                assert chunks[1][1] == jpeg_files.tiff(recipe(value))


@pytest.mark.parametrize("options", [{"name": b"generic profile"}, {"name": b"APP1"}, {"prefix": False}, {"width": 10**6}])
def test_profiles_of_other_writers_are_read_too(options):
    before = tags(behind_header(raw(None, **options)))
    after = tags(turned(behind_header(raw(None, **options)), 6))
    assert before
    assert after == before | {0x112: 6}


@needs_exiftool
def test_exiftool_sees_no_other_tag_changed(tmp_path):
    files = [behind_header(raw(told, kind, key)) for told in (None, 1) for kind in KINDS for key in KEYS]
    files += [before_end(raw(told), png_chunk(b"tEXt", b"Comment\0which exiftool warns of")) for told in (None, 1)]
    files += [png(Png(exif=recipe(told), others=(raw(other, kind),))) for told, other in BOTH for kind in KINDS]
    files += [
        behind_header(text_chunk(kind, b"XML:com.adobe.xmp", jpeg_files.packet(form, 1))) for kind in KINDS for form in FORMS
    ]
    wrong = behind_header(png_chunk(b"eXIf", jpeg_files.tiff(Recipe(orientations=((SHORT, 6),)))))
    after = [turned(data, 6) for data in files]
    for n, (old, new) in enumerate(zip(files + files[:1], [*after, wrong], strict=True)):
        (tmp_path / f"{n}-old.png").write_bytes(old)
        (tmp_path / f"{n}-new.png").write_bytes(new)
    old_tags, new_tags = ([*read_tags(tmp_path / f"{n}-{age}.png" for n in range(len(files) + 1))] for age in ("old", "new"))
    for n, (old, new) in enumerate(zip(old_tags, new_tags, strict=True)):
        changes = tag_changes(old, new, len((*after, wrong)[n]) - len((files + files[:1])[n]))
        assert (changes == []) == (n < len(files)), (n, changes)
        assert {value.strip('" ') for value in new["EXIF:IFD0:Orientation"]} == {"6"}
        assert {value.strip('" ') for value in new.get("XMP:XMP-tiff:Orientation", ["6"])} == {"6"}


BOTH = [(1, 1), (None, None), (1, 9), (0, 1), (6, 6), (8, 8)]
FORMS = ["no orientation", *(form for form in jpeg_files.XMP_FORMS if form != "no orientation")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("told", "other"), BOTH)
def test_where_both_are_there_both_are_changed(told, other, kind):
    data = png(Png(exif=recipe(told), others=(raw(other, kind, width=40),)))
    for value in range(1, 9):
        (*_, (_, held)) = [chunk for chunk in png_webp_tiff_files.split_png(turned(data, value))[0] if KEYS[0] in chunk[1]]
        with Image.open(io.BytesIO(behind_header(png_chunk(kind[:4], held)))) as image:
            assert image.getexif()[0x112] == value
            assert image.getexif()[0x10F] == tags(data)[0x10F]


PACKET = jpeg_files.packet("element", 1)
BOMB = bytes(2**25)
REFUSED = [
    ("chunk says 6, its own chunk says nothing", behind_header(raw(6))),
    ("chunk says 3, its own chunk says 6", png(Png(exif=recipe(6), others=(raw(3),)))),
    ("chunk says None, its own chunk says 8", png(Png(exif=recipe(8), others=(raw(None),)))),
    ("cannot grow in step", png(Png(exif=recipe(1), others=(raw(None),)))),
    ("cannot grow in step", png(Png(exif=recipe(None), others=(raw(1),)))),
    ("two old text chunks", behind_header(raw(1), raw(1, key=KEYS[1]))),
    (
        "several orientations",
        behind_header(text_chunk(b"zTXt", KEYS[0], profile(jpeg_files.tiff(Recipe(orientations=((SHORT, 1), (LONG, 6))))))),
    ),
    ("viewers disagree", behind_header(raw(1, key=b"RAW PROFILE TYPE EXIF"))),
    ("viewers disagree", behind_header(raw(1, key=b"exif"))),
    ("that is broken", behind_header(text_chunk(b"zTXt", KEYS[0], b"\nexif\n      40\n" + b"00" * 41))),
    ("that is broken", behind_header(text_chunk(b"zTXt", KEYS[0], b"\nexif\n       2\n4d4d0"))),
    ("that is broken", behind_header(text_chunk(b"zTXt", KEYS[0], profile(jpeg_files.tiff(recipe(1)))[:-9]))),
    ("that is broken", behind_header(text_chunk(b"zTXt", KEYS[0], b"nonsense"))),
    ("that is broken", behind_header(png_chunk(b"iTXt", KEYS[0] + b"\0\0\0en\0\0" + profile(jpeg_files.tiff(recipe(1)))))),
    ("stands in a chunk that is broken", behind_header(png_chunk(b"zTXt", KEYS[0] + b"\0\1x"))),
    ("cut short, or too long", behind_header(text_chunk(b"zTXt", KEYS[0], BOMB))),
    ("cut short, or too long", behind_header(text_chunk(b"zTXt", b"XML:com.adobe.xmp", BOMB))),
    ("does not start with a TIFF header", behind_header(text_chunk(b"zTXt", KEYS[0], profile(b"nonsense")))),
    ("EXIF says nothing, XMP says 8", behind_header(raw_xmp(8, b"zTXt"))),
    ("that is broken", behind_header(text_chunk(b"zTXt", b"Raw profile type xmp", b"\nxmp\n       2\n4d4d0"))),
    ("EXIF says nothing, XMP says 8", behind_header(text_chunk(b"zTXt", b"XML:com.adobe.xmp", jpeg_files.packet("element", 8)))),
    ("iDOT", behind_header(png_chunk(b"iDOT", bytes(28)), raw(1))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[f"{n}-{reason}" for n, (reason, _) in enumerate(REFUSED)])
def test_refused(reason, data):
    assert reason in refusal(data)


def test_other_profiles_are_no_hindrance():
    names = [b"Raw profile type iptc", b"Raw profile type icc", b"Raw profile type 8bim"]
    silent = profile(jpeg_files.packet("no orientation", 1), b"xmp", prefix=False)
    texts = [text_chunk(b"zTXt", name, b"\niptc\n       1\nff\n") for name in names]
    texts += [text_chunk(kind, b"Raw profile type xmp", silent) for kind in KINDS]
    data = behind_header(*texts)
    assert turned(data, 6) == turned(BARE, 6)[: HEADER_END + 38] + data[HEADER_END:]


@pytest.mark.parametrize("put", [behind_header, before_end])
@pytest.mark.parametrize("kind", KINDS)
def test_xmp_in_a_raw_profile_is_kept_in_step(kind, put):
    for start, key in ((b"", b"Raw profile type xmp"), (b"http://ns.adobe.com/xap/1.0/\0", b"Raw profile type APP1")):
        data = put(raw_xmp(1, kind, start, key))
        after = turned(data, 6)
        assert texts(after) == texts(put(raw_xmp(6, kind, start, key))) != texts(data)
        assert texts(plan(Format.PNG, after, 1).apply(after)) == texts(data)
        names = [[name for name, _ in png_webp_tiff_files.split_png(each)[0] if name != b"eXIf"] for each in (data, after)]
        assert names[0] == names[1]


def texts(data: bytes) -> dict[str, str]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return dict(image.text)


@needs_exiftool
def test_exiftool_reads_the_xmp_of_a_raw_profile_as_it_shall_be(tmp_path):
    for number, kind in enumerate((b"tEXt", b"zTXt")):
        paths = [tmp_path / f"{when}-{number}.png" for when in ("before", "after")]
        paths[0].write_bytes(behind_header(raw_xmp(1, kind)))
        paths[1].write_bytes(turned(paths[0].read_bytes(), 6))
        before, after = read_tags(paths)
        assert tag_changes(before, after, paths[1].stat().st_size - paths[0].stat().st_size) == []
        assert after["XMP:XMP-tiff:Orientation"] == {"6": 1}


@given(values, st.sampled_from(KINDS), st.binary(max_size=20), st.integers(0, 300), st.sampled_from([None, 1]))
def test_damaged_texts_are_refused_or_moved_without_a_change_of_pixels(value, kind, noise, place, told):
    text = profile(jpeg_files.tiff(recipe(told)))
    data = behind_header(text_chunk(kind, KEYS[0], text[:place] + noise + text[place + len(noise) :]))
    png_webp_tiff_files.judge_damaged(data, value)


@pytest.mark.parametrize("told", [None, 1])
def test_the_text_is_changed_as_little_as_may_be(told):
    data = png(Png(exif=recipe(told), others=(text_chunk(b"tEXt", KEYS[0], profile(jpeg_files.tiff(recipe(told)))),)))
    after = turned(data, 6)
    old, new = (next(body for _, body in png_webp_tiff_files.split_png(each)[0] if KEYS[0] in body) for each in (data, after))
    if told:
        assert len(old) == len(new)
        assert sum(a != b for a, b in zip(old, new, strict=True)) == 1
    else:
        assert old.split(b"\n")[1] == new.split(b"\n")[1]
        assert int(new.split(b"\n")[2]) > int(old.split(b"\n")[2])
    assert Counter(name for name, _ in png_webp_tiff_files.split_png(data)[0]) == Counter(
        name for name, _ in png_webp_tiff_files.split_png(after)[0]
    )


@pytest.mark.skipif(not CASES.is_dir(), reason="the corpus is not here")
@pytest.mark.parametrize("name", ["png_rawprofile_no_orientation.png", "png_rawprofile_1.png", "png_big_ztxt.png"])
def test_the_cases_of_the_corpus_are_written(name):
    data = (CASES / name).read_bytes()
    for value in range(1, 9):
        patch = plan(Format.PNG, data, value)
        assert patch.inverse().apply(patch.apply(data)) == data
        assert second_reader(patch.apply(data)) == value
