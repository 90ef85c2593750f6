"""The model card of a model: what it is, what it learned from, how it was made, how well it does and where it fails."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orientd.errors import ConfigError
from orientd.orientation import TURNS
from orientd_training.report.rendering import rendered


@dataclass(frozen=True)
class Run:
    """What a run folder says of itself; what is missing is empty. `sources` are photos by training source, where still there."""

    config: dict[str, Any]
    facts: dict[str, Any]
    log: list[dict[str, Any]]
    sources: dict[str, int]


@dataclass(frozen=True)
class Sections:
    """What people write: `data` on sources and licences, `notes` on known errors and whatever else; Markdown, "" if none."""

    data: str = ""
    notes: str = ""
    licence: str = "Apache-2.0"


def describe(given: Path, measure: Path, run: Path | None = None, sections: Sections | None = None) -> str:
    """The card (Markdown) of an ONNX file, or of a run folder that became the measured model.

    `run` is the run that an ONNX file came from; without it the card says that its recipe is not known.

    Raises:
        ConfigError: a file is missing or damaged, or `measure` is of another model.
    """
    figures, folder = _figures(measure), given if given.is_dir() else run
    made = read_run(folder) if folder else None
    _check(given, figures, made, measure)
    return rendered(
        "model_card.md.j2",
        figures=figures,
        turns=TURNS,
        parameters=_parameters(given),
        sections=sections or Sections(),
        run=made,
        **(_recipe(made) if made else {}),
    )


def read_run(folder: Path) -> Run:
    """What there is to say of a run.

    Raises:
        ConfigError: the folder holds no run.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        facts = json.loads((folder / "facts.json").read_text()) if (folder / "facts.json").exists() else {}
        lines = (folder / "log.jsonl").read_text().splitlines() if (folder / "log.jsonl").exists() else []
        return Run(config, facts, [json.loads(line) for line in lines], _sources(config))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{folder} holds no readable run ({error}): name the folder that orientd-train fit wrote") from error


def _figures(measure: Path) -> dict[str, Any]:
    try:
        figures: dict[str, Any] = json.loads(measure.read_text())
        figures["model"]["sha256"], figures["shipped"]["false_interval"], figures["measured_on"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{measure} is no measurement ({error!r}): make one by orientd-train evaluate MODEL --out …") from error
    return figures


def _check(given: Path, figures: dict[str, Any], run: Run | None, measure: Path) -> None:
    model = figures["model"]
    try:
        other = not given.is_dir() and hashlib.sha256(given.read_bytes()).hexdigest() != model["sha256"]
    except OSError as error:
        raise ConfigError(f"{given} cannot be read ({error.strerror}): name a model file or a run folder") from error
    if other or (run and run.config.get("name") != model["name"]):
        raise ConfigError(f"{measure} was measured on another model ({model['name']}, SHA-256 {model['sha256'][:16]}…)")


def _sources(config: dict[str, Any]) -> dict[str, int]:
    """Photos trained on by group, of the prepared caches that a recipe names and that are still there."""
    train, counted = config.get("train"), Counter[str]()
    whole = "train" if train == config.get("validation") else ""
    for its in train if isinstance(train, list) else [{"path": train, "split": whole}]:
        manifest = Path(str(its["path"])) / "manifest.csv"
        if manifest.is_file():
            with manifest.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                counted.update(row["group"] for row in csv.DictReader(file) if its.get("split") in ("", row.get("split", "")))
    return dict(counted)


def _parameters(given: Path) -> str:
    if given.is_dir():
        from orientd_training.fit.checkpoint import load

        return f"{sum(p.numel() for p in load(given)[1].parameters()) / 1e6:.1f} million"
    from orientd_training.export.onnx_file import parameters

    counts = parameters(given)
    most = [(kind, count) for kind, count in counts.items() if count >= max(counts.values()) / 100]
    return ", ".join(f"{count / 1e6:.1f} million {kind}" if count >= 50_000 else f"{count:,} {kind}" for kind, count in most)


def _recipe(run: Run) -> dict[str, Any]:
    """What the template says of how a model was made."""
    best = max(run.log, key=lambda entry: entry.get("validation", 0.0), default={})
    return {
        "recipe": [(key, json.dumps(_anywhere(value))) for key, value in run.config.items()],
        "facts": [(key, str(_anywhere(value))) for key, value in _flat(run.facts)],
        "learned": {
            "photos": run.log[-1].get("photos", 0) if run.log else 0,
            "best": best.get("validation", 0.0),
            "after": best.get("photos", 0),
        },
    }


def _anywhere(value: Any) -> Any:
    """A value of a recipe without what is true of one machine alone: of an absolute path only the name stays."""
    if isinstance(value, dict):
        return {key: _anywhere(its) for key, its in value.items()}
    if isinstance(value, list):
        return [_anywhere(its) for its in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _flat(values: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
