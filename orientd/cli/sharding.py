"""The option --shard, and the parts that come of it."""

import os
from collections.abc import Callable, Collection
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from orientd import __version__, commands
from orientd.cli.helping import Group
from orientd.cli.notifying import Notifier
from orientd.cli.options import configured
from orientd.cli.quiet import quietly
from orientd.config import Config
from orientd.errors import ConfigError
from orientd.records import Verdict

if TYPE_CHECKING:
    from orientd.cli.session import Session
    from orientd.library.shard import Part

_MOST_NAMED = 8  # folders, in the command that is printed


def sharding(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option."""
    about = "Judge only the I-th of N parts, for one of several machines; env or env/N takes I from Slurm or Kubernetes."
    return click.option("--shard", metavar="I/N", help=about)(command)


def in_parts(function: Callable[..., int]) -> Callable[..., int]:
    """Pass the `part` asked for to a command with that option, and write its manifest; apply it inside of `notifying`."""

    @wraps(function)
    def around(config: Config, notifier: Notifier, shard: str | None, report: str | None, **values: Any) -> int:
        if shard is None:
            return function(config=config, notifier=notifier, part=None, report=report, **values)
        part, report = _part_of(shard, report, fix=values["fix"], only=values["only"])
        code = function(config=config, notifier=notifier, part=part, report=report, **values)
        if notifier.session and notifier.session.complete:
            _leave_manifest(part, config, notifier.session)
        return code

    return around


def _part_of(shard: str, report: str | None, *, fix: bool, only: Collection[Verdict]) -> tuple["Part", str]:
    """The part that is asked for, and where its plan goes: into a folder under a name with the number of the part.

    Raises:
        ConfigError: a part cannot be judged so.
    """
    from orientd.library.shard import Part, parse
    from orientd.report.manifest import name_of_part

    if only:
        raise ConfigError("--only leaves rows out, and the parts of a plan have all of them: leave out --only")
    if fix:
        raise ConfigError(
            "--shard only judges, as what is written must have one journal: leave out --fix, put the parts together with "
            f"{commands.line('plan', 'merge')}, and apply the plan"
        )
    if report == "-":
        raise ConfigError("--shard leaves a second file next to the plan: name a file or a folder with --report")
    part = Part(parse(shard, os.environ))
    if not report or os.path.isdir(report):
        report = os.path.join(report or "", name_of_part(part.shard.number, part.shard.of))
    return part, report


def _leave_manifest(part: "Part", config: Config, session: "Session") -> None:
    """Write the manifest of a finished part next to it. Raises ReportError if it cannot be written."""
    from orientd.library.exclude import read_patterns
    from orientd.pipeline.stages import model_name
    from orientd.report.manifest import Manifest, sha256_of

    tally, path, _ = session.so_far
    settings = {
        "exclude": [*config.exclude, *read_patterns(config.exclude_file)],
        "one_file_system": config.one_file_system,
        "method": config.method,
    }
    Manifest(
        shard=part.shard.number,
        of=part.shard.of,
        orientd=__version__,
        model=model_name(config),
        judged_by=part.judged_by,
        settings=settings,
        roots=part.roots,
        listed=part.listed,
        places=part.places,
        linked=part.linked,
        counts={verdict.value: tally.count(verdict) for verdict in Verdict},
        sha256=sha256_of(path),
    ).leave(path)


@click.group(cls=Group)
def plan() -> None:
    """Merge the parts of a plan that several machines made."""


@plan.command()
@click.argument("parts", nargs=-1, required=True, metavar="PART.csv…", type=click.Path())
@click.option("--out", required=True, metavar="PLAN.csv", help="Where to write the plan.")
@click.option("--overwrite", is_flag=True, help="Replace a plan also if it was changed since orientd wrote it.")
@quietly
@configured()
def merge(config: Config, parts: tuple[str, ...], out: str, overwrite: bool, quiet: bool) -> int:
    """Make one plan of all the parts that scan --shard wrote: the one that a scan on one machine would have written.

    Each part must have its .json next to it. No part may be missing, come twice, or have been judged with other settings. Photos
    that were taken back, by the journal of this machine, are left alone.
    """
    from datetime import datetime

    from orientd.cli.kept_report import KeptReport
    from orientd.cli.session import Session
    from orientd.cli.stopping import stoppable
    from orientd.library.paths import few
    from orientd.pipeline.merging import merged
    from orientd.report.manifest import Manifest, check_together

    found = {part: Manifest.load(part) for part in parts}
    check_together(found)
    if any(os.path.exists(out) and os.path.samefile(part, out) for part in parts):
        raise ConfigError("the plan would replace one of its parts: choose another --out")
    session = Session(KeptReport(out, config.state_dir, datetime.now(), overwrite=overwrite), False, quiet, False, wrote=False)
    with stoppable() as stop, session:
        session.expect(sum(sum(part.counts.values()) for part in found.values()))
        for row in merged(config, found, session.notify):
            if stop():
                break
            session.add(row)
        roots = next(iter(found.values())).roots
        return session.finish(interrupted=stop(), below=few(roots, _MOST_NAMED))
