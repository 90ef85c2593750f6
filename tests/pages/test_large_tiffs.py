"""TIFFs of many pages are read page by page: never held whole, judged and copied as small ones are."""

import os
import tracemalloc
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from support.drawn_pages import lying, page

from orientd.config import Config
from orientd.decode import page_source
from orientd.decode.page_changes import Changes
from orientd.errors import DecodeError, ReadError
from orientd.files.read import file_stat
from orientd.library.reader import PhotoReader
from orientd.pages.opened import open_pages
from orientd.pipeline import page_run
from orientd.reasons import Reason

PIXELS = 10**8


@pytest.fixture
def several(tmp_path):
    path = tmp_path / "scans" / "a.tif"
    path.parent.mkdir()
    frames = [page(seed=5), lying(page(seed=6), 184), lying(page(seed=7), 90)]
    frames[0].save(path, save_all=True, append_images=frames[1:], compression="tiff_lzw")
    return path


def told(path, out):
    options = page_run.PageOptions(str(out))
    rows = page_run.run(Config(), [str(path)], options, stop=lambda: False, notify=pytest.fail)
    return [row._replace(copy="") for row in rows], (out / "a.tif").read_bytes()


def unread(*_):
    pytest.fail("it was read whole")


def test_a_large_one_is_judged_and_copied_as_a_small_one(several, tmp_path, monkeypatch):
    small = told(several, tmp_path / "small")
    monkeypatch.setattr(page_run, "_LARGE", 0)
    monkeypatch.setattr(PhotoReader, "open", unread)
    assert told(several, tmp_path / "large") == small
    assert [row.decision for row in small[0]] == ["keep", "copy", "copy"]


def test_a_large_one_of_one_page_is_a_photo_like_any_other(tmp_path, monkeypatch):
    lying(page(), 184).save(tmp_path / "a.tif")
    monkeypatch.setattr(page_run, "_LARGE", 0)
    rows, copy = told(tmp_path / "a.tif", tmp_path / "out")
    assert [row.decision for row in rows] == ["copy"]
    assert Image.open(BytesIO(copy)).size[0] > page().width


@pytest.mark.parametrize("name", ["a.tif", "b.dng"])
def test_what_is_no_tiff_is_left_to_the_reader(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"no TIFF" if name == "a.tif" else b"II*\0")
    monkeypatch.setattr(page_run, "_LARGE", 0)
    rows = list(page_run.run(Config(), [str(tmp_path)], page_run.PageOptions(), stop=lambda: False, notify=pytest.fail))
    assert [row.reason_code for row in rows] == ([Reason.UNKNOWN_CONTENT] if name == "a.tif" else [Reason.RAW_FILE])


def test_its_pages_are_not_held(tmp_path):
    frames = [Image.new("L", (1000, 1000), level) for level in range(40)]
    path = tmp_path / "a.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    tracemalloc.start()
    pages = open_pages("tiff", str(path), file_stat(path.stat()), PIXELS)
    seen = [int(np.median(pages.look(number).levels)) for number in range(len(pages))]
    with (tmp_path / "copy").open("xb+") as file:
        pages.write(Changes({3: (90, 0.0)}), file, lambda: False)
    pages.close()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == list(range(40))
    assert most < 10_000_000 < path.stat().st_size / 3


def test_one_that_changes_is_named(several):
    pages = open_pages("tiff", str(several), file_stat(several.stat()), PIXELS)
    assert pages.look(0).levels is not None
    os.utime(several, ns=(1, 1))
    for deed in (lambda: pages.look(1), lambda: pages.write(Changes({}), BytesIO(), lambda: False)):
        with pytest.raises(ReadError) as raised:
            deed()
        assert raised.value.code is Reason.CHANGED
    pages.close()


def test_one_that_is_cut_short_is_damaged(several):
    data = several.read_bytes()
    several.write_bytes(data[: len(data) // 2])
    with pytest.raises(DecodeError) as raised:
        _looked_at(several)
    assert raised.value.code in (Reason.DAMAGED, Reason.UNDECODABLE)


@pytest.mark.parametrize("most", [10**9, 10_000])
def test_one_that_is_whole_is_never_called_damaged_because_it_is_large(tmp_path, monkeypatch, most):
    """Its directories may be anywhere, its pixels in reach of none that is searched."""
    monkeypatch.setattr(page_source, "_SEARCHED", most)
    frames = [Image.new("F", (100, 100)) for _ in range(2)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:], compression="tiff_lzw")
    frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
    for name in ("a.tif", "b.tif"):
        with pytest.raises(DecodeError) as raised:
            _looked_at(tmp_path / name)
        assert raised.value.code is Reason.UNSUPPORTED


def _looked_at(path):
    pages = open_pages("tiff", str(path), file_stat(path.stat()), PIXELS)
    for number in range(len(pages)):
        pages.look(number)
