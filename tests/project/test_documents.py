"""What the documents name is there, and what a user can call is documented: commands, options, exit codes, metrics, files."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from orientd_training.cli import cli as training

from orientd.cli.helping import CODES
from orientd.cli.main import cli
from orientd.config import OPTIONS
from orientd.errors import ExitCode

ROOT = Path(__file__).parents[2]
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md", "orientd/models/README.md")
DOCUMENTS = (*OUTSIDE, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
USER = ("README.md", *(name for name in DOCUMENTS if name.startswith("docs/")))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


FOLDERS = ("orientd/", "training/", "tests/", "benchmarks/", "configs/", "systemd/", "docs/")
STRANGERS = {"--out", "--kind", "--place", "--work", "--array", "--help"}  # of tests/power/run_cuts.py, of Slurm, of all
CRASHES = {"134", "139"}
every_document = pytest.mark.parametrize("name", DOCUMENTS)


def headings(text: str) -> set[str]:
    """What `#…` of a link may be."""
    return {
        re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-") for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def broken_links(text: str, folder: Path) -> list[str]:
    """Targets of Markdown links that are neither web addresses, nor files seen from `folder`, nor headings in them."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not leads_somewhere(target, text, folder)]


def leads_somewhere(target: str, text: str, folder: Path) -> bool:
    if target.startswith(("http://", "https://")):
        return True
    name, _, heading = target.partition("#")
    if name and not (folder / name).exists():
        return False
    return not heading or heading in headings((folder / name).read_text(encoding="utf-8") if name else text)


def missing_paths(text: str) -> list[str]:
    """Paths in code spans that start with a folder of the repository and are not there; NAME and * stand for anything."""
    words = (word for span in re.findall(r"`([^`\n]+)`", text) for word in span.split() if word.startswith(FOLDERS))
    return [word for word in words if not list(ROOT.glob(word.replace("NAME", "*").rstrip("/")))]


def leaves(command: click.Command, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is no group, with the words that call it, those above it first."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, *above, name)
    else:
        yield above, command


def unknown_flags(text: str, known: set[str]) -> set[str]:
    """Long options in code spans that are not known."""
    return {flag for span in re.findall(r"`([^`\n]+)`", text) for flag in re.findall(r"(?<!\S)--[a-z][a-z0-9-]+", span)} - known


def flags() -> set[str]:
    commands = [command for program in (cli, training) for _, command in leaves(program)]
    return {option for command in commands for each in command.params for option in (*each.opts, *each.secondary_opts)}


@every_document
def test_every_link_leads_somewhere(name):
    path = ROOT / name
    assert broken_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_broken_link_is_found():
    text = "# One thing\n[a](#one-thing) [b](#other) [c](README.md#install) [d](nowhere.md) [e](README.md#no) [f](https://x.org/)"
    assert broken_links(text, ROOT) == ["#other", "nowhere.md", "README.md#no"]


@pytest.mark.parametrize("name", [*OUTSIDE[:4], *USER])
def test_every_path_is_there(name):
    assert missing_paths((ROOT / name).read_text(encoding="utf-8")) == []


def test_a_missing_path_is_found():
    assert missing_paths("`tests/nowhere.py` `python tests/conftest.py --x` `configs/train/NAME.yaml`") == ["tests/nowhere.py"]


COMMANDS = dict(leaves(cli))


def section(words: tuple[str, ...]) -> str:
    return text_of("docs/cli.md").partition(f"\n## orientd {' '.join(words)}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_documented_with_every_option(words):
    named = set(re.findall(r"(?<!\S)--?[a-z][a-z0-9-]*", " ".join(re.findall(r"^- `([^`]+)`:", section(words), re.MULTILINE))))
    options = [each for each in COMMANDS[words].params if isinstance(each, click.Option) and not each.hidden]
    assert named == {name for each in options for name in (*each.opts, *each.secondary_opts)}
    assert section(words)


@pytest.mark.parametrize("words", [words for words, command in leaves(training) if not command.hidden], ids=" ".join)
def test_every_command_of_the_training_is_documented(words):
    assert re.search(rf"- `{words[0]}\b|orientd-train {words[0]}\b", text_of("docs/training.md"))


def test_every_setting_is_documented():
    assert re.findall(r"^## (\w+)$", text_of("docs/configuration.md"), re.MULTILINE) == list(OPTIONS)


def test_every_metric_is_documented():
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "orientd").rglob("*.py"))]
    metrics = {name for source in sources for name in re.findall(r"\borientd_[a-z_]+", source)}
    listed = set(re.findall(r"`(orientd_[a-z_]+)", text_of("docs/monitoring.md")))
    assert metrics - {"orientd_training"} == listed
    assert len(listed) > 10


@pytest.mark.parametrize("name", USER)
def test_every_flag_in_the_documents_exists(name):
    assert unknown_flags(text_of(name), flags() | STRANGERS) == set()


def test_an_unknown_flag_is_found():
    assert unknown_flags("`orientd scan --fix --fixx` --prose", flags()) == {"--fixx"}


def test_the_manual_and_the_help_have_every_exit_code():
    section = text_of("docs/scripting.md").partition("## Exit codes")[2].partition("\n## ")[0]
    rows = [
        (number, words.replace("`", "")) for number, words in re.findall(r"^\| (\d[\d, ]*) \| (.+) \|$", section, re.MULTILINE)
    ]
    assert rows[:-1] == [(str(code.value), code.meaning) for code in ExitCode]
    assert rows == list(CODES)
    assert set(rows[-1][0].split(", ")) == CRASHES


def test_the_license_is_the_one_that_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text, *of_witnesses = [(ROOT / name).read_text(encoding="utf-8") for name in project["license-files"]]
    assert project["license"] == "Apache-2.0 AND MIT"
    assert any("Permission is hereby granted, free of charge" in its for its in of_witnesses)
    assert len(of_witnesses) == len([*(ROOT / "orientd" / "models" / "witnesses").glob("LICENSE-*")])
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text
