"""Photos wait for memory: who gets it when, how much there is, and how much a photo takes."""

import io
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import decodable_photos, raw_files

from orientd.config import Config
from orientd.decode import admitted
from orientd.decode.admitted import AdmittedDecoder
from orientd.decode.memory_budget import Budget, for_decoding
from orientd.formats import footprint, sniff
from orientd.records import FileStat, Format, Photo, Picture

MEBIBYTE = 2**20
PIXELS = (96, 64)


class Worker:
    """A thread that takes `need` bytes of a budget and holds them until it is let go."""

    def __init__(self, budget: Budget, need: int, order: list[int]) -> None:
        self.has, self._go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, args=(budget, need, order))
        self._thread.start()

    def _work(self, budget: Budget, need: int, order: list[int]) -> None:
        with budget.taking(need):
            order.append(need)
            self.has.set()
            self._go.wait()

    def let_go(self) -> None:
        assert self.has.wait(60)
        self._go.set()
        self._thread.join()


@contextmanager
def queued(budget: Budget, number: int):
    """Wait until so many wait in the queue."""
    with budget._changed:
        assert budget._changed.wait_for(lambda: len(budget._queue) == number, 60)
    yield


def test_who_fits_gets_it_at_once_and_the_next_one_waits():
    budget, order = Budget(10), []
    first, second = Worker(budget, 6, order), None
    assert first.has.wait(60)
    with budget.taking(4):
        second = Worker(budget, 5, order)
        with queued(budget, 1):
            assert not second.has.is_set()
    assert not second.has.is_set()  # 6 of 10 are still taken
    first.let_go()
    second.let_go()
    assert order == [6, 5]


def test_one_that_needs_much_is_not_passed_over():
    budget, order = Budget(10), []
    first = Worker(budget, 6, order)
    assert first.has.wait(60)
    large = Worker(budget, 9, order)
    with queued(budget, 1):
        small = Worker(budget, 1, order)
    with queued(budget, 2):
        assert not small.has.is_set()  # it would fit, but came later
    first.let_go()
    large.let_go()
    small.let_go()
    assert order == [6, 9, 1]


def test_more_than_there_is_goes_alone():
    budget, order = Budget(10), []
    small = Worker(budget, 1, order)
    assert small.has.wait(60)
    large = Worker(budget, 1000, order)
    with queued(budget, 1):
        assert not large.has.is_set()
    small.let_go()
    assert large.has.wait(60)
    other = Worker(budget, 1, order)
    with queued(budget, 1):
        assert not other.has.is_set()
    large.let_go()
    other.let_go()


def test_the_second_reader_of_a_write_takes_its_turn_with_the_decoders(monkeypatch):
    monkeypatch.setattr(admitted, "_shared", lambda _: budget)
    budget, data, read = Budget(10), decodable_photos.store("jpeg"), []
    monkeypatch.setattr(admitted.isolated, "make_second_reader", lambda *, isolate: read.append)
    second_reader = admitted.make_second_reader(1, isolate=False)
    with budget.taking(1):
        thread = threading.Thread(target=second_reader, args=(data,))
        thread.start()
        with queued(budget, 1):
            assert read == []
    thread.join(60)
    assert read == [data]
    assert admitted.decoder(32, 10**6, 1, isolate=False)._budget is budget


def test_decoders_and_second_readers_of_a_process_share_one_budget():
    first, second = (admitted.decoder(32, 10**6, 77, isolate=False) for _ in range(2))
    assert first._budget is second._budget is admitted._shared(77)


def test_what_fails_gives_back():
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ValueError), budget.taking(10):  # noqa: PT011
            raise ValueError
    with budget.taking(10):
        pass


@given(st.lists(st.integers(0, 30), max_size=12))
def test_never_more_is_taken_than_there_is(needs):
    budget, lock, taken, most = Budget(10), threading.Lock(), [0], [0]

    def work(need):
        with budget.taking(need):
            with lock:
                taken[0] += min(need, 10)
                most[0] = max(most[0], taken[0])
            with lock:
                taken[0] -= min(need, 10)

    threads = [threading.Thread(target=work, args=(need,)) for need in needs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] <= 10


