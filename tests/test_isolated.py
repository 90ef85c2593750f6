"""Decoding in child processes: the same pictures, a child that dies is a photo's error, and none is left behind."""

import gc
import io
import os
import resource
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skies
import thumbnails
from landscapes import landscape
from PIL import Image
from processes import children

from orientd.decode import isolated
from orientd.decode.cpu import CpuDecoder, witness
from orientd.decode.isolated import IsolatedDecoder
from orientd.errors import DecodeError
from orientd.items import FileStat, Format, Photo

SIZE = 64
SECONDS = 600  # so that no photo takes too long on a slow machine; those that shall take too long let the alarm come sooner
KINDS = {Format.JPEG: "JPEG", Format.PNG: "PNG", Format.WEBP: "WEBP", Format.TIFF: "TIFF", Format.BMP: "BMP"}

# A child that answers as the real one does, but for these first bytes, which stand for hostile ones.
HOSTILE = """
import ctypes, os, signal, sys, time
from orientd.decode import cpu, isolated

intact, seen = cpu.CpuDecoder.decode, cpu.CpuDecoder.glance

def hurry():
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    assert 0 < left <= {seconds}
    signal.setitimer(signal.ITIMER_REAL, 0.5)

DEEDS = {{
    b"crash": lambda: ctypes.string_at(0),
    b"abort": os.abort,
    b"oom": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"hang": lambda: (hurry(), ctypes.CDLL(None).sleep(1000)),
    b"spin": lambda: (hurry(), [None for _ in iter(int, 1)]),
    b"eat": lambda: [bytes(2**20) for _ in iter(int, 1)],
    b"exit": lambda: os._exit(3),
    b"print": lambda: os.write(1, b"warning: nothing"),
}}

def done(photo):
    for name, deed in DEEDS.items():
        if photo.data.startswith(name):
            deed()
            return cpu.Photo("", photo.stat, photo.format, photo.data[len(name):], photo.orientation, "")
    return photo

cpu.CpuDecoder.decode = lambda self, photo, *, whole=True: intact(self, done(photo), whole=whole)
cpu.CpuDecoder.glance = lambda self, photo: seen(self, done(photo))
isolated._serve({size}, 10**8, {seconds}, 2 * 2**30)
"""


def drawn(kind=Format.JPEG, orientation=6, prefix=b""):
    file = io.BytesIO()
    skies.landscape(3, 96, 64).save(file, KINDS[kind])
    data = prefix + file.getvalue()
    return Photo("", FileStat(0, 0, len(data), 0), kind, data, orientation, "")


@pytest.fixture(autouse=True)
def _no_child_left():
    before = children()
    yield
    assert children() <= before


@pytest.fixture
def decoder():
    decoder = IsolatedDecoder(SIZE)
    yield decoder
    decoder.close()


@pytest.fixture
def hostile():
    """A decoder whose children do what the first bytes of a photo say."""
    decoder = IsolatedDecoder(SIZE, seconds=SECONDS)
    decoder._command = [sys.executable, "-c", HOSTILE.format(size=SIZE, seconds=SECONDS)]
    yield decoder
    decoder.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_same_to_the_bit(decoder, kind):
    for orientation in (None, 1, 6, 7):
        photo = drawn(kind, orientation)
        here, there = CpuDecoder(SIZE).decode(photo), decoder.decode(photo)
        assert np.array_equal(here.pixels, there.pixels)
        assert (here.width, here.height) == (there.width, there.height)


def test_what_another_reader_sees_is_the_same(decoder, tmp_path):
    for turn in (0, 90, 180, 270):
        data = skies.draw(tmp_path / "a.jpg", turn).read_bytes()
        assert decoder.witness(data) == witness(data) is not None
    with pytest.raises(DecodeError):
        decoder.witness(data[:-200])


def test_a_damaged_photo_is_told_with_the_same_reason_and_costs_no_child(decoder):
    photo = drawn()
    bad = Photo("", photo.stat, photo.format, photo.data[:-200], None, "")
    with pytest.raises(DecodeError) as here:
        CpuDecoder(SIZE).decode(bad)
    decoder.decode(photo)
    child = children()
    with pytest.raises(DecodeError) as there:
        decoder.decode(bad)
    assert str(here.value) == str(there.value)
    decoder.decode(photo)
    assert children() == child


@pytest.mark.parametrize(
    ("deed", "error", "reason"),
    [
        (b"crash", DecodeError, r"makes the decoder crash \(SIGSEGV\)"),
        (b"abort", DecodeError, r"makes the decoder crash \(SIGABRT\)"),
        (b"oom", MemoryError, "the system ended the decoder"),
        (b"hang", TimeoutError, "more than 600 seconds"),
        (b"spin", TimeoutError, "more than 600 seconds"),
        (b"eat", MemoryError, "needs more than"),
        (b"exit", RuntimeError, "exit code 3"),
    ],
)
def test_a_child_that_dies_is_one_photo_s_fault_and_is_replaced(hostile, deed, error, reason):
    good = CpuDecoder(SIZE).decode(drawn()).pixels
    for _ in range(2):
        with pytest.raises(error, match=reason):
            hostile.decode(drawn(prefix=deed))
        assert np.array_equal(hostile.decode(drawn()).pixels, good)
    assert len(children()) == 1


def glimpsed(prefix=b""):
    image = landscape(3).resize((480, 360))
    data = prefix + thumbnails.photo(image, thumbnails.reduced(image), 6)
    return Photo("", FileStat(0, 0, len(data), 0), Format.JPEG, data, 6, "")


