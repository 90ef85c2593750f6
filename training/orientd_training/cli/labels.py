"""orientd-train labels."""

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("photos", type=_PATH, metavar="CACHE")
@click.option("--model", "models", required=True, multiple=True, type=_PATH, help="ONNX model to ask; may be repeated.")
@click.option("--out", required=True, type=_PATH, help="Folder for labels.csv and contact sheets.")
@click.option("--share", default=0.03, show_default=True, type=click.FloatRange(0, 1), help="Share of the photos to list.")
@click.option("--pictures", default=300, show_default=True, type=click.IntRange(1), help="How many of them the sheets show.")
def labels(photos: Path, models: tuple[Path, ...], out: Path, share: float, pictures: int) -> None:
    """List the prepared photos that models take least for upright, and show some: those are to be looked at by eye.

    A file with the names of those that are wrong is what a recipe's leave_out reads.
    """
    from orientd_training.data.photoset import load
    from orientd_training.report import labels as report

    found = report.look(models, load(photos), out, share, pictures)
    click.echo(f"{len(found):,} photos in {out / report.LIST}, probability of upright up to {found[-1].upright:.3f}")