def system(root: Path, free: int | None, **limits: str) -> Path:
    """A root with /proc and /sys of a process in a group a/b; `limits` by the folder and the name, such as a_b_high."""
    (root / "proc/self").mkdir(parents=True)
    if free is not None:
        (root / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable:   {free // 1024} kB\n")
    (root / "proc/self/cgroup").write_text("0::/a/b\n")
    (root / "sys/fs/cgroup/a/b").mkdir(parents=True)
    for name, value in limits.items():
        *folders, kind = name.split("_")
        (root / "sys/fs/cgroup" / "/".join(folders) / f"memory.{kind}").write_text(f"{value}\n")
    return root


@pytest.mark.parametrize(
    ("free", "limits", "wanted"),
    [
        (8 * 2**30, {}, 4 * 2**30),
        (8 * 2**30, {"a_b_high": "max", "a_b_max": "max"}, 4 * 2**30),
        (8 * 2**30, {"a_b_high": str(2**30), "a_b_max": str(2**31)}, 2**29),
        (8 * 2**30, {"a_b_max": str(2**31)}, 2**30),
        (8 * 2**30, {"a_b_high": str(2**32), "a_max": str(2**31)}, 2**30),
        (2**30, {"a_b_high": str(2**31)}, 2**29),
        (2**20, {}, 2**28),
    ],
)
def test_half_of_what_is_free_and_allowed(tmp_path, free, limits, wanted):
    assert for_decoding(0, system(tmp_path, free, **limits)) == wanted


def test_what_was_asked_for_counts(tmp_path):
    assert for_decoding(3, system(tmp_path, 2**33)) == 3 * MEBIBYTE
    assert Config().max_memory == 0


def test_a_system_without_proc_has_its_memory(tmp_path):
    assert for_decoding(0, tmp_path) >= 2**28
    assert for_decoding(0) >= 2**28


def encoded(kind: str, mode: str = "RGB", **options) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(decodable_photos.scene(*PIXELS)).convert(mode)
    if kind == "HEIF":
        pillow_heif.from_pillow(picture).save(file, **options)
    else:
        picture.save(file, kind, **options)
    return file.getvalue()


EACH = [
    ("JPEG", {}, 1),
    ("JPEG", {"progressive": True}, 7),
    ("PNG", {}, 9),
    ("BMP", {}, 9),
    ("GIF", {"mode": "P"}, 9),
    ("TIFF", {}, 12),
    ("WEBP", {}, 17),
    ("WEBP", {"lossless": True}, 17),
    ("WEBP", {"mode": "RGBA", "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}, 17),
    ("HEIF", {}, 12),
    ("AVIF", {}, 14),
    ("JPEG2000", {}, 28),
    ("JPEG2000", {"no_jp2": True}, 28),
]


@pytest.mark.parametrize(("kind", "options", "each"), EACH)
def test_headers_tell_how_much_a_photo_takes(kind, options, each):
    data = encoded(kind, **options)
    taken = footprint.footprint(sniff(data), data, whole=True) - 3 * len(data) - MEBIBYTE
    assert taken == 96 * 64 * each


@pytest.mark.parametrize("cut", [0, 10, 20, 30])
@pytest.mark.parametrize("format_", list(Format))
def test_what_tells_no_size_takes_its_own_bytes(format_, cut):
    assert footprint.footprint(format_, bytes(cut), whole=True) <= MEBIBYTE + 3 * cut + 17


def test_a_large_grid_takes_little_unless_whole(monkeypatch):
    monkeypatch.setattr(footprint, "TILED_FROM", 96 * 64)
    data = encoded("HEIF", tile_size=64)
    whole, part = (footprint.footprint(Format.HEIF, data, whole=whole) for whole in (True, False))
    assert whole - part == 96 * 64 * 11
    single = encoded("HEIF")
    assert footprint.footprint(Format.HEIF, single, whole=False) == footprint.footprint(Format.HEIF, single, whole=True)


class Inner:
    """A decoder that notes what it is asked."""

    def __init__(self, budget: Budget) -> None:
        self.asked: list[bool] = []
        self._budget = budget

    def decode(self, photo: Photo, *, whole: bool = True) -> Picture:
        self.asked.append(whole)
        assert self._budget._taken == footprint.footprint(photo.format, photo.data, whole=whole)
        return Picture(np.zeros((1, 1, 3), np.uint8), 1, 1)

    def fitted(self, photo: Photo, side: int) -> Picture:
        return self.decode(photo, whole=False)

    def glance(self, photo: Photo) -> Picture | None:
        return None


def test_a_photo_has_its_memory_while_it_is_decoded():
    budget = Budget(2**40)
    inner = Inner(budget)
    decoder = AdmittedDecoder(inner, budget)
    photo = Photo("", FileStat(0, 0, 0, 0), Format.JPEG, raw_files.preview(), None, "")
    decoder.decode(photo)
    decoder.decode(photo, whole=False)
    decoder.fitted(photo, 640)
    assert (inner.asked, budget._taken, decoder.glance(photo)) == ([True, False, False], 0, None)
