"""Unless told otherwise, orientd itself decodes and turns nothing; child processes do, with the same outcome."""

import io
import subprocess
import sys

import pytest
from PIL import Image
from support import sky_library, turnable_jpegs
from support.turnable_jpegs import needs_turbojpeg

from orientd.config import Config
from orientd.decode import cpu, lossless
from orientd.decode.children import CHILDREN
from orientd.decode.isolated import IsolatedRotator, second_reader
from orientd.errors import DecodeError, EngineUnavailable, Refused
from orientd.records import Format
from orientd.write import rotate, turbojpeg
from orientd.write.rotate import Rotator
from orientd.write.turbojpeg import TurboJpeg

CRASH = "import ctypes; from orientd.write import rotate; rotate.Rotator.plan = lambda *_: ctypes.string_at(0)"
BLIND = "import ctypes; from orientd.decode import cpu; cpu.second_reader = lambda _: ctypes.string_at(0)"


class HereError(AssertionError):
    pass


@pytest.fixture
def _nothing_here(monkeypatch):
    """Whatever decodes or turns in this process fails the test."""

    def fail(*_, **__):
        raise HereError("not in this process")

    for owner, name in ((cpu.CpuDecoder, "_decode"), (cpu, "glance"), (Rotator, "plan"), (Rotator, "check"), (TurboJpeg, "turn")):
        monkeypatch.setattr(owner, name, fail)
    for owner, name in ((cpu, "second_reader"), (lossless, "pixels"), (lossless, "turned_webp")):
        monkeypatch.setattr(owner, name, fail)


@pytest.fixture
def crashing(monkeypatch):
    """Children in which some Python has run before."""

    def begin(code):
        CHILDREN.end()
        serve = f"{code}\nimport sys\nfrom orientd.pipeline import child\nchild.serve(int(sys.argv[-1]))"
        monkeypatch.setattr(CHILDREN, "command", [sys.executable, "-c", serve])

    yield begin
    CHILDREN.end()


def encoded(kind, **options):
    file = io.BytesIO()
    sky_library.landscape(1, 96, 64).save(file, kind, **options)
    return file.getvalue()


TURNABLE = {Format.PNG: encoded("PNG"), Format.WEBP: encoded("WEBP", lossless=True)}


def test_the_default():
    assert Config().isolate


@needs_turbojpeg
@pytest.mark.usefixtures("_nothing_here")
def test_nothing_is_decoded_or_turned_here(orientd, photos, tmp_path):
    needs = sky_library.library(photos, 4)
    sky_library.draw(photos / "a.png", 90, by_tag=False, kind="PNG")
    before, report = {path: state[:3] for path, state in sky_library.snapshot(photos).items()}, tmp_path / "1.csv"
    assert orientd("scan", photos, "--method", "rotate", "--report", report) == 0
    rows = sky_library.rows(report)
    assert "rotate" in {row["method"] for row in rows.values()}
    assert orientd("apply", report, "--report", tmp_path / "2.csv") == 0
    assert {path: sky_library.shown_turned(path) for path in needs} == dict.fromkeys(needs, 0)
    assert orientd("inspect", next(iter(needs))) == 0
    assert orientd("verify") == 0
    assert orientd("undo", "--yes") == 0
    assert {path: state[:3] for path, state in sky_library.snapshot(photos).items()} == before


@pytest.mark.usefixtures("_nothing_here")
def test_with_no_isolate_it_is(orientd, photos, tmp_path):
    """So what the test above makes fail would fail it."""
    sky_library.draw(photos / "a.jpg", 90)
    report = tmp_path / "1.csv"
    assert orientd("scan", photos, "--no-isolate", "--report", report) == 3
    assert "not in this process" in sky_library.rows(report)[str(photos / "a.jpg")]["reason"]
    assert orientd("scan", photos, "--rescan", "--report", report) == 0
    assert orientd("apply", report, "--no-isolate", "--report", tmp_path / "2.csv") == 3


def test_what_decodes_is_not_even_loaded(photos, tmp_path, model):
    sky_library.library(photos, 2)
    arguments = ["orientd", "scan", str(photos), "--fix", "-q", "--report", str(tmp_path / "1.csv"), "--model", str(model)]
    ask = "print(*{name.split('.')[0] for name in sys.modules} & {'PIL', 'simplejpeg', 'pillow_heif'})"
    code = f"import sys\nfrom orientd.cli.main import main\nsys.argv = {arguments}\ntry:\n    main()\nfinally:\n    {ask}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


@needs_turbojpeg
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_child_turns_and_checks_as_this_process_does(orientation):
    here, there = Rotator(), IsolatedRotator()
    for kind, data in {**TURNABLE, Format.JPEG: turnable_jpegs.draw(turnable_jpegs.Recipe())}.items():
        patch = there.plan(kind, data, orientation)
        assert patch == here.plan(kind, data, orientation)
        new = patch.apply(data)
        there.check(kind, data, new, orientation)
        with pytest.raises(Refused) as told:
            here.check(kind, data, new, 1)
        with pytest.raises(Refused) as told_there:
            there.check(kind, data, new, 1)
        assert str(told_there.value) == str(told.value)


@needs_turbojpeg
@pytest.mark.parametrize(
    "data",
    [turnable_jpegs.draw(turnable_jpegs.Recipe(width=90, height=60)), turnable_jpegs.draw(turnable_jpegs.Recipe())[:-300], b""],
)
def test_what_cannot_be_turned_is_refused_in_the_same_words(data):
    with pytest.raises(Refused) as here:
        Rotator().plan(Format.JPEG, data, 6)
    with pytest.raises(Refused) as there:
        IsolatedRotator().plan(Format.JPEG, data, 6)
    assert str(here.value) == str(there.value)


def test_without_the_library_it_is_told_before_any_photo_is_read(monkeypatch):
    monkeypatch.setattr(turbojpeg, "_NAMES", ())
    monkeypatch.setattr(turbojpeg, "find_library", lambda name: None)
    with pytest.raises(EngineUnavailable):
        rotate.planner("rotate")
    assert rotate.planner("auto")(Format.PNG, TURNABLE[Format.PNG], 6).apply(TURNABLE[Format.PNG])


def test_a_photo_whose_turn_crashes_gets_the_tag(crashing, orientd, photos, tmp_path):
    """And the reason says why."""
    crashing(CRASH)
    path = sky_library.draw(photos / "a.png", 90, by_tag=False, kind="PNG")
    assert orientd("scan", photos, "--fix", "--method", "auto", "--report", tmp_path / "1.csv") == 0
    (row,) = sky_library.rows(tmp_path / "1.csv").values()
    assert (row["outcome"], row["method"]) == ("fixed", "tag")
    assert "makes the decoder crash (SIGSEGV)" in row["reason"]
    with Image.open(path) as image:
        assert image.size == (64, 96), "not turned"
    assert sky_library.shown_turned(path) == 0


def test_a_photo_that_crashes_the_other_reader_is_left_as_it_is(crashing, orientd, photos, tmp_path):
    crashing(BLIND)
    data = sky_library.draw(photos / "a.jpg", 90).read_bytes()
    with pytest.raises(DecodeError, match="SIGSEGV"):
        second_reader(data)
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 3
    (row,) = sky_library.rows(tmp_path / "1.csv").values()
    assert (row["outcome"], (photos / "a.jpg").read_bytes()) == ("failed", data)
    assert "another reader cannot open it" in row["reason"]
