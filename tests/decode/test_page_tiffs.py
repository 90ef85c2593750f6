"""TIFFs of pages are copied sample for sample: in 16 bits a color, in either byte order; as they are if nothing is turned."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin
from support.drawn_pages import lying, page

from orientd.decode import deep_tiffs, page_files, page_tags, page_tiffs
from orientd.decode.page_changes import Changes
from orientd.decode.skew import SIDE, find_skew
from orientd.errors import DecodeError
from orientd.reasons import Reason
from orientd.records import Format

ORDERS = pytest.mark.parametrize("order", ["little", "big"])
LAYOUTS = pytest.mark.parametrize("packing", ["raw", "differences", "tiles"])


def colored(bits=16, each=3):
    """Samples of a page, of which the lower bits count."""
    gray = np.asarray(page()).astype(np.uint16) * (250 if bits == 16 else 1)
    low = np.random.default_rng(3).integers(0, 250, (*gray.shape, each), dtype=np.uint16)
    return gray[..., None] + low


def deep(pixels, order, packing="raw", photometric=2):
    """A TIFF of them: as they are, in squares, or packed as differences."""
    height, width, each = pixels.shape
    said = {256: [width], 257: [height], 258: [16] * each, 262: [photometric], 277: [each], 259: [1]}
    tags = {tag: page_tags.numbers(order, values, 3) for tag, values in said.items()}
    if packing != "tiles":
        compression = page_tags.number(order, 1 if packing == "raw" else 5, 3)
        return written(order, *deep_tiffs.packed(pixels, order, tags | {259: compression}))
    padded = np.pad(pixels, ((0, -height % 256), (0, -width % 256), (0, 0))).astype("<u2" if order == "little" else ">u2")
    squares = [padded[y : y + 256, x : x + 256].tobytes() for y in range(0, height, 256) for x in range(0, width, 256)]
    side = page_tags.number(order, 256)
    return written(order, tags | {322: side, 323: side}, page_tags.Pieces(squares, tiled=True))


def written(order, tags, pieces):
    page_tags.Writer(out := BytesIO(), order).add(tags, pieces)
    return out.getvalue()


def copied(data, turn, page=0):
    page_files.write(Format.TIFF, data, Changes({page: turn}), out := BytesIO(), 10**8)
    return out.getvalue()


def samples(data):
    return deep_tiffs.samples(TiffImagePlugin.TiffImageFile(BytesIO(data)))


@ORDERS
@LAYOUTS
def test_a_quarter_turn_keeps_all_bits_of_a_color(order, packing):
    pixels = colored()
    data = deep(pixels, order, packing)
    assert np.array_equal(samples(data), pixels)
    assert np.array_equal(samples(copied(data, (90, 0.0))), np.rot90(pixels, -1))
    seen = np.asarray(Image.open(BytesIO(copied(data, (90, 0.0)))))
    assert np.array_equal(seen, np.rot90(pixels >> 8, -1))


@ORDERS
@pytest.mark.parametrize("photometric", [2, 5], ids=["light", "inks"])
def test_straightened_it_has_16_bits_on_its_own_paper(order, photometric):
    each = 3 if photometric == 2 else 4
    levels = np.asarray(lying(page(), 6)).astype(np.uint16) * 250
    pixels = np.stack([levels + 7] * each, axis=-1)
    pixels = pixels if photometric == 2 else ~pixels
    made = samples(copied(deep(pixels, order, photometric=photometric), (0, 6.0)))
    made = made if photometric == 2 else ~made
    assert made.shape[2] == each
    assert abs(int(made[2, 2, 1]) - int(np.median(pixels[..., 1] if photometric == 2 else ~pixels[..., 1]))) < 3
    picture = Image.fromarray((made[..., 0] >> 8).astype(np.uint8))
    picture.thumbnail((SIDE, SIDE))
    assert find_skew(np.asarray(picture)).angle == pytest.approx(0, abs=0.1)


def test_colors_that_nobody_unpacks_in_full_are_named():
    height, width, _ = colored().shape
    said = {256: [width], 257: [height], 258: [16] * 3, 262: [2], 277: [3], 284: [2]}
    tags = {tag: page_tags.numbers("little", values, 3) for tag, values in said.items()}
    data = written("little", tags, page_tags.Pieces([bytes(2 * width * height)] * 3))
    with pytest.raises(DecodeError, match="more than 8 bits") as told:
        copied(data, (90, 0.0))
    assert told.value.code is Reason.UNSUPPORTED


def several(**options):
    """Two pages, the second of which is to be turned."""
    sheets = [page(seed=1).convert("RGB"), lying(page(seed=2), 180).convert("RGB")]
    sheets[0].save(out := BytesIO(), "TIFF", save_all=True, append_images=sheets[1:], **options)
    return out.getvalue()


@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "packbits", None])
def test_a_page_that_is_not_turned_keeps_every_byte(compression):
    data = several(compression=compression)
    after = copied(data, (180, 0.0), page=1)
    kept = [b"".join(page_tags.pieces(TiffImagePlugin.TiffImageFile(BytesIO(each))).data) for each in (data, after)]
    assert kept[0] == kept[1]
    frames = [Image.open(BytesIO(each)) for each in (data, after)]
    assert frames[1].n_frames == 2
    assert frames[0].info["compression"] == frames[1].info["compression"]
    assert np.array_equal(np.asarray(frames[0]), np.asarray(frames[1]))


def test_a_page_that_is_cut_short_is_named():
    data = several()
    image = TiffImagePlugin.TiffImageFile(BytesIO(data))
    place = image.tag_v2[273][-1]
    cut = data.replace(place.to_bytes(4, "little"), (len(data) - 3).to_bytes(4, "little"))
    assert cut != data
    with pytest.raises(DecodeError) as told:
        copied(cut, (180, 0.0), page=1)
    assert told.value.code in (Reason.DAMAGED, Reason.UNDECODABLE)


def test_a_large_tiff_is_copied_as_a_usual_one():
    sheets = [page(seed=1), lying(page(seed=2), 180)]
    sheets[0].save(out := BytesIO(), "TIFF", save_all=True, append_images=sheets[1:], big_tiff=True, description="ledger")
    assert out.getvalue()[:4] == b"II+\0"
    after = Image.open(BytesIO(copied(out.getvalue(), (180, 0.0), page=1)))
    assert after.tag_v2[270] == "ledger"
    assert np.array_equal(np.asarray(after), np.asarray(sheets[0]))
    after.seek(1)
    assert np.array_equal(np.asarray(after), np.asarray(page(seed=2)))


def test_a_page_that_cannot_be_judged_is_not_called_damaged_for_how_the_first_is_stored():
    sheets = [page(), Image.new("F", (100, 100))]
    sheets[0].save(out := BytesIO(), "TIFF", save_all=True, append_images=sheets[1:], compression="tiff_lzw")
    pages = page_tiffs.TiffPages(out.getvalue(), [0, 1])
    with pytest.raises(DecodeError, match="32 bits") as told:
        pages.levels(1, SIDE, 10**8)
    assert told.value.code is Reason.UNSUPPORTED
