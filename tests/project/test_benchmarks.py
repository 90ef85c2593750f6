"""The benchmarks of the CPU road: their photos are as they are said to be, the sums are right, each script runs to its end."""

import csv
import io
import json
import struct
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from benchmarks import measuring, writing
from benchmarks.cpu import floor, panel_by_photo, slow_disk
from benchmarks.cpu.stopwatch import Stopwatch
from benchmarks.photos import make as photos

SMALL = {12: (400, 300), 24: (600, 400)}


class TestPhotos:
    @pytest.fixture
    def made(self, tmp_path):
        upright = photos.drawn(14)
        for kind in photos.KINDS:
            photos.store(photos.photograph(upright, SMALL[kind.megapixels], 0), kind, tmp_path / photos.folder_of(kind))
        return tmp_path

    def test_each_kind_is_stored_as_it_says(self, made):
        samplings = {"4:2:0": [(1, 2, 2, 0), (2, 1, 1, 1), (3, 1, 1, 1)], "4:2:2": [(1, 2, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)]}
        for kind in photos.KINDS:
            with Image.open(made / photos.folder_of(kind)) as image:
                assert image.size == SMALL[kind.megapixels]
                assert ("progressive" in image.info) is kind.progressive
                assert image.layer == samplings[kind.sampling]
                assert ("exif" in image.info) is kind.exif

    def test_a_thumbnail_stands_in_ifd1_and_shows_the_photo(self, made):
        with Image.open(made / photos.folder_of(photos.KINDS[0])) as image:
            exif = image.getexif()
            assert (exif[0x010F], exif[0x0110], exif[0x0112]) == ("orientd", "benchmark", 1)
            thumbnail = _ifd1(image.info["exif"])
            small = np.asarray(thumbnail.convert("L").resize((40, 30)), float)
            large = np.asarray(image.convert("L").resize((40, 30)), float)
        assert max(thumbnail.size) <= 160
        assert abs(small - large).mean() < 12

    def test_noise_makes_a_photo_as_large_as_those_of_cameras(self, made):
        with Image.open(made / photos.folder_of(photos.KINDS[1])) as image:
            smooth = made / "smooth.jpg"
            photos.drawn(14).resize(image.size, Image.Resampling.BICUBIC).save(smooth, quality=photos.QUALITY)
        noisy = (made / photos.folder_of(photos.KINDS[1])).stat().st_size
        assert noisy > 2 * smooth.stat().st_size
        assert 2 < 8 * noisy / (400 * 300) < 5  # bits a pixel; 12 MP at 4.5 MB have 3

    def test_the_same_seed_makes_the_same_photo(self):
        one, same, other = (photos.photograph(photos.drawn(1), (80, 60), seed).tobytes() for seed in (5, 5, 6))
        assert one == same != other

    def test_scenes_come_out_of_folders_and_archives_in_place(self, tmp_path):
        photos.drawn(1).save(tmp_path / "a.png")
        (tmp_path / "notes.txt").write_text("no photo")
        assert photos.scenes(tmp_path, 5) == [(tmp_path / "a.png").read_bytes()]

    def test_tiny_files_have_inodes_of_their_own(self, tmp_path):
        photos.tiny(tmp_path / "tiny", 25, 10)
        files = sorted((tmp_path / "tiny").rglob("*.jpg"))
        assert [len(list(folder.iterdir())) for folder in sorted((tmp_path / "tiny").iterdir())] == [10, 10, 5]
        assert len({path.stat().st_ino for path in files}) == 25


class TestFloor:
    def test_what_is_no_photo_is_no_floor(self):
        library = _library()
        with pytest.raises(RuntimeError):
            library.coefficients(b"no JPEG at all")
        with pytest.raises(RuntimeError):
            library.eighth(b"no JPEG at all", 80, 80)

    def test_noise_costs_more_than_a_smooth_picture(self, tmp_path):
        _library()
        random = np.random.default_rng(1)
        for name, pixels in {"smooth": np.full((800, 1200, 3), 90), "noisy": random.integers(0, 256, (800, 1200, 3))}.items():
            (tmp_path / name).mkdir()
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / "1.jpg")
        smooth, noisy = (floor.measure(tmp_path / name, 15) for name in ("smooth", "noisy"))
        assert noisy["MB"] > smooth["MB"]
        assert noisy["floor ms"] > 2 * smooth["floor ms"]


