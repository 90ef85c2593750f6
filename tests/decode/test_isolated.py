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
from PIL import Image
from support import sky_library, thumbnail_jpegs
from support.landscapes import landscape
from support.processes import children

from orientd.decode import isolated
from orientd.decode.children import CHILDREN, DECODING, WALL, Children, Limits
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.decode.isolated import IsolatedDecoder
from orientd.errors import DecodeError
from orientd.records import FileStat, Format, Photo

SIZE = 64
SECONDS = 600  # so that no photo takes too long on a slow machine; those that shall take too long let the alarm come sooner
KINDS = {Format.JPEG: "JPEG", Format.PNG: "PNG", Format.WEBP: "WEBP", Format.TIFF: "TIFF", Format.BMP: "BMP"}

# A child that answers as the real one does, but for these first bytes, which stand for hostile ones.
HOSTILE = """
import ctypes, os, signal, sys, time
from orientd.pipeline import child
from orientd.decode.children import WALL
from orientd.decode import cpu

intact, seen = cpu.CpuDecoder.decode, cpu.CpuDecoder.glance

def hurry(timer, seconds):
    left, _ = signal.getitimer(timer)
    assert 0 < left <= seconds + 0.01
    signal.setitimer(timer, 0.5)

DEEDS = {{
    b"crash": lambda: ctypes.string_at(0),
    b"abort": os.abort,
    b"oom": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"term": lambda: os.kill(os.getpid(), signal.SIGUSR1),
    b"stop": lambda: [os.kill(os.getpid(), number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)],
    b"wait": lambda: (os.write(2, b"waiting"), ctypes.CDLL(None).sleep(1000)),
    b"hang": lambda: (hurry(signal.ITIMER_REAL, WALL * {seconds}), ctypes.CDLL(None).sleep(1000)),
    b"spin": lambda: (hurry(signal.ITIMER_PROF, {seconds}), [None for _ in iter(int, 1)]),
    b"eat": lambda: [bytes(2**20) for _ in iter(int, 1)],
    b"exit": lambda: os._exit(3),
    b"print": lambda: os.write(1, b"warning: nothing"),
    b"taint": lambda: spoilt.append(True),
    b"later": lambda: spoilt and os.abort(),
}}

spoilt = []

def done(photo):
    for name, deed in DEEDS.items():
        if photo.data.startswith(name):
            deed()
            return cpu.Photo("", photo.stat, photo.format, photo.data[len(name):], photo.orientation, "")
    return photo

cpu.CpuDecoder.decode = lambda self, photo, *, whole=True: intact(self, done(photo), whole=whole)
cpu.CpuDecoder.glance = lambda self, photo: seen(self, done(photo))
child.serve(int(sys.argv[-1]))
"""


def drawn(kind=Format.JPEG, orientation=6, prefix=b""):
    file = io.BytesIO()
    sky_library.landscape(3, 96, 64).save(file, KINDS[kind])
    data = prefix + file.getvalue()
    return Photo("", FileStat(0, 0, len(data), 0), kind, data, orientation, "")


@pytest.fixture(autouse=True)
def _no_child_left():
    CHILDREN.end()
    before = children()
    yield
    CHILDREN.end()
    assert children() <= before


@pytest.fixture
def decoder():
    return IsolatedDecoder(SIZE)


@pytest.fixture
def hostile():
    """A decoder whose children do what the first bytes of a photo say."""
    own = Children([sys.executable, "-c", HOSTILE.format(seconds=SECONDS)])
    yield IsolatedDecoder(SIZE, 10**8, own, Limits(SECONDS, 2 * 2**30))
    own.end()


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_same_to_the_bit(decoder, kind):
    for orientation in (None, 1, 6, 7):
        photo = drawn(kind, orientation)
        here, there = CpuDecoder(SIZE).decode(photo), decoder.decode(photo)
        assert np.array_equal(here.pixels, there.pixels)
        assert (here.width, here.height) == (there.width, there.height)


def test_what_another_reader_sees_is_the_same(tmp_path):
    for turn in (0, 90, 180, 270):
        data = sky_library.draw(tmp_path / "a.jpg", turn).read_bytes()
        assert isolated.second_reader(data) == second_reader(data) is not None
    with pytest.raises(DecodeError):
        isolated.second_reader(data[:-200])


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
        (b"term", RuntimeError, "signal 10"),
        (b"hang", TimeoutError, "more than 6000 seconds$"),
        (b"spin", TimeoutError, "more than 600 seconds of processor time"),
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
    data = prefix + thumbnail_jpegs.photo(image, thumbnail_jpegs.reduced(image), 6)
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
    decoder = IsolatedDecoder(SIZE, 10**9, limits=Limits(SECONDS, 2**29))
    with pytest.raises(MemoryError, match="more than 512 MiB"):
        decoder.decode(photo)
    assert decoder.decode(drawn()).width == 96
    assert IsolatedDecoder(SIZE, 10**9).decode(photo).width == 16_000, "in the same child, with more"
    assert len(children()) == 1


def test_every_worker_has_a_child_of_its_own(decoder):
    photos = [drawn(orientation=value) for value in range(1, 9)] * 3
    with ThreadPoolExecutor(3) as pool:
        pictures = list(pool.map(decoder.decode, photos))
    for photo, picture in zip(photos, pictures, strict=True):
        assert np.array_equal(picture.pixels, CpuDecoder(SIZE).decode(photo).pixels)
    assert 1 <= len(children()) <= 3


def test_the_children_end_with_those_who_ask_them():
    decoder = IsolatedDecoder(SIZE, children=Children())
    decoder.decode(drawn())
    assert children()
    del decoder
    gc.collect()
    assert not children()


