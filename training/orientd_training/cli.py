"""orientd-train: prepare, fit, export, calibrate, evaluate."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from orientd.errors import OrientdError

_PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Makes the model that orientd serves, and measures it."""


@cli.command()
@click.argument("sources", nargs=-1, required=True, type=_PATH)
@click.option("--out", required=True, type=_PATH, help="Cache folder to write.")
@click.option("--size", default=192, show_default=True, type=click.IntRange(32, 1024), help="Side of the square in pixels.")
def prepare(sources: tuple[Path, ...], out: Path, size: int) -> None:
    """Decode folders or zips of upright photos once into a cache."""
    from orientd_training.photoset import prepare as run

    done, bad = run(list(sources), out, size)
    for line in bad:
        click.echo(f"left out: {line}", err=True)
    click.echo(f"{done} photos in {out}, {len(bad)} could not be decoded")


@cli.command()
@click.option("--config", required=True, type=_PATH, help="Recipe (YAML).")
@click.option("--out", required=True, type=_PATH, help="Folder of the run.")
@click.option("--resume", is_flag=True, help="Go on where the run in --out stopped.")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]…")
def fit(config: Path, out: Path, resume: bool, overrides: tuple[str, ...]) -> None:
    """Train by a recipe."""
    from orientd_training.config import load
    from orientd_training.fit import fit as run

    click.echo(f"best validation accuracy with one view: {run(load(config, overrides), out, resume):.4f}")


@cli.command()
@click.argument("run", type=_PATH)
@click.option("--photos", required=True, type=_PATH, help="Prepared photos to compare torch and the exported graph on.")
@click.option("--out", required=True, type=_PATH, help="ONNX file to write.")
def export(run: Path, photos: Path, out: Path) -> None:
    """Export the best checkpoint of a run, not yet calibrated."""
    from orientd.spec import ModelSpec
    from orientd_training.checkpoint import load
    from orientd_training.export import export as write
    from orientd_training.photoset import load as open_photos

    config, network = load(run)
    size = config.phases[-1].size
    worst = write(network, ModelSpec(config.name, size), out, open_photos(photos).pixels[:64])
    click.echo(f"{out}: probabilities differ from torch's by at most {worst:.1e}")


@cli.command()
@click.argument("model", type=_PATH)
@click.option("--photos", required=True, type=_PATH, help="Prepared photos that trained nothing.")
@click.option("--false-per-1000", default=1.0, show_default=True, help="False turns per 1,000 upright photos that are bearable.")
def calibrate(model: Path, photos: Path, false_per_1000: float) -> None:
    """Fit the temperatures, write them into MODEL, and print the policy that mends most."""
    from orientd.config import Config
    from orientd.infer import load_spec
    from orientd_training import calibrate as fitting
    from orientd_training.export import stamp
    from orientd_training.looks import collect
    from orientd_training.photoset import load

    looks = collect(model, load(photos))
    one, views = fitting.temperatures(looks)
    stamp(model, model, replace(load_spec(model), temperature=one, temperature_views=views))
    policy, result = fitting.policy(looks, Config().policy, false_per_1000)
    _show({"temperature": one, "temperature_views": views, **asdict(policy), **asdict(result)})


@cli.command()
@click.argument("model", type=_PATH)
@click.option("--photos", required=True, type=_PATH, help="Prepared photos that trained nothing.")
@click.option("--out", type=_PATH, help="Write the whole result here, too (JSON).")
def evaluate(model: Path, photos: Path, out: Path | None) -> None:
    """Measure MODEL at the shipped policy: accuracy, calibration, false turns, share mended, per group and overall."""
    from orientd_training.looks import collect
    from orientd_training.measure import measure
    from orientd_training.photoset import load

    result = measure(model, collect(model, load(photos)))
    if out:
        out.write_text(json.dumps(result, indent=1))
    _show({key: value for key, value in result.items() if key not in ("groups", "false")})


def main() -> None:
    """Run the command line and exit."""
    try:
        cli.main(prog_name="orientd-train", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except OrientdError as error:
        click.echo(f"orientd-train: {error}", err=True)
        sys.exit(int(error.exit_code))


def _show(values: dict[str, Any]) -> None:
    for key, value in values.items():
        click.echo(f"{key}: {round(value, 6) if isinstance(value, float) else value}")
