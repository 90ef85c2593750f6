"""The model card of a model: what it is, what it learned from, how it was made, how well it does and where it fails."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from orientd.errors import ConfigError
from orientd.orientation import TURNS

_NO_NOTES: Final = "Nobody has looked at the errors of this model yet: see `errors.csv` and the contact sheets of its evaluation."
_NO_DATA: Final = "The licences of these photos are not stated here: ask whoever trained the model."
_INPUT: Final = (
    "uint8 `pixels` (N, {size}, {size}, 3), RGB as viewers show the photo, squeezed to a square; normalisation is in the graph"
)
_SECOND: Final = "; the same graph takes squares of {side} pixels, too, for a second look"
_LIMITS: Final = (
    "It judges the four turns only, not mirror images or small tilts, and it sees the whole photo squeezed to a square of "
    "{size} pixels: small text tells it nothing. Some photos have no right way up. The figures hold for photos like those "
    "measured; for others they may be better or worse, as the table by source shows."
)


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
    sections = sections or Sections()
    parts = [
        f"# Model card: {_plain(figures['model']['file'])}",
        _facts(figures, _parameters(given), sections.licence),
        "## Data",
        _data(figures, made, sections.data),
        "## Recipe",
        _recipe(made),
        "## Figures",
        *_measured(figures),
        "## Limits",
        _LIMITS.format(size=figures["model"]["input_size"]),
        sections.notes.strip() or f"## What it gets wrong\n\n{_NO_NOTES}",
    ]
    return "\n\n".join(parts) + "\n"


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


def _facts(figures: dict[str, Any], parameters: str, licence: str) -> str:
    model = figures["model"]
    size, one, views = model["input_size"], model["temperature"], model["temperature_views"]
    second = model.get("second_size", 0)
    return _table(
        ["", ""],
        [
            ["name", model["name"]],
            ["input", _INPUT.format(size=size) + (_SECOND.format(side=second) if second else "")],
            ["output", "float32 `logits` (N, 4): turns of 0, 90, 180 and 270° clockwise"],
            ["temperatures", f"{one:g} for one view, {views:g} for eight; in the file's metadata (`orientd.spec`)"],
            ["parameters", parameters],
            ["file", f"{model['bytes'] / 1e6:.1f} MB, SHA-256 `{model['sha256']}`"],
            ["licence", f"{licence} for the weights file; see *Data* for what it learned from"],
        ],
    )


def _data(figures: dict[str, Any], run: Run | None, prose: str) -> str:
    said = [prose.strip() or _NO_DATA]
    digests = ", ".join(f"`{its['digest']}`" for its in figures.get("data", []))
    said.append(
        f"Measured on {figures['photos']:,} photos of {len(figures['groups'])} sources (caches {digests or 'not named'}), none "
        "of which may be among those it was trained on. They may have chosen the checkpoint, temperatures and policy"
        + (": how much that flatters, the policy chosen on half of the sources shows." if figures["cross_fitted"] else ".")
    )
    if run and run.sources:
        said.append(f"Trained on {sum(run.sources.values()):,} upright photos of {len(run.sources)} sources:")
        said.append(_table(["source", "photos"], [[_plain(name), f"{count:,}"] for name, count in sorted(run.sources.items())]))
    return "\n\n".join(said)


def _recipe(run: Run | None) -> str:
    if run is None:
        return "The run that made this model is not known."
    facts = [[f"`{key}`", f"`{_plain(str(_anywhere(value)))}`"] for key, value in _flat(run.facts)]
    said = [
        "```yaml\n" + "\n".join(f"{key}: {_plain(json.dumps(_anywhere(value)))}" for key, value in run.config.items()) + "\n```"
    ]
    if run.log:
        last, best = run.log[-1], max(run.log, key=lambda entry: entry.get("validation", 0.0))
        said.append(
            f"{last.get('photos', 0):,} pictures were learned from. The weights are those that validated best: "
            f"{100 * best.get('validation', 0.0):.2f} % right with one view, after {best.get('photos', 0):,}."
        )
    return "\n\n".join([*said, *([_table(["what trained it", ""], facts)] if facts else [])])


def _measured(figures: dict[str, Any]) -> Iterable[str]:
    one, eight, shipped = figures["accuracy_one_view"], figures["accuracy_eight_views"], figures["shipped"]
    yield (
        f"On {figures['photos']:,} photos, each shown with all four turns (`orientd-train evaluate`, {figures['measured_on']}); "
        "in brackets 95 % intervals, for means by drawing whole sources anew where there are several."
    )
    yield from figures.get("warnings", [])
    errors = [f"{figures[f'calibration_error_{look}']:.4f}" for look in ("one_view", "eight_views")]
    f1 = [f"{figures['macro_f1'][look]:.4f}" for look in ("one_view", "eight_views")]
    rows = [["accuracy, mean over the turns", *(_share(its["mean"], _widest(its)) for its in (one, eight))]]
    rows += [
        [f"needing {turn}°", *(_share(its[turn], its["intervals"][turn]) for its in (one, eight))] for turn in map(str, TURNS)
    ]
    yield _table(["", "one view", "eight views"], [*rows, ["macro F1", *f1], ["expected calibration error", *errors]])
    policy = ", ".join(f"`{key}` {value:g}" for key, value in figures["policy"].items())
    yield f"At the shipped policy ({policy}):"
    yield _table(["", ""], list(_policy(figures, shipped)))
    yield from _compared(figures)
    if len(figures["groups"]) > 1:
        yield "By source:"
        yield _table(["source", "photos", "one view", "eight views", "false turns", "mended"], list(_groups(figures)))


def _policy(figures: dict[str, Any], shipped: dict[str, Any]) -> Iterable[Sequence[str]]:
    photos, crossed = figures["photos"], figures["cross_fitted"]
    false = f"{shipped['false_per_1000']:.2f} ({_range(shipped['false_interval'], 1, 2)}), {shipped['false']} of {photos:,}"
    yield "false turns per 1,000 upright photos", false
    yield "wrongly shown photos mended", _share(shipped["mended"], _widest(shipped, "mended_"))
    yield "wrongly shown photos turned to another wrong side", f"{shipped['worse']:,} of {3 * photos:,}"
    yield "upright photos that needed a second look", f"{100 * shipped['second']:.1f} %"
    for its in figures["base_rate"]:
        yield f"of the turns made are wrong, if 1 photo in {its['wrong_in']:,} is", _share(its["turns_wrong"], its["interval"])
    if crossed:
        asked = (
            f"policy chosen on half of the sources for {crossed['asked_false_per_1000']:g} per 1,000, judged on the other half"
        )
        yield asked, f"{crossed['false_per_1000']:.2f} per 1,000, {100 * crossed['mended']:.1f} % mended"


def _compared(figures: dict[str, Any]) -> Iterable[str]:
    rows = [("accuracy, one view", "accuracy_one_view", 100), ("accuracy, eight views", "accuracy_eight_views", 100)]
    rows += [("mended", "mended", 100), ("false turns per 1,000", "false_per_1000", 1)]
    for name, its in figures["against"].items():
        yield f"Against {_plain(name)}, photo by photo:"
        yield _table(
            ["", "this model", "the other", "difference", "p"],
            [
                [
                    title,
                    f"{scale * pair['a']:.2f}",
                    f"{scale * pair['b']:.2f}",
                    f"{scale * pair['difference']:+.2f}"
                    + (f" ({_range(pair['interval'], scale, 2)})" if pair["interval"] else ""),
                    "< 0.0001" if pair["p"] < 1e-4 else f"{pair['p']:.4f}",
                ]
                for title, key, scale in rows
                for pair in [its[key]]
            ],
        )


def _groups(figures: dict[str, Any]) -> Iterable[Sequence[str]]:
    for name, its in figures["groups"].items():
        shares = (its["accuracy_one_view"]["mean"], its["accuracy_eight_views"]["mean"])
        accuracies = [f"{100 * share:.1f} %" for share in shares]
        yield _plain(name), f"{its['photos']:,}", *accuracies, f"{its['false']}", _share(its["mended"], its["mended_interval"])


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


def _widest(figures: dict[str, Any], prefix: str = "") -> Sequence[float]:
    interval: Sequence[float] = figures[f"{prefix}group_interval"] or figures[f"{prefix}interval"]
    return interval


def _share(share: float, interval: Sequence[float]) -> str:
    return f"{100 * share:.1f} % ({_range(interval, 100, 1)})"


def _range(interval: Sequence[float], scale: float, digits: int) -> str:
    return " to ".join(f"{scale * bound:.{digits}f}" for bound in interval)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _plain(text: str) -> str:
    """Text that breaks no table and no file: a bar is escaped, bytes that are no UTF-8 are written as \\udcXX."""
    return text.encode("utf-8", "backslashreplace").decode().replace("|", "\\|").replace("\n", " ")
