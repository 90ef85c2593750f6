"""A model's panel, fitted on albums of whole photos and written into its metadata; what it may promise, as a page of tables."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.errors import ConfigError
from orientd.infer.engine import Engine, load_spec
from orientd.judge.panel import PanelSpec
from orientd.judge.policy import DEFAULT
from orientd.records import Notify
from orientd.witnesses.opened import open_witnesses
from orientd_training.data.albums import AlbumPhoto
from orientd_training.evaluate.calibrate import Search
from orientd_training.evaluate.panel_fit import heard
from orientd_training.evaluate.panel_table import FALSE, Line, lines
from orientd_training.evaluate.panel_trial import Crossed, Heard, Panel, crossed, folds, panel, said_by_others, spoken
from orientd_training.evaluate.predictions import shown
from orientd_training.evaluate.score import QUARTERS, Judged, judged
from orientd_training.evaluate.statistics import poisson
from orientd_training.evaluate.testimony import collect
from orientd_training.files import replacing

TABLES: Final = "panel.md"
FITTED: Final = "panel.json"
MISTAKES: Final = "turned.csv"
_EVIDENCE: Final = "evidence-{}.jsonl"

SEARCH: Final = Search(agreements=(1, 5, 6, 7, 8), priors=(0.8, 0.9, 0.95, 0.97, 0.99))


@dataclass(frozen=True)
class Figures:
    """What was measured of the `personal` photos, and by owner what the fitted panel does on those kept `apart`.

    `others` is what the fitted policy does with what voices say that were fitted on other owners; in `crossed` the policy, too,
    was chosen on those. `folders` is by folder of albums what a panel does that was fitted on the other folders.
    """

    fitted: Panel
    others: Judged
    crossed: Crossed
    personal: Heard
    apart: Mapping[str, Judged]
    folders: Mapping[str, Judged]
    lines: Sequence[Line]


def calibrate(
    model: Path,
    photos: Sequence[AlbumPhoto],
    apart: Sequence[str],
    false_per_1000: float,
    out: Path,
    say: Notify,
    without: Sequence[str] = (),
) -> Figures:
    """Ask all witnesses about the photos, fit weights, caps and policy, and write them into `model`.

    In `out` are put the evidence, so that the same command goes on where it was stopped, the numbers, the tables, and a list of
    the photos that would be turned by mistake.

    Args:
        apart: owners whose photos fit nothing.
        without: witnesses that are to be no part of the panel.

    Raises:
        ConfigError: too few owners or photos, or no policy keeps to that; the model is as it was.
        ModelError: `model` is no model of orientd.
        StateError: something cannot be written.
    """
    from orientd_training.export.onnx_file import stamp

    kept = out / _EVIDENCE.format(Engine(model).model_id)
    figures = measure(testimony(model, photos, kept, say, without), apart, false_per_1000)
    write(out, figures)
    spec = PanelSpec(figures.fitted.voices, figures.fitted.policy)
    with replacing(model) as partial:
        stamp(model, partial, replace(load_spec(model), panel=spec.to_json()))
    kept.replace(out / _EVIDENCE.format(Engine(model).model_id))  # it says of itself something else now, and sees the same
    return figures


def testimony(model: Path, photos: Sequence[AlbumPhoto], kept: Path | None, say: Notify, without: Sequence[str]) -> Heard:
    """What all witnesses that can be opened, but those `without`, say of the photos (see `collect`).

    Raises:
        ConfigError: there is no witness of that name.
    """
    engine = Engine(model)
    witnesses = open_witnesses(engine, say)
    if unknown := sorted(set(without) - set(witnesses)):
        raise ConfigError(f"--without {' '.join(unknown)}: there are the witnesses {', '.join(witnesses)}")
    heard_of = {name: its for name, its in witnesses.items() if its and name not in without}
    return collect(engine, heard_of, photos, kept, say)


def measure(everything: Heard, apart: Sequence[str], false_per_1000: float) -> Figures:
    """Fit on the photos of all owners that are not `apart`, and cross-fit.

    Raises:
        ConfigError: as `calibrate`.
    """
    owners = np.array(everything.looks.groups, dtype=object)
    strange = sorted(set(apart) - set(everything.looks.groups))
    if strange:
        raise ConfigError(f"none of the albums is of {', '.join(strange)}: give --apart the names that truth.csv has")
    personal = everything.pick(~np.isin(owners, list(apart)))
    part = folds(personal.looks.groups)
    fitted = panel(personal, part, DEFAULT, false_per_1000, SEARCH)
    strangers = {owner: everything.pick(owners == owner) for owner in apart}
    return Figures(
        fitted,
        judged(heard(shown(personal.looks), said_by_others(personal, part)), fitted.policy),
        crossed(personal, part, DEFAULT, false_per_1000, SEARCH),
        personal,
        {owner: judged(spoken(its, fitted.voices), fitted.policy) for owner, its in strangers.items()},
        dict(_by_folder(personal, part, false_per_1000)),
        tuple(lines(personal, part, fitted.policy)),
    )


def _by_folder(personal: Heard, part: NDArray[np.intp], false_per_1000: float) -> Iterator[tuple[str, Judged]]:
    folder = np.array([name.split("/")[0] for name in personal.looks.names], dtype=object)
    names = sorted(set(folder))
    for name in names if len(names) > 1 else ():
        mine = folder == name
        made = panel(personal.pick(~mine), part[~mine], DEFAULT, false_per_1000, SEARCH)
        yield name, judged(spoken(personal.pick(mine), made.voices), made.policy)


def write(out: Path, figures: Figures) -> None:
    """Put numbers, tables and the list of mistakes into a folder.

    Raises:
        StateError: they cannot be written.
    """
    fitted = PanelSpec(figures.fitted.voices, figures.fitted.policy).to_json()
    with replacing(out / FITTED) as partial:
        partial.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    with replacing(out / TABLES) as partial:
        partial.write_text("\n".join(page(figures)) + "\n", encoding="utf-8")
    with replacing(out / MISTAKES) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "owner", "shown", "turned", "confidence"))
        writer.writerows(_mistakes(figures))


def page(figures: Figures) -> Iterator[str]:
    """The tables in Markdown."""
    n, owners = len(figures.personal), len(set(figures.personal.looks.groups))
    yield f"{date.today().isoformat()}: {n:,} upright photos of {owners} owners, each also shown with the three turns.\n"
    yield "| witness | weight | cap | doubt |\n|---|---|---|---|"
    yield from (f"| {voice.witness} | {voice.weight:g} | {voice.cap:g} | {voice.doubt:g} |" for voice in figures.fitted.voices)
    looks = f"{100 * figures.others.second[:, 0].mean():.1f} % of the upright photos get a second look"
    yield "\n" + ", ".join(f"{key} {value:g}" for key, value in asdict(figures.fitted.policy).items()) + f"; {looks}."
    heads = (
        "",
        "upright",
        "turned by mistake",
        "per 1,000",
        "turned ones fixed",
        "to a wrong side",
        "unsure",
        "taken for upright",
    )
    yield f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    today = judged(shown(figures.personal.looks), DEFAULT)
    fitted = judged(spoken(figures.personal, figures.fitted.voices), figures.fitted.policy)
    yield _counts("scene alone, usual policy", today)
    yield _counts("**panel, its weights fitted on other owners**", figures.others)
    yield _counts("panel, its weights and its policy fitted on other owners", figures.crossed.judged)
    yield from (_counts(f"panel fitted on the other folders: {name}", its) for name, its in figures.folders.items())
    yield _counts("panel, judged on what it was fitted on", fitted)
    yield from (_counts(f"panel, {owner} (fitted nothing)", its) for owner, its in sorted(figures.apart.items()))
    yield from _by_witness(figures.lines)


def _by_witness(lines: Sequence[Line]) -> Iterator[str]:
    columns = (
        "witnesses next to the scene",
        "right where it is unsure",
        *(f"fixed at {count}" for count in FALSE),
        "fixed",
        "false turns",
        "to a wrong side",
        "fixed by all, not by these",
        "fixed by these, not by all",
    )
    yield f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
    for line in lines:
        shares = [f"{100 * share:.1f}" for share in (line.right, *line.mended, line.score.mended)]
        counts = [f"{count}" for count in (line.score.false, line.score.worse, line.lacking, line.more)]
        yield f"| {' | '.join([', '.join(line.witnesses) or 'none', *shares, *counts])} |"


def _counts(name: str, its: Judged) -> str:
    n = len(its.found)
    false, worse, mended = int(its.false.sum()), int(its.worse.sum()), int(its.mended.sum())
    low, high = (1000 * bound / n for bound in poisson(false))
    unsure = int((~its.fixed & (its.found != 0))[:, 1:].sum())
    parts = [
        name,
        f"{n:,}",
        f"{false}",
        f"{1000 * false / n:.2f} ({low:.2f}–{high:.2f})",
        f"{100 * mended / (3 * n):.1f} %",
        f"{worse} ({100 * worse / (3 * n):.2f} %)",
        f"{100 * unsure / (3 * n):.1f} %",
        f"{100 * float((its.found == 0)[:, 1:].mean()):.1f} %",
    ]
    return f"| {' | '.join(parts)} |"


def _mistakes(figures: Figures) -> Iterator[tuple[str, str, int, int, float]]:
    """The photos that voices fitted on other owners turn to a wrong side, the upright ones first, the surest first."""
    its, looks = figures.others, figures.personal.looks
    photos, shown_as = np.nonzero(its.fixed & (its.found != QUARTERS))
    order = sorted(range(len(photos)), key=lambda i: (shown_as[i] > 0, -its.confidence[photos[i], shown_as[i]]))
    for i in order:
        photo, quarters = photos[i], shown_as[i]
        turn, sure = 90 * int(its.found[photo, quarters]), round(float(its.confidence[photo, quarters]), 4)
        yield looks.names[photo], looks.groups[photo], 90 * int(quarters), turn, sure
