"""How orientd was called, for the commands that it prints (`orientd.commands`)."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from orientd import commands
from orientd.config import Config, usual_state_directory


def program(argv: Sequence[str], original: Sequence[str]) -> list[str]:
    """What starts orientd the way it was started now: its name if the shell finds that, else its path, or python -m orientd.

    Args:
        argv: `sys.argv`.
        original: `sys.orig_argv`.
    """
    called = argv[0]
    name = os.path.basename(called)
    if name in ("", "-c", "__main__.py"):
        return [original[0] if original else sys.executable, "-m", "orientd"]
    found = shutil.which(name)
    return [name if found and os.path.exists(called) and os.path.samefile(found, called) else called]


def say(flags: Mapping[str, object], file: str | None, config: Config) -> None:
    """Have the commands that are printed repeat what this one was given: flags by option name, and its configuration file.

    The state folder is repeated whenever it is not the usual one: the environment of a service is not that of a shell.
    """
    given = {name: value for name, value in flags.items() if value is not None and value != ()}
    given.pop("state_dir", None)
    if config.state_dir != usual_state_directory(os.environ):
        given["state_dir"] = config.state_dir
    if file:
        given["config"] = file
    root = click.get_current_context().find_root().command
    commands.called_as(program(sys.argv, sys.orig_argv), lambda words: list(_repeated(root, words, given)))


def _repeated(root: click.Command, words: Sequence[str], given: Mapping[str, object]) -> Iterator[str]:
    command, here = root, list(words)
    while isinstance(command, click.Group) and here and here[0] in command.commands:
        command = command.commands[here.pop(0)]
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if value is None or not isinstance(parameter, click.Option) or {*parameter.opts, *parameter.secondary_opts} & set(here):
            continue
        if parameter.is_flag:
            yield (parameter.opts if value else parameter.secondary_opts)[0]
        else:
            for one in value if isinstance(value, tuple | list) else [value]:
                yield from (parameter.opts[0], str(one))
