"""What the command line offers for a setting is what the configuration takes."""

from dataclasses import fields
from typing import Literal, get_args, get_origin

import click
import pytest

from orientd.cli.helping import CODES
from orientd.cli.main import cli
from orientd.config import Config
from orientd.errors import ExitCode

SETTINGS = {option.name: option for option in fields(Config)}


def commands(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


OFFERED = [
    pytest.param(option, id=f"{name} --{option.name}")
    for name, command in commands(cli)
    if any(option.name == "state_dir" for option in command.params)  # else it takes no settings
    for option in command.params
    if isinstance(option, click.Option) and option.name in SETTINGS
]


@pytest.mark.parametrize("option", OFFERED)
def test_an_option_is_of_the_type_of_its_setting(option):
    kind = SETTINGS[option.name].type
    if get_origin(kind) is Literal:
        assert tuple(option.type.choices) == get_args(kind)
    elif kind in (int, float):
        assert option.type is {int: click.INT, float: click.FLOAT}[kind]
    else:
        assert isinstance(option.type, click.types.StringParamType | click.Path | click.types.BoolParamType)
    assert option.is_flag is (kind is bool)
    assert bool(option.secondary_opts) is (kind is bool), "what a configuration turns on or off can be turned the other way"
    assert option.multiple is (option.name == "exclude")


def test_settings_of_every_type_are_offered():
    offered = {case.values[0].name for case in OFFERED}
    assert {"provider", "workers", "min_confidence", "isolate", "fix", "exclude", "formats", "model", "state_dir"} <= offered
    assert len(offered) > 30


def test_the_table_of_exit_codes_has_each_of_them():
    assert [(int(number), meaning) for number, meaning in CODES[:-1]] == [(code.value, code.meaning) for code in ExitCode]
    assert all(code.meaning for code in ExitCode)
    assert [(code.name, code.value) for code in ExitCode] == [
        ("OK", 0),
        ("ERROR", 1),
        ("USAGE", 2),
        ("INCOMPLETE", 3),
        ("BUSY", 4),
        ("FOUND", 11),
        ("NO_WATCHER", 12),
        ("NO_REPORT", 73),
        ("UNAVAILABLE", 75),
        ("INTERRUPTED", 130),
    ]