def test_a_thumbnail_is_looked_at_in_the_child(hostile):
    here = CpuDecoder(SIZE).glance(glimpsed())
    for _ in range(2):
        there = hostile.glance(glimpsed())
        assert np.array_equal(here.pixels, there.pixels)
        assert (there.width, there.height, there.whole) == (480, 360, False)
        assert hostile.glance(drawn()) is None
        assert hostile.glance(glimpsed(b"crash")) is None
    with pytest.raises(TimeoutError):
        hostile.glance(glimpsed(b"hang"))


def test_what_a_library_prints_is_not_taken_for_an_answer(hostile):
    assert np.array_equal(hostile.decode(drawn(prefix=b"print")).pixels, CpuDecoder(SIZE).decode(drawn()).pixels)


def test_a_picture_larger_than_the_memory_allowed_is_an_error():
    file = io.BytesIO()
    Image.new("L", (16_000, 16_000)).save(file, "PNG")
    photo = Photo("", FileStat(0, 0, 0, 0), Format.PNG, file.getvalue(), None, "")
    decoder = IsolatedDecoder(SIZE, 10**9, memory=2**29)
    with pytest.raises(MemoryError, match="more than 512 MiB"):
        decoder.decode(photo)
    assert decoder.decode(drawn()).width == 96
    decoder.close()


def test_every_worker_has_a_child_of_its_own(decoder):
    photos = [drawn(orientation=value) for value in range(1, 9)] * 3
    with ThreadPoolExecutor(3) as pool:
        pictures = list(pool.map(decoder.decode, photos))
    for photo, picture in zip(photos, pictures, strict=True):
        assert np.array_equal(picture.pixels, CpuDecoder(SIZE).decode(photo).pixels)
    assert 1 <= len(children()) <= 3


def test_the_children_end_with_the_decoder():
    decoder = IsolatedDecoder(SIZE)
    decoder.decode(drawn())
    assert children()
    del decoder
    gc.collect()
    assert not children()


def test_no_child_takes_a_module_from_the_current_folder(decoder, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert decoder.decode(drawn()).width == 96


PARENT = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
sys.path.insert(0, {tests!r})
from test_isolated import *
decoder = IsolatedDecoder(SIZE)
decoder.decode(drawn())
print(*children(), flush=True)
threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_child_outlives_a_parent_that_is_killed(number):
    code = PARENT.format(tests=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        (child,) = map(int, parent.stdout.readline().split())
        pidfd = os.pidfd_open(child)
        parent.send_signal(number)
        parent.wait()
    assert ended(pidfd)


def ended(pidfd):
    """True if a process ends within a minute."""
    try:
        return bool(select.select([pidfd], [], [], 60)[0])
    finally:
        os.close(pidfd)


def test_ctrl_c_finishes_the_photo_in_hand_and_leaves_no_child(photos, tmp_path, model):
    """As a terminal does it: the signal goes to the whole group of processes."""
    skies.library(photos, 120)
    command = [sys.executable, "-m", "orientd", "scan", photos, "--fix", "--json", "--isolate", "--workers", "2", "--batch", "1"]
    command += ["--report", tmp_path / "1.csv"]
    environment = os.environ | {"ORIENTD_MODEL": str(model)}
    pipe = {"stdout": subprocess.PIPE, "pipesize": 4096}  # it cannot run far ahead of this process
    with subprocess.Popen(list(map(str, command)), **pipe, env=environment, process_group=0) as run:
        rows = (line.replace(b'":"', b'": "') for line in run.stdout)
        assert any(b'"outcome": "fixed"' in row for row in rows)
        working = [os.pidfd_open(child) for child in children(run.pid)]
        os.killpg(run.pid, signal.SIGINT)
        rest = run.communicate()[0]
    assert run.returncode == 130
    assert b"SIGINT" not in rest
    assert working
    assert [ended(child) for child in working] == [True] * len(working)
    assert {row["decision"] for row in skies.rows(f"{tmp_path}/1.csv.partial").values()} <= {"keep", "fix"}


def test_a_run_goes_on_when_a_photo_crashes_the_decoder(orientd, photos, tmp_path, monkeypatch):
    needs = skies.library(photos, 6)
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    start = IsolatedDecoder._start

    def crashing(self):
        self._command = [
            sys.executable,
            "-c",
            HOSTILE.format(size=self._size, seconds=SECONDS).replace('b"crash"', 'b"\\xff\\xd8\\xff\\0"'),
        ]
        return start(self)

    monkeypatch.setattr(IsolatedDecoder, "_start", crashing)
    assert orientd("scan", photos, "--fix", "--isolate", "--workers", "2", "--report", tmp_path / "1.csv") == 3
    rows = skies.rows(tmp_path / "1.csv")
    assert "SIGSEGV" in rows[str(photos / "bad.jpg")]["reason"]
    assert {path: skies.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)


def test_isolated_or_not_the_report_is_the_same(orientd, photos, tmp_path):
    skies.library(photos, 6)
    for name, more in (("plain", ()), ("isolated", ("--isolate",))):
        orientd("scan", photos, "--rescan", "--report", tmp_path / f"{name}.csv", "--state-dir", tmp_path / name, *more)
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "isolated.csv").read_bytes()


def test_the_limits_are_set():
    """Of memory by the system, of time by an alarm: the tests above prove both, this one that they are not this process's own."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    decoder = IsolatedDecoder(SIZE, memory=isolated.MEMORY)
    decoder.decode(drawn())
    (child,) = children()
    assert resource.prlimit(child, resource.RLIMIT_AS) == (isolated.MEMORY, isolated.MEMORY)
    assert resource.prlimit(child, resource.RLIMIT_CORE) == (0, 0)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert os.getsid(child) == child != os.getsid(0)
    decoder.close()
