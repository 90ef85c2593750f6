"""What nobody could be sure of is not turned, and the traces of compression tell nobody which way a picture was saved."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support import probe_pictures, sky_library

from orientd.infer.engine import Engine
from orientd.infer.registry import BUNDLED
from orientd.witnesses.opened import Witness, open_witnesses

SAVED_AGAIN = 24
_STANDARD_ERRORS = 4
_NOTHING = 0.02  # in natural logarithms of odds


@pytest.fixture(scope="module")
def witnesses() -> dict[str, Witness | None]:
    def fail(text: str) -> None:
        raise AssertionError(text)

    return dict(open_witnesses(Engine(BUNDLED / "orientd.onnx"), fail))


@pytest.mark.slow
def test_none_of_sixty_pictures_without_a_right_way_up_is_turned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, pixels in probe_pictures.pictures():
        (photos / f"{name}.jpg").write_bytes(probe_pictures.as_jpeg(pixels))
    report = tmp_path / "report.csv"
    assert sky_library.run("scan", photos, "--report", report, monkeypatch=monkeypatch) == 0
    decisions = [row["decision"] for row in sky_library.rows(report).values()]
    print({decision: decisions.count(decision) for decision in sorted(set(decisions))})
    assert len(decisions) == 60
    assert "fix" not in decisions
    assert "error" not in decisions


@pytest.mark.slow
def test_the_traces_of_compression_tell_no_witness_how_a_picture_was_turned(witnesses: dict[str, Witness | None]) -> None:
    """The grid probe: noise is saved as JPEG, turned, and saved again. That may speak for the way back no more than noise does
    that was not saved before."""
    for name, witness in witnesses.items():
        assert witness
        more = []
        for seed in range(SAVED_AGAIN):
            noise = probe_pictures.noise(seed, 1.0 + seed % 6)
            saved = probe_pictures.opened(probe_pictures.as_jpeg(noise, quality=70))
            before, after = (_for_the_way_back(witness, pixels, 1 + seed % 3) for pixels in (noise, saved))
            more.append(after - before)
        error = np.std(more, ddof=1) / len(more) ** 0.5
        print(f"{name}: {np.mean(more):+.4f} ± {error:.4f}")
        assert abs(np.mean(more)) <= max(_STANDARD_ERRORS * error, _NOTHING)


def _for_the_way_back(witness: Witness, pixels: NDArray[np.uint8], quarters: int) -> float:
    turned = np.ascontiguousarray(np.rot90(pixels, -quarters))
    said = witness.look(probe_pictures.opened(probe_pictures.as_jpeg(turned, quality=90)))
    if not said:
        return 0.0
    back = said.scores[-quarters % 4]
    return back - (sum(said.scores) - back) / 3
