"""Image files with their pages turned: in their own format, without loss where that can be, with what else they hold."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin
from support.drawn_pages import jpeg, lying, page

from orientd import formats
from orientd.decode import page_files, page_pictures, page_tags, page_tiffs
from orientd.decode.page_changes import Changes
from orientd.decode.skew import SIDE, find_skew
from orientd.errors import DecodeError, Refused
from orientd.reasons import Reason
from orientd.records import Format

PIXELS = 10**8


def packed(image, format_, **options):
    image.save(out := BytesIO(), format_, **options)
    return out.getvalue()


def written(data, turns, most=PIXELS):
    page_files.write(formats.sniff(data), data, Changes(turns), out := BytesIO(), most)
    return out.getvalue()


def opened(data, frame=0):
    image = Image.open(BytesIO(data))
    image.seek(frame)
    image.load()
    return image


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_a_quarter_turn_loses_nothing(mode, format_):
    image = page(lines=3).resize((80, 50))
    image = Image.fromarray(np.asarray(image).astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
    turned = opened(written(packed(image, format_), {0: (90, 0.0)}))
    assert np.array_equal(np.rot90(np.asarray(image), -1), np.asarray(turned))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_every_mode_can_be_straightened(mode):
    image = lying(page(), 6)
    image = Image.fromarray(np.asarray(image).astype(np.uint16) * 250) if mode == "I;16" else image.convert(mode)
    turned = opened(written(packed(image, "TIFF"), {0: (0, 6.0)}))
    gray = page_pictures.gray(turned)
    gray.thumbnail((SIDE, SIDE))
    assert find_skew(np.asarray(gray)).angle == pytest.approx(0, abs=0.1)
    assert min(turned.size) > min(image.size)
    if mode in ("1", "L", "RGB", "CMYK"):
        assert turned.mode == mode


def test_what_is_new_has_the_color_of_the_paper():
    colored = Image.merge("RGB", [page().point(lambda level, most=most: level * most // 255) for most in (250, 230, 190)])
    turned = np.asarray(opened(written(packed(colored, "PNG"), {0: (0, 20.0)})))
    assert np.abs(turned[2, 2].astype(int) - np.asarray(colored)[2, 2]).max() <= 1


def test_a_jpeg_keeps_its_tables_and_what_is_told_in_it():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "scanner", 1
    told = {"dpi": (200, 200), "comment": b"box 7", "icc_profile": b"a profile", "exif": exif}
    data = jpeg(lying(page(), 3).convert("RGB"), quality=61, subsampling=2, **told)
    before, after = opened(data), opened(written(data, {0: (0, 3.0)}))
    assert after.quantization == before.quantization
    for name in ("dpi", "comment", "icc_profile"):
        assert after.info[name] == before.info[name]
    assert (after.getexif()[0x010F], after.layer, after.mode) == ("scanner", before.layer, "RGB")


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_a_stored_orientation_is_carried_out(format_):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored pixels are shown turned by 90° clockwise
    data = packed(lying(page(), 90).convert("RGB"), format_, exif=exif)
    turned = opened(written(data, {0: (0, 0.5)}))
    assert (turned.height > turned.width, turned.getexif().get(0x0112, 1)) == (True, 1)


def test_a_png_keeps_its_texts_and_resolution():
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "Letter")
    after = opened(written(packed(page(), "PNG", pnginfo=info, dpi=(150, 150)), {0: (0, 2.0)}))
    assert after.text["Title"] == "Letter"
    assert after.info["dpi"] == pytest.approx((150, 150), abs=0.1)


def tiff(*pages, compression="raw"):
    """A TIFF of pictures, each with its own tags."""
    out = BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(out) as writer:
        for picture, tags in pages:
            held = TiffImagePlugin.ImageFileDirectory_v2()
            held.update(tags)
            held.tagtype.update(dict.fromkeys([tag for tag, value in tags.items() if isinstance(value, bytes)], 7))
            picture.save(writer, "TIFF", tiffinfo=held, compression=compression)
            writer.newFrame()
        BytesIO.close(writer)  # or it writes once more when it is collected
    return out.getvalue()


def retyped(data, tag, type_, count):
    """A TIFF whose tag, of so many bytes, states another type."""
    places = [at for at in range(0, len(data) - 8, 2) if struct.unpack_from("<HH", data, at) == (tag, 7)]
    assert places
    out = bytearray(data)
    for at in places:
        struct.pack_into("<HHI", out, at, tag, type_, count)
    return bytes(out)


@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
@pytest.mark.parametrize(("stored", "quarters"), [(1, 90), (6, 0), (6, 270), (3, 180)])
def test_a_resolution_stays_that_of_its_direction(format_, stored, quarters):
    exif = Image.Exif()
    exif[0x0112] = stored
    data = packed(page(), format_, dpi=(204, 98), exif=exif)
    after = opened(written(data, {0: (quarters, 0.0)}))
    assert after.info["dpi"] == pytest.approx((98, 204) if (stored == 6) != (quarters in (90, 270)) else (204, 98), abs=0.1)


@pytest.mark.parametrize("format_", ["JPEG", "WEBP"])
def test_xmp_is_kept(format_):
    said = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">box 7</x:xmpmeta>'
    after = opened(written(packed(page().convert("RGB"), format_, xmp=said), {0: (0, 2.0)}))
    assert after.info["xmp"] == said


class TestTiff:
    @pytest.fixture
    def data(self):
        pages = [page(seed=seed).convert("1") for seed in range(3)]
        told = {"compression": "group4", "dpi": (300, 300), "description": "ledger"}
        return packed(pages[0], "TIFF", save_all=True, append_images=pages[1:], **told)

    def test_only_what_is_to_be_turned_is(self, data):
        assert len(page_files.frames(Format.TIFF, data)) == 3
        after = written(data, {1: (180, 0.0)})
        assert len(page_files.frames(Format.TIFF, after)) == 3
        for frame in range(3):
            before = np.asarray(opened(data, frame))
            assert np.array_equal(np.rot90(before, 2) if frame == 1 else before, np.asarray(opened(after, frame)))

    def test_it_is_packed_as_it_was(self, data):
        after = opened(written(data, {1: (0, 3.0)}), 1)
        assert (after.info["compression"], after.mode, after.info["dpi"]) == ("group4", "1", (300, 300))
        assert opened(written(data, {1: (0, 3.0)})).tag_v2[270] == "ledger"

    def test_what_one_page_says_of_itself_is_not_said_of_another(self):
        told = [(page().convert("RGB"), {34675: b"a profile of RGB", 282: 300, 283: 300, 296: 2}), (page(seed=1), {})]
        data = tiff(*told)
        for turns in ({}, {0: (90, 0.0), 1: (90, 0.0)}, {1: (0, 3.0)}):
            for frame, (_, tags) in enumerate(told):
                after = opened(written(data, turns), frame)
                assert {tag: after.tag_v2[tag] for tag in (34675, 282, 283, 296) if tag in after.tag_v2} == tags, (turns, frame)

    def test_a_resolution_stays_that_of_its_direction(self):
        told = {282: 204, 283: 98, 296: 3}
        after = written(tiff((page(), told), (page(), told), (page(), told | {274: 6})), {1: (90, 0.0)})
        seen = [[opened(after, frame).tag_v2[tag] for tag in (282, 283, 296)] for frame in range(3)]
        assert seen == [[204, 98, 3], [98, 204, 3], [98, 204, 3]]

    @pytest.mark.parametrize("turn", [(90, 0.0), (0, 3.0)])
    def test_pages_of_16_bits_in_the_other_byte_order_can_be_turned(self, turn):
        levels = (np.asarray(page()) * np.uint16(250)).astype(">u2")
        sheets = Image.fromarray(levels), Image.fromarray(levels[::-1].copy())
        assert sheets[0].mode == "I;16B"
        after = written(tiff((sheets[0], {}), (sheets[1], {})), {0: turn})
        assert np.array_equal(np.asarray(opened(after, 1)), levels[::-1])
        assert opened(after).size == opened(written(packed(Image.fromarray(levels.astype("<u2")), "TIFF"), {0: turn})).size

    @pytest.mark.parametrize("tags", [{}, {274: 6}])
    def test_an_orientation_in_xmp_alone_is_not_obeyed(self, tags):
        """As by what judges a TIFF of one page."""
        data = tiff((page(), tags | {700: b'<x tiff:Orientation="8"/>'}))
        after = opened(written(data, {0: (180, 0.0)}))
        assert np.array_equal(np.asarray(after), np.rot90(np.asarray(page()), 2 - bool(tags)))
        height, width = page_tiffs.TiffPages(data, [0]).levels(0, SIDE, PIXELS).shape
        assert (height > width) == (after.height > after.width)

    def test_a_copy_that_no_tiff_can_hold_is_refused(self, data, monkeypatch):
        monkeypatch.setattr(page_tags, "_MOST_BYTES", len(data) // 2)
        with pytest.raises(Refused, match="split it") as told:
            written(data, {1: (0, 3.0)})
        assert told.value.code is Reason.TOO_LARGE

    def test_smaller_copies_are_no_pages(self):
        small = Image.new("L", (20, 20))
        small.encoderinfo = {"tiffinfo": {254: 1}}
        data = packed(page(), "TIFF", save_all=True, append_images=[small])
        assert len(page_files.frames(Format.TIFF, data)) == 1

    @pytest.mark.parametrize(("type_", "count"), [(1, 16), (4, 4), (7, 16)])
    def test_its_caption_is_kept_in_whatever_type_it_is_stored(self, type_, count):
        """Photoshop, for one, states IPTC as numbers of 32 bits."""
        said = b"\x1c\x02x\0\x0bin the mill"
        data = retyped(tiff((page(), {33723: said}), (page(seed=1), {33723: said})), 33723, type_, count)
        after = written(data, {1: (90, 0.0)})
        assert [opened(after, frame).tag_v2[33723] for frame in range(2)] == [said, said]

    def test_tags_that_libtiff_does_not_take_are_no_reason_against_a_copy(self):
        """Such as several signed fractions, which the fax server of Windows writes."""
        sheets = [page(seed=seed).convert("1") for seed in range(2)]
        tags = {305: "a fax server", 40051: b"\1\0\0\0" * 16}
        data = retyped(tiff(*[(sheet, tags) for sheet in sheets], compression="group4"), 40051, 10, 8)
        after = written(data, {1: (180, 0.0)})
        for frame, sheet in enumerate(sheets):
            assert np.array_equal(np.asarray(opened(after, frame)), np.rot90(np.asarray(sheet), 2 * frame))
            assert opened(after, frame).tag_v2[305] == "a fax server"

    def test_a_file_is_no_less_than_one_page(self):
        data = tiff((page(), {254: 1}))
        assert page_files.frames(Format.TIFF, data) == [0]
        assert np.array_equal(np.asarray(opened(written(data, {0: (180, 0.0)}))), np.rot90(np.asarray(page()), 2))

    def test_its_levels_are_those_of_the_page(self, data):
        assert page_tiffs.TiffPages(data, page_files.frames(Format.TIFF, data)).levels(2, SIDE, PIXELS).shape[0] == SIDE


@pytest.mark.parametrize("format_", ["BMP", "GIF"])
def test_others_become_png(format_):
    data = packed(page().convert("L"), format_)
    assert page_files.SUFFIXES[formats.sniff(data)] == ".png"
    assert opened(written(data, {0: (0, 2.0)})).format == "PNG"


@pytest.mark.parametrize("data", [packed(page(), "PNG"), packed(page(), "TIFF")], ids=["png", "tiff"])
def test_what_is_too_large_is_told(data):
    with pytest.raises(DecodeError) as told:
        written(data, {0: (0, 2.0)}, most=1000)
    assert told.value.code is Reason.TOO_LARGE


@pytest.mark.parametrize("data", [packed(page(), "PNG"), packed(page(), "TIFF"), jpeg(page())], ids=["png", "tiff", "jpeg"])
def test_what_is_cut_short_is_told(data):
    with pytest.raises(DecodeError) as told:
        written(data[: len(data) // 2], {0: (0, 2.0)})
    assert told.value.code in (Reason.DAMAGED, Reason.UNDECODABLE)


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF"])
def test_an_animation_is_refused_and_a_still_picture_is_one_page(format_):
    pictures = [page(seed=seed).resize((80, 100)) for seed in range(2)]
    still, moving = packed(pictures[0], format_), packed(pictures[0], format_, save_all=True, append_images=pictures[1:])
    assert page_files.frames(Format[format_], still) == [0]
    with pytest.raises(Refused, match="2 pictures") as told:
        page_files.frames(Format[format_], moving)
    assert told.value.code is Reason.SEVERAL_PICTURES


def test_a_tiff_is_gone_through_once(monkeypatch):
    pictures = [page(lines=2, seed=seed).resize((80, 100)) for seed in range(12)]
    data = packed(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])
    seeks, seek = [], TiffImagePlugin.TiffImageFile._seek
    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "_seek", lambda self, frame: (seeks.append(frame), seek(self, frame))[1])
    pages = page_tiffs.TiffPages(data, page_files.frames(Format.TIFF, data))
    for number, picture in enumerate(pictures):
        assert np.array_equal(pages.levels(number, SIDE, PIXELS), np.asarray(picture))
    assert len(seeks) <= 3 * len(pictures)
