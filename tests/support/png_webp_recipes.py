"""Strategies of hypothesis for PNGs and WebPs that can be patched."""

from hypothesis import strategies as st
from support import jpeg_files
from support.jpeg_files import LONG, SHORT, Recipe
from support.png_webp_tiff_files import Png, Webp, png_chunk

WEBP_KINDS = ("lossy", "lossless", "alpha", "lossless alpha")
PNG_TEXTS = (png_chunk(b"gAMA", (45455).to_bytes(4, "big")), png_chunk(b"tEXt", b"Comment\0hello"), png_chunk(b"myNo", b""))

values = st.integers(1, 8)


@st.composite
def blocks(draw, value: int | None) -> Recipe:
    """An EXIF block that stores `value`, perhaps twice, or nothing."""
    types = st.lists(st.sampled_from([SHORT, LONG]), min_size=1, max_size=2)
    return Recipe(
        order=draw(st.sampled_from(["little", "big"])),
        orientations=() if value is None else tuple((type_, value) for type_ in draw(types)),
        thumbnail=draw(st.booleans()),
        thumbnail_orientation=draw(st.none() | values),
        maker_note=draw(st.booleans()),
        odd=draw(st.booleans()),
    )


@st.composite
def pngs(draw) -> Png:
    value = draw(st.none() | st.integers(0, 9))
    return Png(
        exif=draw(blocks(value)) if value is not None else draw(st.none() | blocks(None)),
        prefix=draw(st.booleans()),
        late=draw(st.booleans()),
        xmp=draw(st.sampled_from(["", *jpeg_files.XMP_FORMS])),
        xmp_value=1 if value is None else value,
        xmp_late=draw(st.booleans()),
        palette=draw(st.booleans()),
        parts=draw(st.integers(1, 4)),
        others=tuple(draw(st.permutations(PNG_TEXTS))[: draw(st.integers(0, 3))]),
        trailer=draw(st.sampled_from([b"", b"\0" * 40, b"left behind"])),
    )


@st.composite
def webps(draw) -> Webp:
    value = draw(st.none() | st.integers(0, 9))
    return Webp(
        kind=draw(st.sampled_from(WEBP_KINDS)),
        exif=draw(blocks(value)) if value is not None else draw(st.none() | blocks(None)),
        prefix=draw(st.booleans()),
        xmp=draw(st.sampled_from(["", *jpeg_files.XMP_FORMS])),
        xmp_value=1 if value is None else value,
        xmp_first=draw(st.booleans()),
        profile=draw(st.binary(max_size=3)),
        unknown=draw(st.binary(max_size=3)),
        trailer=draw(st.sampled_from([b"", b"\0" * 41, b"left behind"])),
    )
