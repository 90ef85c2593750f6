"""A photo whose sidecar stores another orientation than the file does: every decoder shows it as the sidecar says."""

import numpy as np
import pytest
from support import signed_files

from orientd import formats, orientation
from orientd.decode.by_sidecar import as_noted
from orientd.decode.cpu import CpuDecoder
from orientd.decode.isolated import IsolatedDecoder
from orientd.records import FileStat, Photo

SIZE = 24


def photo(data, shown_as, by_sidecar):
    return Photo("", FileStat(0, 0, len(data), 0), formats.sniff(data), data, shown_as, "", by_sidecar)


@pytest.mark.parametrize("kind", signed_files.KINDS)
@pytest.mark.parametrize("stored", [1, 3, 6, 8])
def test_it_is_shown_as_the_sidecar_says_whatever_the_file_does(kind, stored):
    decode = CpuDecoder(SIZE).decode
    plain, data = (signed_files.photo(kind, "embedded", stored=value) for value in (1, stored))
    assert formats.stored_orientation(formats.sniff(data), data) in ({None, 1} if stored == 1 else {stored})
    upright = decode(photo(plain, 1, False))
    assert len({orientation.apply(upright.pixels, value).tobytes() for value in range(1, 9)}) == 8
    for noted in (None, *range(1, 9)):
        picture = as_noted(decode)(photo(data, noted, True))
        assert np.array_equal(picture.pixels, orientation.apply(upright.pixels, orientation.normalise(noted))), noted
        assert (picture.width, picture.height) == (upright.width, upright.height)


@pytest.mark.parametrize("kind", signed_files.KINDS)
def test_one_that_is_turned_itself_is_shown_as_before(kind):
    decode, data = CpuDecoder(SIZE).decode, signed_files.photo(kind, "not", stored=6)
    assert np.array_equal(as_noted(decode)(photo(data, 6, False)).pixels, decode(photo(data, 6, False)).pixels)


def test_a_decoder_in_another_process_shows_the_same():
    data = signed_files.photo("HEIF", stored=6)
    here, there = (as_noted(decoder.decode)(photo(data, 3, True)) for decoder in (CpuDecoder(SIZE), IsolatedDecoder(SIZE)))
    assert np.array_equal(here.pixels, there.pixels)
