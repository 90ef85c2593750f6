"""Writes docs/cli.md, docs/configuration.md and the man page docs/orientd.1 from the commands and from the typed configuration.

python docs/generate.py          # after a change of a command, an option or an exit code
python docs/generate.py --check  # fails, and names them, if any of these files is not what it would write
"""

import re
import sys
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orientd.cli.examples import EXAMPLES  # noqa: E402
from orientd.cli.helping import CODES, grouped  # noqa: E402
from orientd.cli.main import cli  # noqa: E402
from orientd.config import HELP, OPTIONS  # noqa: E402

DOCS = ROOT / "docs"
_MADE = "<!-- Made by docs/generate.py: change the help texts in orientd/cli or orientd/config instead. -->"
Words = tuple[str, ...]


def commands(group: click.Group = cli, above: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    """Every command with the words that call it, in the order of the help; a group that does something by itself first."""
    names = [name for names in getattr(group, "sections", {}).values() for name in names] or sorted(group.commands)
    for name in names:
        command = group.commands[name]
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


def usage(words: Words, command: click.Command) -> str:
    """How it is typed; a number of a run and the like stand for themselves."""
    context = click.Context(command)
    arguments = [each.make_metavar(context) for each in command.params if isinstance(each, click.Argument)]
    return " ".join(["orientd", *words, "[OPTIONS]", *arguments])


def paragraphs(command: click.Command) -> list[str]:
    """The help of a command, a text for each paragraph."""
    text = cleandoc(command.help or "")
    return [" ".join(part.split()) for part in text.split("\n\n")]


def option_names(option: click.Option) -> str:
    """Such as `-n, --dry-run`, `--fix / --no-fix` or `--report FILE.csv`."""
    value = "" if option.is_flag or option.count else option.make_metavar(click.Context(cli))
    names = ", ".join(sorted(option.opts, key=len))
    if option.secondary_opts:
        return f"{names} / {', '.join(option.secondary_opts)}"
    return names + ("" if not value else value if value.startswith("[=") else f" {value}")


def options(command: click.Command) -> Iterator[tuple[str, list[click.Option]]]:
    for title, found in grouped(command.params):
        if own := [each for each in found if isinstance(each, click.Option)]:
            yield title, own


def about(option: click.Option) -> str:
    """Its help, with the default that click adds."""
    text = " ".join((option.help or "").split())
    default = f"{option.default:g}" if isinstance(option.default, int | float) else option.default
    return f"{text} [default: {default}]" if option.show_default else text


def escaped(text: str) -> str:
    """For Markdown: nothing in it is emphasis, a link or a tag."""
    return re.sub(r"([*<|\[\]])", r"\\\1", text)


def cli_page() -> str:
    lines = ["# Commands", "", _MADE, ""]
    lines += ["Every command with every option, as `orientd COMMAND --help` shows them."]
    lines += ["[Exit codes](scripting.md#exit-codes) are the same for all; [settings](configuration.md) may stand in a file.", ""]
    for words, command in commands():
        lines += [f"## orientd {' '.join(words)}", "", "```text", usage(words, command), "```", ""]
        for text in paragraphs(command):
            lines += [escaped(text), ""]
        if known := EXAMPLES.get(" ".join(words)):
            lines += ["```sh", *(f"orientd {line}  # {what}" for line, what in known), "```", ""]
        for title, found in options(command):
            lines += [f"**{title}**", ""] + [f"- `{option_names(each)}`: {escaped(about(each))}" for each in found] + [""]
    return "\n".join(lines).rstrip() + "\n"


def kind_in_words(kind: Any) -> str:
    """What a value of an option is."""
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return "a list of texts" if inner is str else "a list of " + ", ".join(f"`{choice}`" for choice in get_args(inner))
    names: Mapping[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(kind) or ("a whole number" if kind == int | None else "a number") + ", or `model`"


def default_as_written(default: Any) -> str:
    if default is None:
        return "`model`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(default)}]`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if default != "" else "empty"


def takers(name: str) -> list[str]:
    """The commands that have an option for a setting."""
    return [
        " ".join(words)
        for words, command in commands()
        if {name, "state_dir"} <= {each.name for each in command.params if isinstance(each, click.Option)}
    ]


def configuration_page() -> str:
    lines = ["# Configuration", "", _MADE, ""]
    lines += [cleandoc(_ABOUT_SETTINGS), ""]
    for name, option in OPTIONS.items():
        lines += [f"## {name}", "", escaped(HELP[name]), ""]
        lines += [f"- Value: {kind_in_words(option.type)}. Default: {default_as_written(option.default)}."]
        by = takers(name)
        variable = f"`ORIENTD_{name.upper()}`"
        if by and len(by) < len(takers("state_dir")):
            lines += [
                f"- Option `--{name.replace('_', '-')}` of {', '.join(f'`orientd {each}`' for each in by)}; {variable}.",
                "",
            ]
        elif by:
            lines += [f"- Option `--{name.replace('_', '-')}` of nearly every command; {variable}.", ""]
        else:
            lines += [f"- {variable}; no option of any command.", ""]
    return "\n".join(lines).rstrip() + "\n"


_ABOUT_SETTINGS = """
    Settings come from four places. Each is stronger than the one before: defaults, the configuration file, environment
    variables, options of a command.

    The file is `~/.config/orientd/orientd.yaml`, or what `--config FILE` names. It holds lines such as `workers: 2`. An option
    that does not exist is an error, and so is a value that does not fit. An example with every option is
    [configs/orientd.yaml](../configs/orientd.yaml).

    ```sh
    orientd config check  # names every mistake
    orientd config show   # prints every option with its value, and where that comes from
    ```

    In the environment a list is separated by colons (`ORIENTD_EXCLUDE='*.tmp:drafts'`), and a hook can only be an address.
"""


def roff(text: str) -> str:
    """Text for a man page: nothing in it is a command of roff, and hyphens can be copied."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("→", "\\(->").replace("×", "\\(mu")
    return re.sub(r"^([.'])", r"\\&\1", safe, flags=re.MULTILINE)


def man_page() -> str:
    lines = ['.\\" Made by docs/generate.py.', '.TH ORIENTD 1 "" orientd "User commands"', ".SH NAME"]
    lines += [roff("orientd - find photos that are displayed sideways or upside down, and fix them")]
    lines += [".SH SYNOPSIS", ".B orientd", roff("COMMAND [OPTIONS] [ARGUMENTS]"), ".SH DESCRIPTION"]
    lines += [line for text in paragraphs(cli) for line in (roff(text), ".PP")][:-1]
    lines += [".SH COMMANDS"]
    for words, command in commands():
        lines += [f".SS {roff(' '.join(['orientd', *words]))}", ".B", roff(usage(words, command))]
        for text in paragraphs(command):
            lines += [".PP", roff(text)]
        for line, what in EXAMPLES.get(" ".join(words), ()):
            lines += [".PP", ".nf", roff(f"    orientd {line}"), ".fi", roff(what)]
        for _, found in options(command):
            for each in found:
                lines += [".TP", f".B {roff(option_names(each))}", roff(about(each))]
    lines += [".SH EXIT STATUS"]
    for code, meaning in CODES:
        lines += [".TP", f".B {code}", roff(meaning)]
    lines += [".SH FILES"]
    for place, what in _FILES:
        lines += [".TP", f".I {roff(place)}", roff(what)]
    return "\n".join(lines) + "\n"


_FILES = (
    ("~/.config/orientd/orientd.yaml", "Configuration."),
    ("~/.local/state/orientd", "Journal, cache of photos already judged, copies of originals kept for undo."),
    ("~/.local/share/orientd/models", "Models that were added."),
)

PAGES = {"cli.md": cli_page, "configuration.md": configuration_page, "orientd.1": man_page}


def stale() -> list[str]:
    """Names of the files that are not what would be written."""
    kept = {name: (DOCS / name).read_text("utf-8") if (DOCS / name).exists() else "" for name in PAGES}
    return [name for name, make in PAGES.items() if kept[name] != make()]


def main(*arguments: str) -> int:
    if arguments == ("--check",):
        print(*(f"{name} is stale: run python docs/generate.py" for name in stale()), sep="\n")
        return 1 if stale() else 0
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
