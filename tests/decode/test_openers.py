"""Files of nothing but pieces: Pillow, which reads one by one, is stopped; what real photos have passes with room to spare."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from support import jpeg_files
from support.png_webp_tiff_files import png_chunk

from orientd.decode import openers
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.errors import DecodeError
from orientd.library import handed
from orientd.reasons import Reason

PIECES = {
    "segments": b"\xff\xe5\0\2",
    "comments": b"\xff\xfe\0\2",
    "filling": b"\xff",
    "markers": b"\xff\xd0",
    "stuffing": b"\xff\0",
    "strays": b"\xff\xfe\0\2" + b"\0" * 10,
}


def jpeg_with(pieces):
    whole = jpeg_files.picture(64, 48)
    return whole[:2] + pieces + whole[2:]


def png_with(pieces):
    Image.effect_noise((64, 48), 90).save(out := BytesIO(), "PNG")
    return out.getvalue()[:33] + pieces + out.getvalue()[33:]


def refused(data, read=lambda data: CpuDecoder(48).decode(handed.by_bytes(data))):
    with pytest.raises(DecodeError, match="more pieces than any program writes: compare it with a backup") as caught:
        read(data)
    assert caught.value.code is Reason.DAMAGED


def test_a_jpeg_of_millions_of_segments_is_given_up():
    refused(jpeg_with(PIECES["segments"] * 1_500_000))


@pytest.mark.parametrize("kind", PIECES)
def test_so_is_one_of_whatever_else_is_read_piece_by_piece(kind, monkeypatch):
    data = jpeg_with(PIECES[kind] * 1000)
    expected = CpuDecoder(48).decode(handed.by_bytes(jpeg_with(b""))).pixels
    assert np.array_equal(CpuDecoder(48).decode(handed.by_bytes(data)).pixels, expected)
    monkeypatch.setattr(openers._Counted, "_left", 1000)
    refused(data)
    refused(data, second_reader)


@pytest.mark.parametrize("name", [b"abCD", b"abCd", b"eXIf"])
def test_a_png_is_read_in_so_many_pieces_with_and_without_its_texts(name, monkeypatch):
    data = png_with(png_chunk(name, b"") * 1000)
    monkeypatch.setattr(openers._Counted, "_left", 1000)
    with pytest.raises(DecodeError, match="more pieces"):
        openers.WITH_METADATA[handed.by_bytes(data).format](BytesIO(data))
    if name == b"eXIf":
        refused(data)
    else:
        CpuDecoder(48).decode(handed.by_bytes(data))  # these are left out before


def test_a_sound_file_is_read_in_a_few_pieces():
    for data in (jpeg_with(b""), png_with(b"")):
        file = openers.OPENERS[handed.by_bytes(data).format](BytesIO(data))
        used = openers._MOST_READS - file.fp._left
        assert 0 < used < openers._MOST_READS / 10_000
