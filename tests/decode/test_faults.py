"""What is said of photos that do not decode, and texts in a PNG, which are no reason for that."""

import io
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.decodable_photos import SIZE, photo, scene, store
from support.png_webp_tiff_files import Png, png, png_chunk

from orientd.decode import faults, lossless
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.errors import DecodeError
from orientd.formats import sniff
from orientd.reasons import Reason
from orientd.records import Format

CASES = Path(__file__).parents[3] / "shared" / "corpus" / "cases"
BARE = png(Png())
LONG = zlib.compress(bytes(3 * 2**20))
BOMB = zlib.compress(bytes(2**28), 9)

TEXTS = {
    "zTXt": png_chunk(b"zTXt", b"Comment\0\0" + LONG),
    "iTXt": png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + LONG),
    "iCCP": png_chunk(b"iCCP", b"profile\0\0" + LONG),
    "many": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2**20 - 1))) * 65,
    "plain": png_chunk(b"tEXt", b"Comment\0" + b"x" * (65 * 2**20)),
    "method": png_chunk(b"zTXt", b"Comment\0\7nothing"),
    "method of a profile": png_chunk(b"iCCP", b"profile\0\7nothing"),
    "bomb": png_chunk(b"zTXt", b"Comment\0\0" + BOMB) * 9 + png_chunk(b"iCCP", b"profile\0\0" + BOMB),
    "short": png_chunk(b"cHRM", b"\0"),
}


def reason(data: bytes, kind: Format | None = None) -> str:
    with pytest.raises(DecodeError) as caught:
        CpuDecoder(SIZE).decode(photo(data, kind or sniff(data)))
    return str(caught.value)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("late", [False, True])
def test_no_text_of_a_png_hinders_decoding(name, late):
    place = len(BARE) - 12 if late else 33
    data = BARE[:place] + TEXTS[name] + BARE[place:]
    if name in ("zTXt", "iTXt", "iCCP", "many"):
        with pytest.raises(ValueError, match=r"too large|Too much"), Image.open(io.BytesIO(data)) as image:
            image.load()
    assert np.array_equal(CpuDecoder(SIZE).decode(photo(data)).pixels, CpuDecoder(SIZE).decode(photo(BARE)).pixels)
    assert np.array_equal(lossless.pixels(Format.PNG, data), lossless.pixels(Format.PNG, BARE))
    assert second_reader(data) is None


@pytest.mark.alone
def test_a_bomb_in_a_text_takes_no_memory(tmp_path):
    data = BARE[:33] + TEXTS["bomb"] + BARE[33:]
    CpuDecoder(SIZE).decode(photo(BARE))
    tracemalloc.start()
    CpuDecoder(SIZE).decode(photo(data))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < len(data) + 2**21


def test_threads_do_not_share_what_is_left_out():
    files = [photo(BARE[:33] + TEXTS["zTXt"] + BARE[33:]), photo(BARE), photo(store("png"))] * 8
    decoder = CpuDecoder(SIZE)
    expected = [decoder.decode(file).pixels for file in files[:3]]
    with ThreadPoolExecutor(4) as pool:
        for number, picture in enumerate(pool.map(decoder.decode, files)):
            assert np.array_equal(picture.pixels, expected[number % 3])


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, metadata=None, software=None, **options)
    return out.getvalue()


def ramp(dtype: str, channels: int = 3) -> np.ndarray:
    return np.arange(16 * 16 * channels).reshape(16, 16, channels).astype(dtype)


def with_number(data: bytes, tag: int, number: int) -> bytes:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        place = file.pages[0].tags[tag].valueoffset
    return data[:place] + number.to_bytes(2, "little") + data[place + 2 :]


