"""How help looks: examples first, options in groups, no short help cut off, exit codes last."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import click

from orientd.cli.examples import EXAMPLES
from orientd.errors import ExitCode

_CRASHED: Final = ("134, 139", "crashed at a photo: run it again, and it finds the photo and leaves it out")
CODES: Final[Sequence[tuple[str, str]]] = (*((str(code.value), code.meaning) for code in ExitCode), _CRASHED)
"""Every exit code, with its meaning."""
_FEW: Final = 12
_LAST: Final = "General"
_WIDEST: Final = 1_000

GROUPS: Final[Mapping[str, Sequence[str]]] = {
    "What is looked at": (
        "files_from",
        "exclude",
        "exclude_file",
        "one_file_system",
        "first_look",
        "rescan",
        "shard",
        "cluster",
        "albums",
        "external",
        "taken_after",
        "taken_before",
        "archived",
    ),
    "What is done": (
        "fix",
        "folder",
        "straighten",
        "render",
        "crop",
        "plan",
        "method",
        "formats",
        "hard_links",
        "mtime",
        "sidecar",
        "sidecar_naming",
        "unattended",
        "wait",
    ),
    "What is printed and kept": (
        "report",
        "overwrite",
        "only",
        "excel",
        "html",
        "html_limit",
        "as_json",
        "quiet",
        "verbose",
        "when_found",
        "metrics_textfile",
    ),
    "Server": (
        "url",
        "key_file",
        "ca_file",
        "name",
        "listen",
        "browser",
        "read_only",
        "token_file",
        "queue",
        "max_body",
        "max_bodies",
        "max_seconds",
        "gather",
    ),
    "How sure it must be": ("model", "min_confidence", "prior_upright", "min_agreement", "second_look_below"),
    "Watching": (
        "observer",
        "when_missing",
        "settle",
        "walk_every",
        "poll_every",
        "quiet_hours",
        "rate_limit",
        "pause_on_battery",
        "metrics",
        "metrics_token_file",
        "metrics_open",
        "log_format",
    ),
    "Speed and limits": (
        "workers",
        "batch",
        "provider",
        "gpus",
        "gpu_memory",
        "max_pixels",
        "max_bytes",
        "max_memory",
        "isolate",
    ),
    _LAST: ("state_dir", "config"),
}
"""Options by topic, as commands name them; options without a topic are general."""


def words_of(context: click.Context) -> str:
    """The words that call a command, such as "models add"; empty for the program itself."""
    names = []
    while context.parent is not None:
        names.append(context.info_name or "")
        context = context.parent
    return " ".join(reversed(names))


def grouped(parameters: Sequence[click.Parameter]) -> Iterator[tuple[str, list[click.Parameter]]]:
    """(title, options) in the order in which they are shown; a command of few options has one group."""
    options = [each for each in parameters if isinstance(each, click.Option) and not each.hidden]
    if len(options) <= _FEW:
        yield "Options", list[click.Parameter](options)
        return
    titles = {name: title for title, names in GROUPS.items() for name in names}
    for title in GROUPS:
        if found := [each for each in options if titles.get(each.name or "", _LAST) == title]:
            yield title, list[click.Parameter](found)


class Command(click.Command):
    """A command whose help shows examples, and its options in groups."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        examples(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in grouped(self.get_params(ctx)):
            with formatter.section(title):
                formatter.write_dl([record for each in options if (record := each.get_help_record(ctx))])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        exit_codes(formatter)


class Group(click.Group):
    """A group that says of each command all that its first sentence says, under the titles of `sections` if there are any."""

    command_class = Command
    sections: Mapping[str, Sequence[str]] = {}

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        examples(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in (self.sections or {"Commands": self.list_commands(ctx)}).items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(_WIDEST)) for name in names])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if ctx.parent is not None:
            exit_codes(formatter)


def examples(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """What may be typed, each with what it does."""
    known = EXAMPLES.get(words_of(ctx), ())
    if known:
        formatter.write_paragraph()
        formatter.write_heading("Examples")
    for line, about in known:
        formatter.write(f"  {ctx.find_root().info_name} {line}\n")
        formatter.indent()
        formatter.indent()
        formatter.write_text(about)
        formatter.dedent()
        formatter.dedent()


def exit_codes(formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    formatter.write_heading("Exit codes")
    formatter.write("".join(f"  {code:<3}  {meaning}\n" for code, meaning in CODES))
