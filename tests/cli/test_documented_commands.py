"""Every command that the documents show to be typed is one that orientd understands, with its options."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest

from orientd.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPERATORS = {"|", "&&", "||", "&", ">", ">>", "<"}


def typed(text):
    """The words behind `orientd` of every line of a block that begins with it, without comments and what the shell does."""
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"(?<=\n\n)((?: {4}orientd .*\n)+)", text)
    lines = [line.strip().removeprefix("$ ") for block in (*blocks, *indented) for line in block.splitlines()]
    for line in lines:
        if line.startswith("orientd "):
            yield list(takewhile(lambda word: word not in OPERATORS, shlex.split(line, comments=True)))[1:]


def understood(words, tmp_path):
    """See that click takes the words; what must be there is. Raises click.UsageError."""
    command, names = cli, []
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, names, words = command.commands[words[0]], [*names, words[0]], words[1:]
    if names == ["service", "install"]:
        words = [str(tmp_path) if word.startswith(("~", "/", "PATH")) else word for word in words]
    assert names, words
    assert not isinstance(command, click.Group) or not words or words[0].startswith("-"), words
    command.make_context(" ".join(names), list(words))


COMMANDS = [(path, words) for path in DOCUMENTS for words in typed(path.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("path", "words"), COMMANDS, ids=lambda value: value.stem if isinstance(value, Path) else " ".join(value)
)
def test_it_is_understood(path, words, tmp_path):
    understood(words, tmp_path)


def test_there_are_some():
    assert {path.stem for path, _ in COMMANDS} >= {
        "README",
        "cli",
        "configuration",
        "immich",
        "many-machines",
        "pages",
        "review",
        "json",
    }
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(
    "line", ["orientd scan ~/Pictures --fixx", "orientd undo last", "orientd models ad x", "orientd nothing"]
)
def test_what_is_not_understood_is_found(line, tmp_path):
    (words,) = typed(f"```sh\n{line}\n```\n")
    with pytest.raises((click.UsageError, AssertionError)):
        understood(words, tmp_path)