KINDS = {
    "gray, 1 channels, 32 bits, floating point, not compressed": tiff(ramp("f4", 1)[:, :, 0]),
    "gray, 1 channels, 16 bits, signed, not compressed": tiff(ramp("i2", 1)[:, :, 0]),
    "RGB, 3 channels, 32 bits, floating point, not compressed": tiff(ramp("f4"), photometric="rgb"),
    "RGB, 3 channels, 32 bits, Deflate": tiff(ramp("u4"), photometric="rgb", compression="zlib"),
    "CMYK, 5 channels, 8 bits, not compressed": tiff(ramp("u1", 5), photometric="separated", extrasamples=[2]),
    "RGB, 3 channels, 8 bits, compression 50013": with_number(tiff(ramp("u1"), photometric="rgb"), 0x103, 50013),
    "color filter array, 3 channels, 8 bits, not compressed": with_number(tiff(ramp("u1"), photometric="rgb"), 0x106, 32803),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_tiff_of_a_kind_that_is_not_supported_is_told_to_be_that(kind):
    assert reason(KINDS[kind], Format.TIFF) == f"this kind of TIFF is not supported ({kind}): turn it by hand if it needs it"


@pytest.mark.parametrize("mode", ["CMYK", "La"])
def test_cmyk_and_gray_with_premultiplied_alpha_are_decoded(mode):
    image = Image.fromarray(scene())
    if mode == "La":
        data = tiff(np.dstack([np.asarray(image.convert("L")), np.full(image.size[::-1], 255, np.uint8)]), extrasamples=[1])
    else:
        image.convert("CMYK").save(out := io.BytesIO(), "TIFF")
        data = out.getvalue()
    pixels = CpuDecoder(SIZE).decode(photo(data)).pixels.astype(int)
    wanted = np.asarray(image.convert("L" if mode == "La" else "RGB").convert("RGB").resize((SIZE, SIZE))).astype(int)
    assert np.abs(pixels - wanted).mean() < 12


BMP = store("bmp")
RAW_DEFLATE = png_chunk(b"IDAT", zlib.compress(bytes(16 * 73))[2:-4])
UNSUPPORTED = {
    "BMP": (BMP[:28] + (2).to_bytes(2, "little") + BMP[30:], "Unsupported BMP pixel depth"),
    "PNG": (BARE[:8] + png_chunk(b"CgBI", bytes(4)) + BARE[8:33] + RAW_DEFLATE + BARE[-12:], "CgBI"),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_other_formats_say_what_is_not_supported(kind):
    data, what = UNSUPPORTED[kind]
    said = reason(data, Format[kind])
    assert said.startswith(f"this kind of {kind} is not supported ({what}")
    assert "damaged" not in said
    assert "backup" not in said


@pytest.mark.parametrize("name", ["png", "tiff", "tiff-lzw", "bmp", "gif", "webp"])
def test_what_is_cut_short_is_damaged(name):
    image = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    if name == "gif":
        image.save(out := io.BytesIO(), "GIF")
        data = out.getvalue()
    else:
        data = store(name, np.asarray(image))
    said = reason(data[: len(data) * 2 // 3], sniff(data))
    assert said.endswith(": compare it with a backup")
    assert "is damaged (" in said


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        (
            Format.JPEG2000,
            OSError("broken data stream when reading image file"),
            "its JPEG 2000 data cannot be decoded (broken data",
        ),
        (Format.GIF, Image.DecompressionBombError("Image size exceeds limit, could be decompression bomb"), "it is too large"),
        (
            Format.HEIF,
            ValueError("Unsupported feature: Unsupported codec"),
            "this kind of HEIF is not supported (Unsupported feature",
        ),
        (Format.TIFF, ValueError("whatever"), "its TIFF data is damaged (its directory is broken)"),
    ],
)
def test_the_words_of_the_library_count(kind, error, said):
    code, told = faults.reason(kind, b"II*\0\xff\xff\xff\xff", error)
    assert told.startswith(said)
    assert ("damaged" in told) == ("damaged" in said) == (code is Reason.DAMAGED)


@pytest.mark.skipif(not CASES.is_dir(), reason="the corpus is not here")
def test_the_case_of_the_corpus_is_judged():
    data = (CASES / "png_big_ztxt.png").read_bytes()
    assert CpuDecoder(SIZE).decode(photo(data)).pixels.std() > 10
