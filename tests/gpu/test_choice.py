"""Which GPUs a scan uses, how they are named and found, and that it gives the rows of the CPU road with any of them."""

import ctypes

import pytest
from support import sky_library
from support.fake_dali import FakePipeline
from support.gpu_scan import on_the_cpu, scanned

from orientd.errors import EngineUnavailable
from orientd.gpu import cuda
from orientd.gpu import pool as cards
from orientd.infer import session


def test_a_scan_by_two_gpus_and_the_cpu_gives_the_rows_of_the_cpu_road(orientd, photos, tmp_path, monkeypatch):
    sky_library.library(photos, 150)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    on_the_cpu(monkeypatch, FakePipeline)
    monkeypatch.setattr(cards.LoadBalance, "of", lambda self, number, lanes: number // 3)
    assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--gpus", "0,1", "--workers", 4) == expected


def test_one_of_two_gpus_lost_in_mid_run_costs_no_photo(orientd, photos, tmp_path, monkeypatch, capsys):
    sky_library.library(photos, 200)
    expected = scanned(orientd, photos, tmp_path / "cpu.csv")
    built, runs = [], iter(range(10**6))

    def build(size):
        built.append(None)
        number = len(built)  # the second is that of the second GPU
        return FakePipeline(size, lambda: "well" if number == 2 or next(runs) < 2 else "damage")

    on_the_cpu(monkeypatch, build)
    capsys.readouterr()
    assert scanned(orientd, photos, tmp_path / "gpu.csv", "--provider", "cuda", "--gpus", "0,1", "--workers", 1) == expected
    assert capsys.readouterr().err.count("stopped working (nvImageCodec failure: '#3'): going on without it") == 1


@pytest.mark.parametrize(
    ("gpus", "there", "numbers"),
    [("0", "ab", [0]), ("1", "ab", [1]), ("all", "abc", [0, 1, 2]), ("1, 0", "ab", [0, 1]), ("2,2", "abc", [2])],
)
def test_gpus_are_chosen_by_number(monkeypatch, gpus, there, numbers):
    monkeypatch.setattr(session, "check_provider", lambda _: None)
    monkeypatch.setattr(cuda, "names", lambda: list(there))
    assert cards.chosen(gpus) == [(number, there[number]) for number in numbers]


def test_gpus_that_are_not_there_are_an_error(monkeypatch):
    monkeypatch.setattr(session, "check_provider", lambda _: None)
    monkeypatch.setattr(cuda, "names", lambda: ["NVIDIA T4"])
    with pytest.raises(EngineUnavailable, match=r"there is no GPU 3, only 0 \(NVIDIA T4\)"):
        cards.chosen("0,3")
    monkeypatch.setattr(cuda, "names", list)
    for gpus in ("0", "all"):
        with pytest.raises(EngineUnavailable, match="CUDA shows no GPU"):
            cards.chosen(gpus)


@pytest.mark.parametrize("gpus", ["one", "0;1", "-1", "0,", "all,0"])
def test_a_setting_that_names_no_gpus_is_a_mistake(orientd, photos, gpus, capsys):
    sky_library.library(photos, 1)
    assert orientd("scan", photos, "--gpus", gpus) == 2
    assert "numbers such as 0,1, or all" in capsys.readouterr().err


class Driver:
    """A stand-in for libcuda that knows these GPUs."""

    def __init__(self, *names, error=0):
        self.found, self.error = names, error

    def cuInit(self, flags):  # noqa: N802
        return self.error

    def cuDeviceGetCount(self, count):  # noqa: N802
        count._obj.value = len(self.found)
        return 0

    def cuDeviceGetName(self, name, length, number):  # noqa: N802
        name.value = self.found[number].encode()[: length - 1]
        return 0


def test_the_driver_is_asked_for_the_names_of_gpus(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver("NVIDIA H200", "NVIDIA T4"))
    assert cuda.names() == ["NVIDIA H200", "NVIDIA T4"]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver("NVIDIA H200", error=100))
    assert cuda.names() == []

    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert cuda.names() == []
