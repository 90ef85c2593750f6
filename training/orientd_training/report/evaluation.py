"""A trial of models on photos: collects what they see, measures it, and writes all of it into one folder."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np

from orientd.errors import ConfigError
from orientd.infer.engine import load_spec
from orientd.infer.spec import ModelSpec
from orientd.judge.policy import DEFAULT, Policy
from orientd_training.data import photoset
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate.calibrate import Search, best, calibrated, frontier, policies
from orientd_training.evaluate.metrics import measure
from orientd_training.evaluate.mistakes import Case, cases, errors, worst
from orientd_training.evaluate.predictions import Looks, collect, keep, predictions, shown
from orientd_training.evaluate.score import Score, score
from orientd_training.files import replacing
from orientd_training.report import contact_sheets, html

MEASURE: Final = "measure.json"
_PICTURES: Final = 48
_COMPARED: Final = 64
_COLUMNS: Final = ("name", "group", "shown", "found", "confidence", "verdict", "margin", "views", "what")
_UNCALIBRATED: Final = "{} is not calibrated (its temperatures are 1): whatever depends on its confidence means little."


class Fitted(NamedTuple):
    """What `calibrate` found; `frontier` are the policies none of which is beaten by another, from careful to bold."""

    temperature: float
    temperature_views: float
    policy: Policy
    score: Score
    frontier: list[tuple[Policy, Score]]


def evaluate(
    models: Sequence[Path], photos: Sequence[PhotoSet], out: Path | None, against: Sequence[Path] = ()
) -> list[dict[str, Any]]:
    """Measure each model, an ONNX file, run folder or checkpoint; returns the figures of each (see `measure`).

    In `out` are put `measure.json`, `errors.csv`, contact sheets, `report.html` and the looks collected; of several models each
    has a folder in it. Without `against` several models are compared with the first.

    Raises:
        ConfigError: no photos, photos of a size that no model takes, or models that looked at different photos.
        ModelError: a file is no model of orientd, or a checkpoint is damaged.
        StateError: `out` cannot be written.
    """
    others = list(against) or list(models[:1] if len(models) > 1 else ())
    names = _names(models)
    with TemporaryDirectory() as scratch:
        served = {given: _served(given, photos, Path(scratch)) for given in [*models, *others]}
        _check_sizes(photos, list(served.values()))
        looks = {given: _collect(model, photos, out) for given, model in served.items()}
        made = []
        for given, name in zip(models, names, strict=True):
            rivals = {_called(other, others): looks[other] for other in others if other != given}
            figures = {"measured_on": date.today().isoformat()} | measure(served[given], looks[given], rivals)
            compared = [given, *(other for other in others if other != given)]
            figures["warnings"] = [_UNCALIBRATED.format(_title(it)) for it in compared if _uncalibrated(looks[it])]
            figures["data"] = [{"digest": its.digest, "photos": len(its), "size": its.size} for its in photos]
            if out:
                _write(out / name if len(models) > 1 else out, figures, looks[given], _fitting(served[given], photos))
            made.append(figures)
    return made


def held_out(caches: Sequence[Path]) -> list[PhotoSet]:
    """The photos to measure on: of a cache with both splits only those to validate on, as the others may have trained a model.

    Raises:
        ConfigError: there is no complete cache in a folder.
    """
    opened = [photoset.load(cache) for cache in caches]
    split = {photoset.TRAIN, photoset.VALIDATION}
    return [
        photoset.load(cache, photoset.VALIDATION) if split <= set(its.splits) else its
        for cache, its in zip(caches, opened, strict=True)
    ]


def summary(figures: dict[str, Any]) -> dict[str, str]:
    """The figures that matter most, in words."""
    shipped, crossed, rare = figures["shipped"], figures["cross_fitted"], figures["base_rate"][1]
    said = {"photos": f"{figures['photos']:,} of {len(figures['groups'])} sources"}
    for key, name in (("one_view", "one view"), ("eight_views", "eight views")):
        its = figures[f"accuracy_{key}"]
        low, high = its["group_interval"] or its["interval"]
        said[f"accuracy, {name}"] = f"{100 * its['mean']:.2f} % ({100 * low:.1f} to {100 * high:.1f})"
        said[f"calibration error, {name}"] = f"{figures[f'calibration_error_{key}']:.4f}"
    low, high = shipped["false_interval"]
    said["false turns per 1,000"] = f"{shipped['false_per_1000']:.2f} ({low:.2f} to {high:.2f})"
    low, high = shipped["mended_group_interval"] or shipped["mended_interval"]
    said["mended"] = f"{100 * shipped['mended']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
    said["turns that harm, at 1 wrong photo in 300"] = f"{100 * rare['turns_wrong']:.1f} %"
    said["policy chosen on other sources"] = (
        f"{crossed['false_per_1000']:.2f} per 1,000, {100 * crossed['mended']:.1f} % fixed"
        if crossed
        else "left out: there is only one source"
    )
    for name, its in figures["against"].items():
        for key, scale in (("accuracy_eight_views", 100), ("false_per_1000", 1), ("mended", 100)):
            pair = its[key]
            said[f"{key.replace('_', ' ')}, against {name}"] = f"{scale * pair['difference']:+.2f} (p {_p(pair['p'])})"
    return said


def _p(value: float) -> str:
    return "below 0.0001" if value < 1e-4 else f"{value:.4f}"


def calibrate(model: Path, photos: Sequence[PhotoSet], false_per_1000: float, search: Search, out: Path | None = None) -> Fitted:
    """Fit the temperatures, write them into `model`, and choose the policy that fixes most.

    `frontier.csv` and the looks collected are written to `out`, the latter also for the model with its new temperatures.

    Raises:
        ConfigError: as `evaluate`; or no policy makes few enough false turns: the temperatures are in the model all the same.
        ModelError: `model` is no model of orientd.
        StateError: `model` or `out` cannot be written; the model is as it was.
    """
    from orientd_training.export.onnx_file import stamp

    looks = calibrated(collect(model, *photos, cache=out))
    spec = replace(load_spec(model), temperature=looks.temperature, temperature_views=looks.temperature_views)
    with replacing(model) as partial:
        stamp(model, partial, spec)
    if out:
        keep(looks, model, *photos, cache=out)
    tried = list(policies(shown(looks), DEFAULT, search))
    best_ones = frontier(tried)
    if out:
        _write_frontier(out / "frontier.csv", best_ones)
    policy, _ = best(tried, false_per_1000)
    found = score(predictions(looks, looks.temperature, looks.temperature_views), looks.groups, policy)
    return Fitted(looks.temperature, looks.temperature_views, policy, found, best_ones)


def write_errors(path: Path, found: Sequence[Case]) -> None:
    """Every false turn and every wrong answer, the worst first; bytes of a name that are not UTF-8 are written as they are."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for case in found:
            values = case._replace(confidence=round(case.confidence, 5), margin=round(case.margin, 5))
            writer.writerow([getattr(values, column) for column in _COLUMNS])