def test_one_child_serves_all_who_ask(decoder, tmp_path):
    data = sky_library.draw(tmp_path / "a.jpg").read_bytes()
    for _ in range(2):
        decoder.decode(drawn())
        IsolatedDecoder(32).decode(drawn())
        isolated.second_reader(data)
        isolated.IsolatedRotator().plan(Format.JPEG, data, 6)
    assert len(children()) == 1


def test_a_child_that_ended_while_it_had_nothing_to_do_is_replaced(decoder):
    decoder.decode(drawn())
    (child,) = children()
    pidfd = os.pidfd_open(child)
    os.kill(child, signal.SIGKILL)
    assert ended(pidfd)
    assert decoder.decode(drawn()).width == 96


def test_no_photo_is_blamed_for_what_another_did_to_the_memory(hostile):
    """A photo that spoils the memory kills the child at the next one, which is decoded all the same, by another child."""
    hostile.decode(drawn(prefix=b"taint"))
    assert hostile.decode(drawn(prefix=b"later")).width == 96
    with pytest.raises(DecodeError, match="SIGSEGV"):
        hostile.decode(drawn(prefix=b"crash"))
    assert len(children()) == 0


def test_a_photo_in_hand_is_finished_when_everything_is_told_to_end(hostile):
    """systemd sends SIGTERM to the children, too."""
    assert hostile.decode(drawn(prefix=b"stop")).width == 96


def test_the_file_in_memory_does_not_stay_large(decoder):
    noise = np.random.default_rng(0).integers(0, 256, (2800, 2800, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "BMP")
    photo = Photo("", FileStat(0, 0, 0, 0), Format.BMP, file.getvalue(), None, "")
    for each in (photo, drawn(), photo):
        here, there = CpuDecoder(SIZE).decode(each), decoder.decode(each)
        assert np.array_equal(here.pixels, there.pixels)
    (child,) = CHILDREN._idle
    assert len(photo.data) > 20_000_000 > os.fstat(child._memory).st_size


def test_no_child_takes_a_module_from_the_current_folder(decoder, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert decoder.decode(drawn()).width == 96


PARENT = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
sys.path[:0] = {tests!r}
from test_isolated import *
decoder = IsolatedDecoder(SIZE, children=Children([sys.executable, "-c", HOSTILE.format(seconds=SECONDS)]))
decoder.decode(drawn())
print(*children(), flush=True)
decoder.decode(drawn(prefix=b{deed!r}))
threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("deed", ["print", "wait"])
def test_no_child_outlives_a_parent_that_is_killed(number, deed):
    """Neither one that waits for the next photo, nor one that is in the hands of a library."""
    code = PARENT.format(tests=[str(folder) for folder in Path(__file__).parents[:2]], deed=deed)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        (child,) = map(int, parent.stdout.readline().split())
        pidfd = os.pidfd_open(child)
        if deed == "wait":
            assert parent.stderr.read(7) == b"waiting"
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
    sky_library.library(photos, 120)
    command = [sys.executable, "-m", "orientd", "scan", photos, "--fix", "--json", "--workers", "2", "--batch", "1"]
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
    assert {row["decision"] for row in sky_library.rows(f"{tmp_path}/1.csv.partial").values()} <= {"keep", "fix"}


def test_a_run_goes_on_when_a_photo_crashes_the_decoder(orientd, photos, tmp_path, monkeypatch):
    needs = sky_library.library(photos, 6)
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    code = HOSTILE.format(seconds=SECONDS).replace('b"crash"', 'b"\\xff\\xd8\\xff\\0"')
    monkeypatch.setattr(CHILDREN, "command", [sys.executable, "-c", code])
    assert orientd("scan", photos, "--fix", "--workers", "2", "--report", tmp_path / "1.csv") == 3
    rows = sky_library.rows(tmp_path / "1.csv")
    assert "SIGSEGV" in rows[str(photos / "bad.jpg")]["reason"]
    assert {path: sky_library.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)


def test_isolated_or_not_the_report_is_the_same(orientd, photos, tmp_path):
    sky_library.library(photos, 6)
    for name, more in (("plain", ["--no-isolate"]), ("isolated", [])):
        orientd("scan", photos, "--rescan", "--report", tmp_path / f"{name}.csv", "--state-dir", tmp_path / name, *more)
    assert (tmp_path / "plain.csv").read_bytes() == (tmp_path / "isolated.csv").read_bytes()


def test_the_limits_are_set():
    """Of memory by the system, of time by an alarm: the tests above prove both, this one that they are not this process's own."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    IsolatedDecoder(SIZE).decode(drawn())
    (child,) = children()
    assert resource.prlimit(child, resource.RLIMIT_AS) == (DECODING.memory, before[1])
    assert resource.prlimit(child, resource.RLIMIT_CORE)[0] == 0
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert os.getsid(child) == child != os.getsid(0)
    assert WALL * DECODING.seconds == 600


STARTLED = """
import os, signal, sys
from pathlib import Path
sys.stdin.buffer.read(1)
if int(Path({lives!r}).read_text()):
    Path({lives!r}).write_text(str(int(Path({lives!r}).read_text()) - 1))
    os.kill(os.getpid(), signal.SIGIO)
os._exit(7)
"""


@pytest.mark.parametrize(("startled", "told"), [(1, "exit code 7"), (2, "signal 29")])
def test_a_child_that_takes_its_question_for_the_end_is_asked_once_more(tmp_path, startled, told):
    """pipe_write(7) wakes the reader first and sends SIGIO then: what is late kills a child that has begun to work."""
    lives = tmp_path / "lives"
    lives.write_text(str(startled))
    children = Children([sys.executable, "-c", STARTLED.format(lives=str(lives))])
    with pytest.raises(RuntimeError, match=told):
        children.ask({"task": "decode"}, [b""])
    assert lives.read_text() == "0"
    children.end()
