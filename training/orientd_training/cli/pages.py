"""The commands about models for pages: pages-model and skew train one, test measures any, draw-closeups draws close-ups."""

from pathlib import Path
from typing import Any

import click

from orientd.errors import ConfigError

_PATH = click.Path(path_type=Path)
_FOLDERS = click.argument("folders", nargs=-1, type=_PATH, metavar="[FOLDER]…")
_OUT = click.option("--out", required=True, type=_PATH, help="Run folder: caches, checkpoints, model and report.")
_OUT_FOLDER = click.option("--out", required=True, type=_PATH, help="Folder to write; it is a source for prepare.")
_VALIDATION_PAGES = click.option(
    "--validation-pages",
    multiple=True,
    type=_PATH,
    help="Folder of pages to validate on; else a share of FOLDER. May be repeated.",
)
_SHARE = click.option("--validation", default=0.1, show_default=True, type=click.FloatRange(0.01, 0.9), help="That share.")
_SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe; may be repeated.")


@click.command("pages-model")
@_FOLDERS
@_OUT
@click.option("--config", default="pages", show_default=True, type=_PATH, help="Recipe (YAML), or the name of one.")
@_VALIDATION_PAGES
@_SHARE
@_SET
def pages_model(**given: Any) -> None:
    """Train a model that tells which of four ways is up on pages, from folders (or zips) of upright ones; without any, from the
    recipe's caches. Stopped, the same command goes on."""
    _learn(False, **given)


@click.command()
@_FOLDERS
@_OUT
@click.option("--config", default="skew", show_default=True, type=_PATH, help="Recipe (YAML), or the name of one.")
@_VALIDATION_PAGES
@_SHARE
@_SET
def skew(**given: Any) -> None:
    """Train a model that tells by how much a page is askew, within ±89°, from folders (or zips) of straight ones; without any,
    from the recipe's caches. Stopped, the same command goes on."""
    _learn(True, **given)


@click.command()
@click.argument("model", type=_PATH, metavar="RUN_OR_MODEL")
@click.option(
    "--photos", "--pages", multiple=True, required=True, type=_PATH, help="Prepared ones that trained nothing; may be repeated."
)
@click.option("--out", type=_PATH, help="Folder for test.html and test.json; of a run its report folder, if not given.")
def test(model: Path, photos: tuple[Path, ...], out: Path | None) -> None:
    """Test any model (ONNX file, run folder or checkpoint) with one view: loss, precision, recall, F1 by class, confusion; of
    skew how many answers are within 0.1, 0.25, 0.5 and 1°, and the mean and worst error."""
    from orientd_training.fit import tracking
    from orientd_training.pipeline import REPORT
    from orientd_training.report import evaluation, testing

    out = out or (model / REPORT if model.is_dir() else None)
    figures = testing.test(model, evaluation.held_out(photos), out)
    _show(testing.summary(figures))
    if out:
        click.echo(f"report: {out / testing.PAGE}")
        if model.is_dir() and (
            said := tracking.keep(model, [out / testing.PAGE, out / testing.FIGURES], REPORT, testing.scalars(figures))
        ):
            click.echo(said)


@click.command("draw-closeups")
@_OUT_FOLDER
@click.option("--count", default=10_000, show_default=True, type=click.IntRange(1), help="Number of pictures.")
@click.option("--seed", default=1, show_default=True, help="Another seed draws other pictures.")
@click.option("--fonts", multiple=True, type=_PATH, help="Folder of fonts, more than one if repeated; else the system's.")
@click.option(
    "--without", multiple=True, metavar="NAME", help="Font file, without its ending, that is not used; may be repeated."
)
@click.option(
    "--words", multiple=True, type=_PATH, help="Folder of translations (.mo), such as /usr/share/locale; may be repeated."
)
@click.option("--pages", type=_PATH, help="Folder of upright pages (JPEG) to cut some from, too.")
def draw_closeups(
    out: Path,
    count: int,
    seed: int,
    fonts: tuple[Path, ...],
    without: tuple[str, ...],
    words: tuple[Path, ...],
    pages: Path | None,
) -> None:
    """Draw upright close-ups of letters in many scripts, a few lines each."""
    from orientd_training.data.pages import closeups
    from orientd_training.data.pages.fonts import find

    numbers = closeups.write(out, count, seed, closeups.without(find(fonts), without), pages, words)
    _show({name: str(number) for name, number in numbers.items()})


def _learn(
    is_skew: bool,
    folders: tuple[Path, ...],
    out: Path,
    config: Path,
    validation_pages: tuple[Path, ...],
    validation: float,
    overrides: tuple[str, ...],
) -> None:
    from orientd_training import pipeline
    from orientd_training.config import load
    from orientd_training.report import testing

    if validation_pages and not folders:
        raise click.UsageError("--validation-pages needs FOLDER")
    recipe = load(config, overrides)
    if bool(recipe.skew) is not is_skew:
        kind, other = ("four turns", "pages-model") if is_skew else ("skew", "skew")
        raise ConfigError(f"{config}: it learns {kind}: give it to orientd-train {other}")
    figures = pipeline.learn(
        recipe,
        out,
        pages=folders,
        validation=validation_pages,
        share=validation,
        say=lambda text: click.echo(text) if text else None,
    )
    _show(testing.summary(figures))
    click.echo(f"report: {out / pipeline.REPORT / testing.PAGE}")


def _show(values: dict[str, str]) -> None:
    for key, value in values.items():
        click.echo(f"{key}: {value}")
