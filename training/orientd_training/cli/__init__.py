"""orientd-train: prepare, labels, fit, export, calibrate, evaluate, describe, all of it; draw-pages; and those of `pages`."""

import shlex
import sys
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from orientd import commands
from orientd.errors import ExitCode, OrientdError
from orientd_training.cli import labels, pages

# What the extra `train` brings, by the names under which it is imported.
EXTRA: Final = frozenset(
    {"torch", "torchvision", "timm", "onnx", "onnxscript", "safetensors", "jinja2", "scipy", "matplotlib", "tensorboard"}
)
_PATH = click.Path(path_type=Path)
_LISTED = 20


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Makes the model that orientd serves, and measures it."""


@cli.command()
@click.argument("sources", nargs=-1, required=True, type=_PATH)
@click.option("--out", required=True, type=_PATH, help="Cache folder to write.")
@click.option("--size", default=192, show_default=True, type=click.IntRange(32, 1024), help="Side of the square in pixels.")
@click.option("--validation", default=0.0, show_default=True, type=click.FloatRange(0, 0.9), help="Share to keep apart.")
@click.option("--validation-groups", default="", metavar="A,B,…", help="Keep these top folders apart instead.")
@click.option("--seed", default=0, show_default=True, help="Another seed keeps other photos apart.")
@click.option("--middle", is_flag=True, help="Take the middle square of each, not the whole squeezed: for the skew of pages.")
@click.option("--keep-duplicates", is_flag=True, help="Keep equal photos, and copies that disagree about what is upright.")
@click.option("--force", is_flag=True, help="Begin anew, whatever --out holds.")
def prepare(
    sources: tuple[Path, ...],
    out: Path,
    size: int,
    validation: float,
    validation_groups: str,
    seed: int,
    middle: bool,
    keep_duplicates: bool,
    force: bool,
) -> None:
    """Decode folders or zips of upright photos once into a cache; stopped, the same command goes on.

    Near-duplicates, turned ones too, and the photos of an album (a folder of at most 1,000 among several) are kept together:
    they are all to train on, or all to validate on.
    """
    from orientd_training.data.near_duplicates import Split
    from orientd_training.data.photoset import load
    from orientd_training.data.prepare import Why, in_words
    from orientd_training.data.prepare import prepare as run

    named = tuple(filter(None, validation_groups.split(",")))
    if validation and named:
        raise click.UsageError("give --validation or --validation-groups, not both")
    split = Split(validation, named, seed)
    done, dropped = run(
        sources, out, size, split=split, keep_duplicates=keep_duplicates, middle=middle, force=force, say=click.echo
    )
    unreadable = [entry for entry in dropped if entry.why is Why.UNREADABLE]
    for entry in unreadable[:_LISTED]:
        click.echo(f"left out: {entry.name}: {entry.reason}", err=True)
    if unreadable[_LISTED:]:
        click.echo(f"left out: {len(unreadable) - _LISTED:,} more that cannot be read", err=True)
    photos = load(out)
    apart = photos.splits.count("validation")
    click.echo(f"{done:,} photos in {out}, {apart:,} of them to validate on, in {len(set(photos.clusters)):,} separate groups")
    click.echo(f"left out: {in_words(dropped)}{f', listed in {out}/dropped.csv' if dropped else ''}")


@cli.command()
@click.option("--config", required=True, type=_PATH, help="Recipe (YAML), or the name of one that comes along, such as smoke.")
@click.option("--out", required=True, type=_PATH, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on where the run in --out stopped.")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
def fit(config: Path, out: Path, resume: bool, overrides: tuple[str, ...]) -> None:
    """Train by a recipe; Ctrl-C saves, and --resume goes on exactly there."""
    from orientd_training.config import load
    from orientd_training.fit.checkpoint import changed
    from orientd_training.fit.loop import Interrupted
    from orientd_training.fit.loop import fit as run

    recipe = load(config, overrides)
    for line in changed(recipe, out) if resume else ():
        click.echo(f"not as the run began: {line}", err=True)
    try:
        click.echo(f"best validation accuracy with one view: {run(recipe, out, resume):.4f}")
    except Interrupted as stopped:
        words = ["orientd-train", "fit", "--config", str(config), "--out", str(out), "--resume", *overrides]
        raise Interrupted(f"{stopped}; to go on: {shlex.join(words)}") from stopped


@cli.command()
@click.argument("run", type=_PATH)
@click.argument("other", type=_PATH)
@click.option("--share", default=0.3, show_default=True, type=click.FloatRange(0, 1), help="Share of OTHER's weights.")
@click.option("--out", required=True, type=_PATH, help="Folder of the mixed run.")
def mix(run: Path, other: Path, share: float, out: Path) -> None:
    """Mix the best weights of RUN with those of OTHER, which it began from."""
    from orientd_training.fit import checkpoint

    checkpoint.mix(run, other, share, out)


@cli.command()
@click.argument("run", type=_PATH)
@click.option("--photos", required=True, type=_PATH, help="Prepared photos to compare torch and the exported graph on.")
@click.option("--out", required=True, type=_PATH, help="ONNX file to write.")
@click.option("--int8", type=_PATH, help="Write the model in 8-bit integers here, too, unless it judges worse on --photos.")
@click.option("--calibration", type=_PATH, help="Prepared photos that trained the model, for --int8.")
def export(run: Path, photos: Path, out: Path, int8: Path | None, calibration: Path | None) -> None:
    """Export the best checkpoint of a run, not yet calibrated; the variant in integers is."""
    from orientd.infer.spec import ModelSpec
    from orientd_training.data.photoset import load as open_photos
    from orientd_training.export.onnx_file import export as write
    from orientd_training.fit.checkpoint import load

    if (int8 is None) != (calibration is None):
        raise click.UsageError("--int8 and --calibration go together")
    if int8 == out:
        raise click.UsageError("--int8 and --out are the same file")
    config, network = load(run)
    if config.skew:
        from orientd_training.report import testing

        if int8:
            raise click.UsageError("a skew model is not written in integers: leave --int8 out")
        click.echo(f"{out}: probabilities differ from torch's by at most {testing.export(run, open_photos(photos), out):.1e}")
        return
    size, compared = config.phases[-1].size, open_photos(photos)
    worst = write(network, ModelSpec(config.name, size), out, compared.pixels[:64])
    click.echo(f"{out}: probabilities differ from torch's by at most {worst:.1e}")
    if int8 and calibration:
        from orientd_training.export.quantise import in_words, quantise

        click.echo(f"{int8}: {in_words(quantise(out, int8, open_photos(calibration), compared))}")


_PHOTOS = click.option(
    "--photos", required=True, multiple=True, type=_PATH, help="Prepared photos that trained nothing; may be repeated."
)


@cli.command()
@click.argument("model", type=_PATH)
@click.option("--photos", multiple=True, type=_PATH, help="Prepared photos that trained nothing; may be repeated.")
@click.option(
    "--albums", multiple=True, type=_PATH, help="Folder of whole photos and truth.csv to fit the panel on; may be repeated."
)
@click.option(
    "--apart", multiple=True, help="Owner in --albums whose photos fit nothing and are reported apart; may be repeated."
)
@click.option("--without", multiple=True, help="Witness that is to be no part of the panel; may be repeated.")
@click.option("--false-per-1000", default=1.0, show_default=True, help="False turns per 1,000 upright photos that are bearable.")
@click.option("--search-prior", is_flag=True, help="Choose prior_upright, too; with --albums it always is.")
@click.option("--search-second-look", is_flag=True, help="Choose second_look_below, too; with --albums it always is.")
@click.option("--out", type=_PATH, help="Folder for tables and for what was seen, which is taken from there the next time.")
def calibrate(
    model: Path,
    photos: tuple[Path, ...],
    albums: tuple[Path, ...],
    apart: tuple[str, ...],
    without: tuple[str, ...],
    false_per_1000: float,
    search_prior: bool,
    search_second_look: bool,
    out: Path | None,
) -> None:
    """Fit the temperatures on --photos and weights, caps and policy of the panel of witnesses on --albums, and write them into
    MODEL; print the policies that fix most for the false turns they make."""
    if not photos and not albums:
        raise click.UsageError("give --photos, --albums or both")
    if albums and not out:
        raise click.UsageError("--albums needs --out")
    if photos:
        _calibrate_alone(model, photos, false_per_1000, search_prior, search_second_look, out)
    if albums and out:
        from orientd_training.data.albums import upright
        from orientd_training.report import panel

        panel.calibrate(model, upright(albums), apart, false_per_1000, out, click.echo, without)
        click.echo((out / panel.TABLES).read_text(encoding="utf-8"))


def _calibrate_alone(
    model: Path, photos: tuple[Path, ...], false_per_1000: float, search_prior: bool, search_second_look: bool, out: Path | None
) -> None:
    from orientd_training.evaluate.calibrate import PRIORS, SECOND_LOOKS, Search
    from orientd_training.report import evaluation

    search = Search(priors=PRIORS if search_prior else (), second_looks=SECOND_LOOKS if search_second_look else ())
    found = evaluation.calibrate(model, evaluation.held_out(photos), false_per_1000, search, out)
    for policy, its in found.frontier:
        if its.false_per_1000 <= 4 * false_per_1000:
            said = " ".join(f"{key} {value:g}" for key, value in asdict(policy).items())
            click.echo(f"{its.false_per_1000:.2f} per 1,000: {100 * its.mended:.1f} % fixed with {said}")
    _show({"temperature": found.temperature, "temperature_views": found.temperature_views})
    _show(asdict(found.policy) | asdict(found.score))


@cli.command()
@click.argument("models", nargs=-1, required=True, type=_PATH, metavar="MODEL…")
@_PHOTOS
@click.option("--out", type=_PATH, help="Folder for report.html, measure.json, errors.csv and contact sheets.")
@click.option("--against", multiple=True, type=_PATH, help="Model to compare with, photo by photo; may be repeated.")
def evaluate(models: tuple[Path, ...], photos: tuple[Path, ...], out: Path | None, against: tuple[Path, ...]) -> None:
    """Measure each MODEL (ONNX file, run folder or checkpoint) on photos that trained nothing, as it would be served."""
    from orientd_training.report import evaluation

    for figures in evaluation.evaluate(models, evaluation.held_out(photos), out, against):
        click.echo(f"\n{figures['model']['name']} ({figures['model']['file']})" if len(models) > 1 else "", nl=len(models) > 1)
        for warning in figures["warnings"]:
            click.echo(f"orientd-train: {warning}", err=True)
        _show(evaluation.summary(figures))


@cli.command()
@click.argument("model", type=_PATH, metavar="RUN_OR_MODEL")
@click.option("--measure", required=True, type=_PATH, help="measure.json that evaluate wrote for it.")
@click.option("--out", required=True, type=_PATH, help="Model card to write (Markdown).")
@click.option("--run", type=_PATH, help="Run folder that MODEL came from.")
@click.option("--data", type=click.File(encoding="utf-8"), help="What the photos were and their licences (Markdown).")
@click.option("--notes", type=click.File(encoding="utf-8"), help="Known errors and whatever else is worth telling (Markdown).")
@click.option("--licence", default="Apache-2.0", show_default=True, help="Licence of the weights.")
def describe(model: Path, measure: Path, out: Path, run: Path | None, data: Any, notes: Any, licence: str) -> None:
    """Write the model card of a model that evaluate has measured."""
    from orientd_training.files import replacing
    from orientd_training.report import model_card

    sections = model_card.Sections(data.read() if data else "", notes.read() if notes else "", licence)
    text = model_card.describe(model, measure, run, sections)
    with replacing(out) as partial:
        partial.write_text(text, encoding="utf-8")


@cli.command("all")
@click.option("--config", required=True, type=_PATH, help="Recipe (YAML), or the name of one that comes along, such as smoke.")
@click.option("--out", required=True, type=_PATH, help="Folder for caches, run, model, report and card.")
@click.option("--photos", multiple=True, type=_PATH, help="Folder or zip of upright photos; else the recipe's caches.")
@click.option("--validation-photos", multiple=True, type=_PATH, help="Such ones to validate on; else a share of --photos.")
@click.option("--validation", default=0.1, show_default=True, type=click.FloatRange(0.01, 0.9), help="That share.")
@click.option("--false-per-1000", default=1.0, show_default=True, help="False turns per 1,000 upright photos that are bearable.")
@click.option("--int8", is_flag=True, help="Try 8-bit integers, too.")
@click.option("--data", type=click.File(encoding="utf-8"), help="What the photos were and their licences (Markdown).")
@click.option("--notes", type=click.File(encoding="utf-8"), help="Known errors and whatever else is worth telling (Markdown).")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
def all_(
    config: Path,
    out: Path,
    photos: tuple[Path, ...],
    validation_photos: tuple[Path, ...],
    validation: float,
    false_per_1000: float,
    int8: bool,
    data: Any,
    notes: Any,
    overrides: tuple[str, ...],
) -> None:
    """Every step: prepare, fit, export, calibrate, evaluate, describe; stopped, the same command goes on."""
    from orientd_training import pipeline
    from orientd_training.config import load
    from orientd_training.report import evaluation, model_card

    if validation_photos and not photos:
        raise click.UsageError("--validation-photos needs --photos")
    figures = pipeline.run(
        load(config, overrides),
        out,
        photos=photos,
        validation=validation_photos,
        share=validation,
        false_per_1000=false_per_1000,
        int8=int8,
        sections=model_card.Sections(data.read() if data else "", notes.read() if notes else ""),
        say=click.echo,
    )
    _show(evaluation.summary(figures))


@cli.command("draw-pages")
@click.option("--out", required=True, type=_PATH, help="Folder to write; it is a source for prepare.")
@click.option("--count", default=6000, show_default=True, type=click.IntRange(1), help="Number of pictures.")
@click.option("--seed", default=1, show_default=True, help="Another seed draws other pictures.")
@click.option("--fonts", multiple=True, type=_PATH, help="Folder of fonts, more than one if repeated; else the system's.")
@click.option("--font-share", nargs=2, type=click.FloatRange(0, 1), default=(0, 1), show_default=True, help="Which families.")
@click.option("--backgrounds", type=_PATH, help="Prepared photos to take backgrounds and pictures from.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
def draw_pages(
    out: Path,
    count: int,
    seed: int,
    fonts: tuple[Path, ...],
    font_share: tuple[float, float],
    backgrounds: Path | None,
    jobs: int,
) -> None:
    """Draw upright pages, signs and screens with text in many scripts."""
    from orientd_training.data.pages import write
    from orientd_training.data.pages.fonts import find

    found = find(fonts, font_share)
    click.echo(f"{len({family for families in found.values() for family in families})} families of fonts, {len(found)} languages")
    _show(write(out, count, seed, found, backgrounds, jobs))


for _command in (labels.labels, pages.pages_model, pages.skew, pages.test, pages.draw_closeups):
    cli.add_command(_command)


def _hidden(command: click.Command) -> click.Command:
    """The same command, which the help does not list."""
    hidden = copy(command)
    hidden.hidden = True
    return hidden


cli.add_command(_hidden(draw_pages), "pages")  # the name that it had at first


def main() -> None:
    """Run the command line and exit."""
    try:
        cli.main(prog_name="orientd-train", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except OrientdError as error:
        click.echo(f"orientd-train: {error}", err=True)
        sys.exit(int(error.exit_code))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        brought = f'the extra "train" brings it: {commands.adding("train")}'
        click.echo(f"orientd-train: {missing} is not installed; {brought}", err=True)
        sys.exit(int(ExitCode.ERROR))


def _show(values: dict[str, Any]) -> None:
    for key, value in values.items():
        click.echo(f"{key}: {round(value, 6) if isinstance(value, float) else value}")