def test_a_moment_counts_for_the_innermost_stage_alone(monkeypatch):
    now = iter([0, 1, 3, 3.5])
    monkeypatch.setattr("benchmarks.cpu.stopwatch.time", SimpleNamespace(thread_time=lambda: next(now)))
    watch = Stopwatch()
    with watch.stage("outer"), watch.stage("inner"):
        pass
    assert watch.seconds == {"outer": 1.5, "inner": 2}


def test_the_bars_of_the_plot_are_as_long_as_the_times():
    pytest.importorskip("matplotlib", reason="needs the extra 'train'")
    from benchmarks.cpu.plots import bars

    stages = {"walk": 1.0, "decode": 30.0, "look": 4.0, "rest": 2.0, "start-up": 400.0, "total": 999.0}
    found = {"stages": {"A": stages}, "floor": {"A": {"floor ms": 28.0}}, "plain": {"A": {"decode": 80, "resize": 2, "look": 90}}}
    assert {name: sum(each.values()) for name, each in bars(found).items()} == {"A": 37, "A: floor": 28, "A: the plain way": 172}
    assert list(bars({**found, "plain": {"skipped": "torch is missing"}})) == ["A", "A: floor"]


def test_the_share_of_the_limit_is_that_of_the_same_round():
    plain, scans = ([slow_disk.Run(seconds, 1, 10**9) for seconds in each] for each in ((10, 20), (11, 22)))
    table = slow_disk.summary({"plain reading": plain, "this": scans}, 100)
    assert table["this"]["share of the limit"] == round(10 / 11, 3)
    assert table["this"]["MB read a photo"] == 10


def test_the_panel_costs_what_its_photos_take_more_than_before():
    spent = [(20, 21, ()), (30, 29, ()), (100, 300, ("scene", "faces")), (400, 450, ("scene",))]
    found = panel_by_photo.summary([panel_by_photo.Cost(before, panel, said) for before, panel, said in spent])
    assert (found["photos"], found["asked"]) == (4, 2)
    assert found["more"] == 62.5
    assert found["more, of those asked"] == 125
    assert (found["most of those asked"], found["most more"], found["whose witnesses"]) == (450, 200, ("scene", "faces"))


def test_the_panel_costs_nothing_where_it_was_never_asked():
    found = panel_by_photo.summary([panel_by_photo.Cost(20, 20, ())])
    assert (found["asked"], found["more, of those asked"], found["most of those asked"]) == (0, 0, 0)


