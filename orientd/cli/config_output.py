"""What `orientd config show` prints: for people a configuration file, for programs JSON."""

import os
import sys
from collections.abc import Mapping

import click

from orientd.config import OPTIONS, Config
from orientd.config.shown import as_yaml, source_of
from orientd.report.json_lines import JsonLines
from orientd.report.text import printable


def show(config: Config, origins: Mapping[str, str]) -> None:
    """Print every option as a line of YAML, with its origin (see `config.origins`) as a comment."""
    ascii_only = "utf" not in sys.stdout.encoding.lower()
    click.echo("# An option without a comment has its default.")
    for name in OPTIONS:
        value = as_yaml(getattr(config, name), ascii_only=ascii_only)
        click.echo(f"{name}: {value}" + (f"  # {printable(origins[name])}" if name in origins else ""))


def show_json(config: Config, origins: Mapping[str, str]) -> None:
    """Print the same as one line of JSON; null is the value that was fitted with the model."""
    options = {
        name: {
            "value": getattr(config, name),
            "source": source_of(name, origins.get(name), os.environ),
            "origin": origins.get(name),
        }
        for name in OPTIONS
    }
    JsonLines(sys.stdout).write("config", {"options": options})
