import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import jpeg_files, png_webp_tiff_files
from support.jpeg_files import LONG, SHORT, Recipe
from support.png_webp_recipes import PNG_TEXTS, values
from support.png_webp_tiff_files import Png, check_patch, judge_damaged, png, png_changes, png_chunk, png_xmp

from orientd.errors import Refused
from orientd.formats import plan, stored_orientation
from orientd.records import Format

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
BARE = png(Png())
HEADER_END = 8 + 25
IDOT = png_chunk(b"iDOT", bytes(28))


def refusal(data: bytes, orientation: int = 6) -> str:
    with pytest.raises(Refused) as caught:
        plan(Format.PNG, data, orientation)
    return str(caught.value)


def behind_header(*added: bytes, data: bytes = BARE) -> bytes:
    return data[:HEADER_END] + b"".join(added) + data[HEADER_END:]


def test_the_comparator_finds_a_changed_byte_anywhere():
    good = png(Png(exif=Recipe(maker_note=True), xmp="element", others=PNG_TEXTS, trailer=b"end"))
    chunks, trailer = png_webp_tiff_files.split_png(good)
    rebuilt = good[:8] + b"".join(png_chunk(*chunk) for chunk in chunks) + trailer
    assert rebuilt == good
    assert png_changes(good, good) == []
    for number, (name, body) in enumerate(chunks):
        for place in {0, len(body) // 2, len(body) - 1} if body else ():
            wrong = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            bad = [*chunks[:number], (name, wrong), *chunks[number + 1 :]]
            assert png_changes(good, good[:8] + b"".join(png_chunk(*chunk) for chunk in bad) + trailer), name
        fewer = chunks[:number] + chunks[number + 1 :]
        if name != b"IEND":
            assert png_changes(good, good[:8] + b"".join(png_chunk(*chunk) for chunk in fewer) + trailer), name
    assert png_changes(good, good + b"x")
    with pytest.raises(AssertionError, match="checksum"):
        png_changes(good, good[:-4] + b"oops")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_fresh_chunk_stands_right_behind_the_header(orientation):
    after = check_patch(BARE, orientation).apply(BARE)
    chunk = after[HEADER_END : HEADER_END + 38]
    assert chunk[4:8] == b"eXIf"
    assert after == BARE[:HEADER_END] + chunk + BARE[HEADER_END:]


@pytest.mark.parametrize("prefix", [True, False])
def test_a_chunk_behind_the_picture_is_brought_forward_where_every_program_looks(prefix):
    for orientations in (((SHORT, 3),), ()):
        data = png(Png(exif=Recipe(orientations=orientations), late=True, prefix=prefix, others=PNG_TEXTS, trailer=b"end"))
        assert stored_orientation(Format.PNG, data) == (3 if orientations else None)
        after = check_patch(data, 6).apply(data)
        names = [name for name, _ in png_webp_tiff_files.split_png(after)[0]]
        assert names == [b"IHDR", b"eXIf", b"gAMA", b"tEXt", b"myNo", b"IDAT", b"IEND"]


def test_a_chunk_behind_the_picture_stays_there_where_it_says_so_already_or_is_to_tell_no_turn():
    data = png(Png(exif=Recipe(orientations=((SHORT, 6),)), late=True))
    assert plan(Format.PNG, data, 6).splices == ()
    assert data.index(b"IDAT") < check_patch(data, 1).splices[0].offset


def test_bytes_behind_the_end_stay_as_they_are():
    assert check_patch(BARE + b"a film", 6).apply(BARE + b"a film").endswith(b"a film")
    assert "AFCP" in refusal(BARE + b"AXS!" + bytes(40))
    in_place = png(Png(exif=Recipe(), trailer=b"AXS!" + bytes(40)))
    assert check_patch(in_place, 6).keeps_length
    check_patch(png(Png(exif=Recipe(), trailer=b"AXS!" + bytes(40), late=True)), 6)
    assert "AFCP" in refusal(png(Png(exif=Recipe(orientations=()), trailer=b"AXS!" + bytes(40), late=True)))


def test_what_idot_counts_does_not_grow():
    """The offsets in it count from the chunk itself to picture data behind it."""
    lacking, late = Png(exif=Recipe(orientations=())), Png(exif=Recipe(orientations=()), late=True)
    assert "iDOT" in refusal(behind_header(IDOT, data=png(lacking)))
    for data in (behind_header(IDOT), behind_header(IDOT, data=png(Png(exif=Recipe()))), behind_header(IDOT, data=png(late))):
        after = check_patch(data, 6).apply(data)
        start = data.index(b"iDOT")
        end = data.rindex(b"IDAT")
        shift = after.index(b"iDOT") - start
        assert after.rindex(b"IDAT") - end == shift


def test_compressed_xmp_is_left_alone_unless_it_stores_an_orientation():
    silent = behind_header(png_xmp(jpeg_files.packet("no orientation", 1), compressed=True))
    check_patch(silent, 6)
    told = behind_header(png_xmp(jpeg_files.packet("element", 1), compressed=True))
    assert plan(Format.PNG, told, 6).apply(told) == check_patch(BARE, 6).apply(BARE)[: HEADER_END + 38] + b"".join(
        [png_chunk(b"iTXt", PACKED_HEAD + zlib.compress(jpeg_files.packet("element", 6), 9)), BARE[HEADER_END:]]
    )


PACKED_HEAD = b"XML:com.adobe.xmp\0\1\0\0\0"
EXIF = png_chunk(b"eXIf", jpeg_files.tiff(Recipe()))
PACKET = jpeg_files.packet("element", 1)
IDAT = BARE.index(b"IDAT") - 4
IEND = BARE.index(b"IEND") - 4
BOMB = zlib.compress(b"tiff:Orientation" + bytes(2**25))

REFUSED = [
    ("not a PNG", b"\xff\xd8\xff"),
    ("does not start with IHDR", BARE[:8] + png_chunk(b"CgBI", bytes(4)) + BARE[8:]),
    ("has two", behind_header(BARE[8:HEADER_END])),
    ("cut short", BARE[:-1]),
    ("cut short", BARE[:IEND] + b"more"),
    ("cut short", BARE[:IDAT]),
    ("cut short", BARE[:IDAT] + b"\xff\xff\xff\xff" + BARE[IDAT + 4 :]),
    ("checksum of the chunk at byte 8 ", BARE[: HEADER_END - 1] + b"!" + BARE[HEADER_END:]),
    (f"checksum of the chunk at byte {IEND} ", BARE[:-1] + b"!"),
    ("two EXIF chunks", behind_header(EXIF, EXIF)),
    ("animated", behind_header(png_chunk(b"acTL", bytes(8)))),
    ("animated", behind_header(png_chunk(b"fcTL", bytes(26)))),
    ("content credentials", behind_header(png_chunk(b"caBX", b"jumb"))),
    ("few programs read", behind_header(png_chunk(b"zxIf", b"\0"))),
    ("its picture is missing", BARE[:IDAT] + BARE[IEND:]),
    ("chunks stand within it", BARE[:IEND] + png_chunk(b"tEXt", b"a\0b") + png_chunk(b"IDAT") + BARE[IEND:]),
    ("'Raw profile type exif'", behind_header(png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n0\n")))),
    ("'Raw profile type APP1'", behind_header(png_chunk(b"tEXt", b"Raw profile type APP1\0x"))),
    ("'exif'", behind_header(png_chunk(b"zTXt", b"exif\0\0" + zlib.compress(jpeg_files.tiff(Recipe()))))),
    ("chunk that is broken", behind_header(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\2\0\0\0" + PACKET))),
    ("broken XMP: Error", behind_header(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + PACKET))),
    ("cut short, or too long", behind_header(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(PACKET)[:-9]))),
    ("cut short, or too long", behind_header(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB))),
    ("EXIF says 3, XMP says 1", png(Png(exif=Recipe(orientations=((SHORT, 3),)), xmp="element"))),
    ("EXIF says nothing, XMP says 8", png(Png(xmp="attribute", xmp_value=8))),
    ("several orientations", png(Png(exif=Recipe(orientations=((SHORT, 1), (LONG, 6)))))),
    ("does not start with a TIFF header", behind_header(png_chunk(b"eXIf", b"nonsense"))),
    ("does not start with a TIFF header", behind_header(png_chunk(b"eXIf"))),
    ("points outside its block", behind_header(png_chunk(b"eXIf", jpeg_files.tiff(Recipe())[:12]))),
]


@pytest.mark.parametrize(("reason", "data"), REFUSED, ids=[reason for reason, _ in REFUSED])
def test_refused(reason, data):
    assert reason in refusal(data)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_the_png_of_the_corpus_contradicts_itself():
    data = (CORPUS / "xmp-tags-orientation-exiftool.png").read_bytes()
    assert "viewers disagree" in refusal(data)


@given(st.data(), st.binary(max_size=12), values)
def test_noise_anywhere_is_refused_or_harmless(random, noise, orientation):
    data = png(Png(exif=Recipe(maker_note=True), xmp="element", parts=2))
    place = random.draw(st.integers(0, len(data)))
    judge_damaged(data[:place] + noise + data[place + len(noise) :], orientation)
