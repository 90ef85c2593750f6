"""Scans by the GPU road, with a stand-in for DALI or DALI on the CPU: the rows of the CPU road, or what is missing."""

import re
import sys
from functools import partial

import onnxruntime
import pytest
from support import sky_library
from support.fake_dali import FakePipeline
from support.gpu_scan import on_the_cpu, scanned

from orientd import commands
from orientd.decode import dali
from orientd.errors import EngineUnavailable
from orientd.infer import session


def library(folder):
    """Landscapes of every format in one folder: the turn that each needs."""
    needs = sky_library.library(folder, 12)
    for number, kind in enumerate(("PNG", "WEBP", "TIFF")):
        needs[str(sky_library.draw(folder / f"other.{kind.lower()}", 90 * number, seed=50 + number, kind=kind))] = 90 * number
    damaged = folder / "0" / "damaged.jpg"
    data = (folder / "0" / "000.jpg").read_bytes()
    damaged.write_bytes(data[: len(data) * 2 // 3] + b"\xff\xd9")
    (folder / "cut.jpg").write_bytes(data[:300])
    return needs


def told(rows):
    keys = ("decision", "turn", "new_orientation", "orientation", "width", "height", "sha256")
    return {path: [row[key] for key in keys] for path, row in rows.items()}


def test_a_scan_with_a_stand_in_gives_the_rows_of_the_cpu_road(orientd, photos, tmp_path, monkeypatch):
    needs = library(photos)
    code, here = scanned(orientd, photos, tmp_path / "cpu.csv")
    on_the_cpu(monkeypatch, FakePipeline)
    assert (code, here) == scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda")
    assert code == 3
    assert {path: int(here[path]["turn"]) for path in needs} == needs


def test_a_gpu_lost_in_mid_run_costs_no_photo(orientd, photos, tmp_path, monkeypatch, capsys):
    needs = sky_library.library(photos, 150)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    runs = iter(range(10**6))
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: "well" if next(runs) < 2 else "damage"))
    capsys.readouterr()
    assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--workers", 3) == expected
    assert capsys.readouterr().err.count("the GPU stopped working (nvImageCodec failure: '#3'): going on without it") == 1
    assert len(expected[1]) == len(needs)


@pytest.mark.parametrize("manner", ["damage", "memory", "late", "shuffled"])
def test_a_scan_with_a_stand_in_that_misbehaves_gives_the_same_rows(orientd, photos, tmp_path, monkeypatch, manner):
    library(photos)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    runs = iter(range(10**6))
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: manner if next(runs) % 3 == 1 else "well"))
    for _ in range(3):
        assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--workers", 3) == expected


def test_a_scan_with_dali_gives_the_decisions_of_the_cpu_road(orientd, photos, tmp_path, monkeypatch):
    pytest.importorskip("nvidia.dali", reason='needs DALI: pip install "orientd[gpu]"')
    needs = library(photos)
    _, here = scanned(orientd, photos, tmp_path / "cpu.csv")
    on_the_cpu(monkeypatch)
    _, there = scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda")
    assert {path: int(there[path]["turn"]) for path in needs} == needs
    damaged = str(photos / "0" / "damaged.jpg")
    assert there.pop(damaged)["decision"] != "fix", (
        "DALI may not notice the damage, but nothing is written without the CPU's word"
    )
    here.pop(damaged)
    assert told(here) == told(there)


def test_what_is_missing_is_named(orientd, photos, monkeypatch, capsys):
    sky_library.library(photos, 2)
    assert orientd("scan", photos, "--provider", "cuda", "--report", photos.parent / "report.csv") == 1
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert commands.adding("gpu") in capsys.readouterr().err
    on_the_cpu(monkeypatch)
    monkeypatch.setitem(sys.modules, "nvidia.dali", None)
    assert orientd("scan", photos, "--provider", "cuda", "--report", photos.parent / "report.csv") == 1
    assert "DALI, which decodes on the GPU, cannot be loaded" in capsys.readouterr().err
    with pytest.raises(EngineUnavailable, match=re.escape(commands.adding("gpu"))):
        dali.version()


def test_a_gpu_that_never_worked_is_an_error_and_not_a_silent_cpu_run(orientd, photos, monkeypatch, capsys):
    sky_library.library(photos, 2)
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: "memory"))
    assert orientd("scan", photos, "--provider", "cuda", "--report", photos.parent / "report.csv") == 1
    assert "the GPU cannot decode and look at a photo: out of memory: run orientd doctor" in capsys.readouterr().err


def test_the_doctor_tries_the_gpu_and_compares_the_versions_of_cuda(orientd, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    on_the_cpu(monkeypatch, FakePipeline)
    monkeypatch.setattr(dali, "version", lambda: ("2.4.0", 13))
    for engine, code, words in (("13.0", 0, "2.4.0 for CUDA 13, as ONNX Runtime (13.0)"), ("12.8", 1, "nvidia-dali-cuda120")):
        monkeypatch.setattr(session, "cuda_version", lambda engine=engine: engine)
        assert orientd("doctor", "--provider", "cuda") == code
        assert words in capsys.readouterr().out
    assert orientd("doctor") == 0, "without a GPU orientd does without DALI"
    on_the_cpu(monkeypatch, partial(FakePipeline, conduct=lambda: "damage"))
    assert orientd("doctor", "--provider", "cuda") == 1
    assert "the GPU cannot decode" in capsys.readouterr().out