def test_without_root_the_slow_disk_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["slow_disk.py", "--library", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        slow_disk.main()
    assert ended.value.code == 2
    assert "root" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_process_that_fails_is_no_measurement():
    with pytest.raises(RuntimeError, match="ended with 3"):
        measuring.timed([sys.executable, "-S", "-c", "raise SystemExit(3)"])
    started = time.perf_counter()
    usage = measuring.timed([sys.executable, "-S", "-c", "sum(range(3_000_000))"])
    assert 0 < usage.cpu <= usage.wall + 0.1 <= time.perf_counter() - started + 0.1
    assert usage.peak > 5


class TestWriting:
    def test_a_photo_costs_what_the_command_does_less_its_start_up(self):
        summary = writing.summary([(0.5, 2.5), (0.4, 1.4), (0.6, 3.6)], 10)
        assert summary == {"CPU ms": 200, "rounds": [200, 100, 300], "start-up: CPU ms": 500}

    def test_every_photo_of_a_plan_is_turned_to_the_side_that_can_be(self, tmp_path):
        report = tmp_path / "report.csv"
        report.write_text("path,width,height,turn,decision,method\na,4000,3000,0,keep,\nb,3000,4000,90,fix,tag\n")
        writing.planned(report, "rotate")
        with report.open(newline="") as file:
            rows = [(row["path"], row["turn"], row["decision"], row["method"]) for row in csv.DictReader(file)]
        assert rows == [("a", "270", "fix", "rotate"), ("b", "90", "fix", "rotate")]

    def test_photos_live_through_all_four_commands(self, tmp_path):
        case = writing.Case(1, "jpg", (320, 240), isolated=False)
        spent = writing.life(measuring.ROOT, case, writing.made(tmp_path, case), tmp_path / "living")
        assert list(spent) == list(writing.COMMANDS)
        assert all(seconds > 0 for seconds in spent.values())

    def test_what_was_not_done_as_asked_is_no_measurement(self, tmp_path):
        case = writing.Case(1, "jpg", (322, 242), writing.ROTATE)  # no multiple of a block, so it gets the tag
        with pytest.raises(RuntimeError, match="was not turned by rotate"):
            writing.life(measuring.ROOT, case, writing.made(tmp_path, case), tmp_path / "living")

    @pytest.mark.slow
    def test_cases_run_to_their_end_beside_another_checkout(self, tmp_path):
        other, cases = tmp_path / "other", ["12 MP PNG without noise, turned", "12 MP WebP, turned"]
        other.symlink_to(measuring.ROOT)
        options = ["--quick", "--rounds", 1, "--against", other, "--cases", *cases]
        command = measuring.script("writing", "--out", tmp_path, *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200, cwd=measuring.ROOT)
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / "changes.json").read_text())
        assert list(found) == cases
        for each in found.values():
            assert [list(commands) for commands in each["found"].values()] == 2 * [list(writing.COMMANDS)]
        assert all(f"| {name} (other) | 2 |" in done.stdout for name in cases)


@pytest.mark.slow
def test_every_step_runs_to_its_end(tmp_path):
    steps = ["start-up", "floor", "plain", "whole", "stages", "workers", "memory", "growth"]  # the slow disk needs root
    command = measuring.script("cpu.run", "--out", tmp_path, "--quick", "--steps", *steps)
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, cwd=measuring.ROOT)
    assert done.returncode == 0, done.stderr
    assert "there is no" not in done.stderr, "stopwatch.py measures a function that has another name now"
    found = json.loads((tmp_path / "cpu.json").read_text())
    assert [step for step in found if step != "machine"] == steps
    kinds = set(found["floor"])
    assert len(kinds) == 7
    assert kinds == set(found["whole"]) == set(found["stages"])
    for stages in found["stages"].values():
        assert all(stages[name] > 0 for name in ("read", "sha256", "header", "open, convert", "resize", "look", "record"))
    assert "skipped" in found["plain"] or kinds == set(found["plain"])
    assert set(found["growth"]) == {"20", "40", "60 known"}
    with next((tmp_path / "states" / "known").glob("*.csv")).open(newline="") as file:
        assert [row["sha256"] for row in csv.DictReader(file)] == ["0" * 64] * 60, "the second scan judged anew"
    assert not (tmp_path / "tiny").exists()
    assert {"stages.svg", "cores.svg"} <= {path.name for path in tmp_path.iterdir()}


def _library():
    from orientd.errors import EngineUnavailable

    try:
        return floor.TurboJpeg()
    except EngineUnavailable as error:
        pytest.skip(str(error))


def _ifd1(exif):
    """The thumbnail by the standard's own road: IFD0, next IFD, its offset and length."""
    tiff = exif[6:]
    first = struct.unpack_from("<I", tiff, 4)[0]
    second = struct.unpack_from("<I", tiff, first + 2 + 12 * struct.unpack_from("<H", tiff, first)[0])[0]
    entries = [struct.unpack_from("<HHII", tiff, second + 2 + 12 * i) for i in range(struct.unpack_from("<H", tiff, second)[0])]
    values = {tag: value for tag, _, _, value in entries}
    return Image.open(io.BytesIO(tiff[values[0x0201] : values[0x0201] + values[0x0202]]))
