"""Help: examples for each command, options in groups with their defaults, nothing cut off."""

import re

import click
import pytest
from click.testing import CliRunner

from orientd.cli.examples import EXAMPLES
from orientd.cli.helping import CODES, GROUPS, Command, Group, grouped
from orientd.cli.main import cli
from orientd.cli.options import default_in_words
from orientd.config import OPTIONS


def commands(group, *above):
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


EVERY = dict(commands(cli))
LEAVES = {words: command for words, command in EVERY.items() if not isinstance(command, click.Group)}


def shown(*words, width=100):
    ran = CliRunner().invoke(cli, [*words, "--help"], prog_name="orientd", terminal_width=width)
    assert ran.exit_code == 0
    return ran.output


def test_no_short_help_is_cut_off():
    for words in [(), *(words for words, command in EVERY.items() if isinstance(command, click.Group))]:
        assert not re.search(r"\w\.\.\.$", shown(*words), re.MULTILINE)


def test_every_command_stands_in_the_list_under_a_title():
    assert sorted(name for names in cli.sections.values() for name in names) == sorted(cli.commands)
    assert all(re.search(rf"^  {name} ", shown(), re.MULTILINE) for name in cli.commands)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_the_help_of_a_command_ends_with_the_exit_codes(words):
    assert isinstance(EVERY[words], Command | Group)
    assert shown(*words).endswith("".join(f"  {code:<3}  {meaning}\n" for code, meaning in CODES))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_a_command_has_examples_that_can_be_understood(words, tmp_path):
    lines = EXAMPLES[" ".join(words)]
    assert 1 <= len(lines) <= 2
    for line, about in lines:
        assert f"  orientd {line}\n    {about}" in shown(*words, width=200)
        assert line.split()[: len(words)] == list(words)
        rest = [word.strip("'") for word in line.split()[len(words) :] if word not in (">>", "~/.bashrc")]
        rest = [word.replace("~/Pictures", str(tmp_path)) for word in rest]
        assert LEAVES[words].make_context("orientd", rest)


def test_no_example_is_of_a_command_that_is_not_there():
    assert {tuple(words.split()) for words in EXAMPLES} <= set(EVERY)


def test_many_options_stand_in_groups_and_few_do_not():
    assert [title for title, _ in grouped(LEAVES["scan",].params)] == [
        title for title in GROUPS if title not in ("Server", "Watching")
    ]
    assert [title for title, _ in grouped(LEAVES["history",].params)] == ["Options"]
    every = [each for command in LEAVES.values() for each in command.params if isinstance(each, click.Option)]
    scattered = {each.name for command in LEAVES.values() for _, found in grouped(command.params) for each in found}
    assert scattered == {each.name for each in every}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_setting_shows_its_default_wherever_it_is_an_option(name):
    for words in LEAVES:
        options = {each.name: each for each in LEAVES[words].params if isinstance(each, click.Option)}
        if name in options and "state_dir" in options and words[-1] != "show" and (name != "fix" or words == ("watch",)):
            assert options[name].help.endswith(default_in_words(name))


def test_defaults_in_words():
    named = ("isolate", "hard_links", "min_confidence", "batch", "rate_limit", "formats", "model", "exclude")
    assert [default_in_words(name).strip() for name in named] == [
        "[default: on]",
        "[default: off]",
        "[default: model]",
        "[default: 8]",
        "[default: 0]",
        "[default: jpeg,mpo,png,webp,tiff,heif,avif]",
        "",
        "",
    ]
