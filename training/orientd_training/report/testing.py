"""A test of a model on photos or pages that trained nothing: loss, precision, recall, F1 and confusion; of skew the errors, too.

Unlike `evaluation`, which measures what a scan would do, this asks the network alone, with one view.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from orientd import orientation
from orientd.decode.resize import resized
from orientd.errors import ConfigError
from orientd.infer.engine import Engine
from orientd.infer.session import Graph
from orientd.infer.spec import ModelSpec
from orientd_training.config import Skew
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate import angles, classes
from orientd_training.evaluate.predictions import softmax
from orientd_training.evaluate.statistics import wilson
from orientd_training.export import onnx_file, skew_file
from orientd_training.files import replacing
from orientd_training.fit import checkpoint
from orientd_training.fit.tasks import Skewed
from orientd_training.report import contact_sheets, plots
from orientd_training.report.rendering import encoded, rendered

FIGURES, PAGE = "test.json", "test.html"
TURNS: Final = tuple(f"{turn}°" for turn in orientation.TURNS)
_SHOWN: Final = 4  # times that each photo is shown
_COMPARED: Final = 16
_WORST: Final = 16

Squares = NDArray[np.uint8]


class Answers(NamedTuple):
    """What was wanted and found, each (N, _SHOWN): turns in quarters, skews in degrees; and the loss of each answer."""

    wanted: NDArray[np.float64]
    found: NDArray[np.float64]
    losses: NDArray[np.float64]


def test(given: Path, photos: Sequence[PhotoSet], out: Path | None) -> dict[str, Any]:
    """Figures of a model (ONNX file, run folder or checkpoint) on photos or pages, each shown in four turns or at four angles.

    In `out` are put `test.json` and `test.html`.

    Raises:
        ConfigError: there are no photos, or they are smaller than the model takes.
        ModelError: the file is no model, or a checkpoint is damaged.
        StateError: `out` cannot be written.
    """
    if not sum(map(len, photos)):
        raise ConfigError("there are no photos to test on: prepare some first")
    with TemporaryDirectory() as scratch:
        model = given
        if given.is_dir() or given.suffix == ".pt":
            model = Path(scratch) / "model.onnx"
            export(given, photos[0], model)
        spec = skew_file.read(model)
        answers = _skews(model, spec, photos) if spec else _turns(model, photos)
        name = spec.name if spec else Engine(model).spec.name
    figures = {
        "model": name,
        "given": str(given),
        "measured_on": date.today().isoformat(),
        "kind": "skew" if spec else "turns",
        "photos": len(answers.wanted),
        "shown": answers.wanted.size,
        "data": [{"digest": its.digest, "photos": len(its), "size": its.size} for its in photos],
        "loss": float(answers.losses.mean()),
        **(angles.measured(answers.wanted.ravel(), answers.found.ravel()) if spec else measured(answers)),
    }
    if out:
        _write(out, figures, answers, photos, spec)
    return figures


def export(given: Path, photos: PhotoSet, out: Path) -> float:
    """A run folder or checkpoint as ONNX, of whichever kind; returns the largest difference from torch.

    Raises:
        ConfigError: the photos are smaller than the network takes.
        ModelError, StateError: as the exports do.
    """
    config, network = checkpoint.load(given) if given.is_dir() else checkpoint.load_file(given)
    size = config.phases[-1].size
    squares = np.stack(list(_squares(photos, size, _COMPARED)))
    if config.skew:
        return skew_file.export(network, skew_file.SkewSpec(config.name, size, config.skew.part), out, squares)
    return onnx_file.export(network, ModelSpec(config.name, size), out, squares)


def measured(answers: Answers) -> dict[str, Any]:
    """Figures of the four turns; shares are 0–1, and the interval takes photos for independent, not the turns of one."""
    wanted, found = answers.wanted.astype(np.int64), answers.found.astype(np.int64)
    table = classes.confusion(wanted.ravel(), found.ravel(), len(TURNS))
    its = classes.each(table, TURNS)
    accuracy = float((wanted == found).mean())
    return {
        "accuracy": accuracy,
        "accuracy_interval": list(wilson(accuracy, len(wanted))),
        **classes.mean(its, weighted=False),
        "classes": [asdict(one) for one in its],
        "confusion": table.tolist(),
    }


def summary(figures: dict[str, Any]) -> dict[str, str]:
    """What is printed."""
    said = {"model": figures["model"], "shown": f"{figures['photos']:,} photos or pages, {figures['shown']:,} times in all"}
    said["loss"] = f"{figures['loss']:.4f}"
    if figures["kind"] == "skew":
        said |= {f"within {bound}°": f"{share:.2%}" for bound, share in figures["within"].items()}
        said |= {key: f"{figures[f'{key}_error']:.3f}°" for key in ("mean", "median", "worst")}
    else:
        low, high = figures["accuracy_interval"]
        said["accuracy"] = f"{figures['accuracy']:.2%} ({low:.2%} to {high:.2%})"
    said |= {key: f"{figures[key]:.4f}" for key in ("precision", "recall", "f1")}
    if figures["kind"] == "turns":
        for its, row in zip(figures["classes"], figures["confusion"], strict=True):
            rates = f"precision {its['precision']:.4f}, recall {its['recall']:.4f}, F1 {its['f1']:.4f}"
            said[f"needs {its['name']}"] = f"{rates}; found as {', '.join(TURNS)}: {' '.join(f'{count:,}' for count in row)}"
    return said


def scalars(figures: dict[str, Any]) -> dict[str, float]:
    """The figures that a tracked run gets."""
    chosen = {
        key: figures[key]
        for key in ("loss", "precision", "recall", "f1", "accuracy", "mean_error", "worst_error")
        if key in figures
    }
    within = {f"within_{bound}": share for bound, share in figures.get("within", {}).items()}
    return {f"Test/{key}": float(value) for key, value in (chosen | within).items()}


def _turns(model: Path, photos: Sequence[PhotoSet]) -> Answers:
    engine = Engine(model)
    views = [orientation.inverse(orientation.from_turn(turn)) for turn in orientation.TURNS]
    rows = []
    for square in (square for its in photos for square in _squares(its, engine.spec.input_size)):
        rows.append(engine.logits(np.stack([orientation.apply(square, view) for view in views])) / engine.spec.temperature)
    chances = softmax(np.array(rows))
    wanted = np.broadcast_to(np.arange(len(TURNS)), chances.shape[:2])
    losses = -np.log(np.maximum(np.take_along_axis(chances, wanted[..., None], -1)[..., 0], 1e-12))
    return Answers(wanted.astype(float), chances.argmax(-1).astype(float), losses)


def _skews(model: Path, spec: skew_file.SkewSpec, photos: Sequence[PhotoSet]) -> Answers:
    graph, task = Graph(model), Skewed(Skew(part=spec.part))
    rows: list[tuple[Any, Any, Any]] = []
    for number, square in enumerate(square for its in photos for square in its.pixels):
        targets = task.at(_SHOWN * number, _SHOWN)
        logits = torch.from_numpy(skew_file.logits(graph, _askew(task, square, targets, spec.input_size)))
        rows.append((targets.numpy(), task.found(logits).numpy(), task.losses(logits, targets).numpy()))
    return Answers(*(np.array(column, float) for column in zip(*rows, strict=True)))


def _askew(task: Skewed, square: Squares, targets: torch.Tensor, size: int) -> Squares:
    """(N, size, size, 3): what is seen of an upright page (S, S, 3) that is shown needing each of N turns in degrees."""
    pictures = torch.from_numpy(np.array(square)).permute(2, 0, 1).float().expand(len(targets), -1, -1, -1)
    shown = task.shown(pictures, targets, size).round().clamp(0, 255).byte()
    return np.ascontiguousarray(shown.permute(0, 2, 3, 1).numpy())


def _squares(photos: PhotoSet, size: int, most: int | None = None) -> Iterator[Squares]:
    if photos.size < size:
        raise ConfigError(f"the photos are {photos.size} px, the model takes {size}: prepare them at that size or more")
    for pixels in photos.pixels[:most]:
        yield resized(np.asarray(pixels), size, size)


def _write(
    out: Path, figures: dict[str, Any], answers: Answers, photos: Sequence[PhotoSet], spec: skew_file.SkewSpec | None
) -> None:
    plot = plots.skew_errors({"wanted": answers.wanted.ravel(), "found": answers.found.ravel()}) if spec else ""
    page = rendered(
        "test.html.j2", figures=figures, turns=TURNS, sector=angles.SECTOR, plot=plot, worst=list(_worst(answers, photos, spec))
    )
    for name, text in ((PAGE, page), (FIGURES, json.dumps(figures, indent=1))):
        with replacing(out / name) as partial:
            partial.write_text(text, encoding="utf-8")


def _worst(answers: Answers, photos: Sequence[PhotoSet], spec: skew_file.SkewSpec | None) -> Iterator[dict[str, str]]:
    """The wrong answers of greatest loss or error, a photo once, as they were shown."""
    off = np.abs(angles.errors(answers.wanted, answers.found)) if spec else answers.losses * (answers.wanted != answers.found)
    names = [name for its in photos for name in its.names]
    pixels = [square for its in photos for square in its.pixels]
    for number in np.argsort(-off.max(1), kind="stable")[:_WORST]:
        turn = int(off[number].argmax())
        if off[number, turn] <= 0:
            return
        wanted, found = answers.wanted[number, turn], answers.found[number, turn]
        if spec:
            task = Skewed(Skew(part=spec.part))
            (shown,) = _askew(task, pixels[number], torch.tensor([wanted], dtype=torch.float32), spec.input_size)
            picture, said = (
                contact_sheets.tile(shown, 0),
                f"needs {angles.errors(np.array(0.0), wanted):.1f}°, found {found:.2f}°",
            )
        else:
            picture = contact_sheets.tile(np.asarray(pixels[number]), 90 * int(wanted))
            said = f"needs {TURNS[int(wanted)]}, found {TURNS[int(found)]}"
        yield {"name": names[number], "said": said, "picture": encoded(contact_sheets.jpeg(picture))}