def _write_frontier(path: Path, found: Sequence[tuple[Policy, Score]]) -> None:
    rows = [asdict(policy) | asdict(its) | {"false_per_1000": its.false_per_1000} for policy, its in found]
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _write(folder: Path, figures: dict[str, Any], looks: Looks, photos: Sequence[PhotoSet]) -> None:
    every = cases(looks, DEFAULT)
    shown = worst(every, _PICTURES)
    pixels = [square for its in photos for square in its.pixels]
    pictures: dict[Case, bytes] = {}
    for name, some in shown._asdict().items():
        tiles = [contact_sheets.tile(np.asarray(pixels[case.photo]), case.shown) for case in some]
        pictures |= {case: contact_sheets.jpeg(tile) for case, tile in zip(some, tiles, strict=True)}
        if some:
            with replacing(folder / f"{name}.jpg") as partial:
                partial.write_bytes(contact_sheets.jpeg(contact_sheets.sheet(tiles, some)))
    write_errors(folder / "errors.csv", errors(every))
    measured = f"measured on {figures['measured_on']} on {len(looks):,} photos of {len(figures['groups'])} sources"
    page = html.page(figures, shown, pictures, measured)
    with replacing(folder / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
    with replacing(folder / MEASURE) as partial:
        partial.write_text(json.dumps(figures, indent=1))


def _collect(model: Path, photos: Sequence[PhotoSet], out: Path | None) -> Looks:
    return collect(model, *_fitting(model, photos), cache=out)


def _fitting(model: Path, photos: Sequence[PhotoSet]) -> list[PhotoSet]:
    """Those prepared at the model's size; all of them if there are none, which is an error that `collect` words."""
    size = load_spec(model).input_size
    return [its for its in photos if its.size == size] or list(photos)


def _check_sizes(photos: Sequence[PhotoSet], models: Sequence[Path]) -> None:
    sizes = {load_spec(model).input_size for model in models}
    for its in photos:
        if its.size not in sizes:
            wanted = " or ".join(f"{size} px" for size in sorted(sizes))
            raise ConfigError(f"the photos are {its.size} px, the model takes {wanted}: prepare them at that size")


def _served(given: Path, photos: Sequence[PhotoSet], scratch: Path) -> Path:
    """The ONNX file itself, or what is in a run folder or checkpoint as one, so that everything is judged as it is served."""
    if not given.is_dir() and given.suffix != ".pt":
        return given
    from orientd_training.export.onnx_file import export
    from orientd_training.fit import checkpoint

    config, network = checkpoint.load(given) if given.is_dir() else checkpoint.load_file(given)
    if config.skew:
        raise ConfigError(f"{given} tells skew, not which way is up: orientd-train test measures it")
    size = config.phases[-1].size
    some = next((its.pixels[:_COMPARED] for its in photos if its.size == size), None)
    if some is None:
        raise ConfigError(f"none of the photos are prepared at the {size} px that {given} takes: prepare them at that size")
    out = scratch / f"{len(list(scratch.iterdir()))}" / f"{_title(given)}.onnx"
    out.parent.mkdir()
    export(network, ModelSpec(config.name, size), out, np.asarray(some))
    return out


def _uncalibrated(looks: Looks) -> bool:
    return looks.temperature == looks.temperature_views == 1


def _title(given: Path) -> str:
    return given.stem if given.suffix == ".onnx" else given.name


def _called(given: Path, others: Sequence[Path]) -> str:
    """How a comparison names a model: whole where two would be alike, as runs by one recipe are."""
    titles = [_title(other) for other in others]
    return _title(given) if titles.count(_title(given)) == 1 else str(given)


def _names(models: Sequence[Path]) -> list[str]:
    """A folder name for each model; numbered where two would be alike."""
    titles = [_title(given) for given in models]
    return [title if titles.count(title) == 1 else f"{title}-{i}" for i, title in enumerate(titles, 1)]
