"""The commands about models."""

import click

from orientd.cli.helping import Group
from orientd.cli.options import configured
from orientd.config import Config
from orientd.errors import ExitCode
from orientd.infer.spec import PRESETS


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard output.")
@configured("model")
@click.pass_context
def models(context: click.Context, config: Config, as_json: bool) -> int:
    """List the models there are, or check, add, remove and export them. The one in use has a mark.

    Those added are kept below $XDG_DATA_HOME/orientd/models (~/.local/share); --model takes their names.
    """
    from orientd.cli import json_output, output
    from orientd.infer import registry
    from orientd.pipeline import stages

    if context.invoked_subcommand:
        return ExitCode.OK
    in_use = stages.chosen_model(config)
    listed = registry.models(stages.models_folder())
    known = [registry.facts(model, in_use) for model in dict.fromkeys([*listed, in_use])]
    return output.models(known, json_output.lines(as_json))


@models.command()
@click.argument("name", required=False)
@configured("model")
def verify(config: Config, name: str | None) -> int:
    """Check one model, or all: its SHA-256 against the record, what it says of itself, and that it answers to a drawn picture."""
    from orientd.cli import output
    from orientd.cli.doctor import checked
    from orientd.infer import registry
    from orientd.pipeline import stages

    listed = registry.models(stages.models_folder())
    wanted = [registry.find(name, stages.models_folder())] if name else dict.fromkeys([*listed, stages.chosen_model(config)])
    return output.findings([checked(model.name, model.verify) for model in wanted])


@models.command()
@click.argument("file")
@click.option("--name", default="", help="Name to give it (default: that of the file).")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="Whose model it is, if the file does not say how to use it.")
@click.option("--sha256", default="", metavar="HEX", help="SHA-256 that the file must have.")
@configured()
def add(config: Config, file: str, name: str, preset: str | None, sha256: str) -> int:
    """Copy a model FILE (.onnx), once it has proved to be one. The network is never used: download it yourself."""
    from orientd.cli import output
    from orientd.infer import registry
    from orientd.pipeline import stages

    added = registry.add(file, stages.models_folder(), name, preset or "", sha256)
    return output.added(added.name, added.spec().calibrated)


@models.command()
@click.argument("name")
@configured()
def remove(config: Config, name: str) -> int:
    """Delete a model that was added."""
    from orientd.infer import registry
    from orientd.pipeline import stages

    registry.remove(name, stages.models_folder())
    return ExitCode.OK


@models.command()
@click.argument("folder", metavar="DIR", type=click.Path())
@click.argument("name", required=False)
@configured("model")
def export(config: Config, folder: str, name: str | None) -> int:
    """Write a model (the one in use, or NAME) into DIR for programs that run it without orientd: in Go, C#, JavaScript or Python.

    The ONNX file, model.json with what must be known to run it, its card and licence, and reference.py, which gives the same
    probabilities with ONNX Runtime alone. What the witnesses know is not in it.
    """
    from pathlib import Path

    from orientd.infer import exported, registry
    from orientd.pipeline import stages
    from orientd.report.text import printable

    model = registry.find(name, stages.models_folder()) if name else stages.chosen_model(config)
    for path in exported.export(model, Path(folder)):
        click.echo(printable(str(path)))
    return ExitCode.OK
