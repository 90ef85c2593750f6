"""Putting one photo right with the safe writer: nothing else in it changes, and `orientd undo` takes it back to the byte."""

import logging
import os
import shlex
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from orientd.api.settings import settings
from orientd.reasons import Reason
from orientd.records import Method, Row, Status, Verdict

_log: Final = logging.getLogger("orientd")


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change of one photo.

    path: its real path. turn: 90, 180 or 270 degrees clockwise. method: TAG or ROTATE (its pixels, without loss).
    orientation, new_orientation: EXIF values before (None: none is stored) and after. `remark`: why the method asked for is not
    used, if so. size, mtime_ns, sha256: of the file when this was planned; a file that has changed since is left alone.
    """

    path: str
    turn: int
    method: Method
    format: str
    orientation: int | None
    new_orientation: int
    size: int
    mtime_ns: int
    sha256: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Applied:
    """What happened: `status` is FIXED, UNCHANGED (it had that orientation) or FAILED, and `reason` says why in words.

    `run` is the number by which `orientd undo` takes it back; None if nothing was written.
    """

    path: str
    status: Status
    reason: str = ""
    reason_code: Reason | None = None
    run: int | None = None


def plan_change(path: str | os.PathLike[str], turn: int, *, method: str = "tag", hard_links: bool = False) -> Change:
    """See how a photo could be turned; nothing is written.

    Args:
        path: the photo, which viewers show as it is meant before the turn.
        turn: 90, 180 or 270 degrees clockwise.
        method: tag (a few bytes), rotate (its pixels, where that is proved to lose nothing, else the tag) or auto.
        hard_links: also a photo that has several names, all of which change.

    Raises:
        orientd.errors.PhotoError: it cannot be read, or (Refused) must not be written; `code` is its kind.
        orientd.errors.ConfigError: there is no such method.
        ValueError: there is no such turn.
    """
    from orientd.library import handed
    from orientd.library.reader import PhotoReader
    from orientd.orientation import UPRIGHT, turned
    from orientd.pipeline.stages import naming_of, plan_stage
    from orientd.write.rotate import planner

    if turn not in (90, 180, 270):
        raise ValueError(f"turn must be 90, 180 or 270, not {turn}")
    config = settings(method=method, hard_links=hard_links)
    photo = handed.by_path(os.fspath(path), PhotoReader(config, naming_of(config)).open)
    new = turned(photo.orientation, turn)
    by, remark, _ = plan_stage(config, planner(config.method, isolate=config.isolate))(photo, new)
    return Change(
        path=photo.path,
        turn=turn,
        method=by,
        format=photo.format.value,
        orientation=photo.orientation,
        new_orientation=UPRIGHT if by is Method.ROTATE else new,
        size=photo.stat.size,
        mtime_ns=photo.stat.mtime_ns,
        sha256=photo.sha256,
        remark=remark,
    )


def apply_change(change: Change, *, state_dir: str = "", hard_links: bool = False, wait: float = 0.0) -> Applied:
    """Carry out a change, noted in the journal before it is made; the old bytes stay if anything goes wrong.

    Args:
        state_dir: the folder of the journal; empty for the usual one, which the command `orientd` uses, too.
        hard_links: as for `plan_change`.
        wait: so many seconds for another orientd that is writing.

    Raises:
        orientd.errors.Busy: another orientd is writing.
        orientd.errors.OrientdError: the journal cannot be used, or the folder of the photo is not there.
    """
    from orientd import app

    config = settings(state_dir=state_dir, hard_links=hard_links)
    row = Row(
        change.path,
        format=change.format,
        orientation=change.orientation,
        turn=change.turn,
        decision=Verdict.FIX,
        new_orientation=change.new_orientation,
        method=change.method,
        size=change.size,
        mtime_ns=change.mtime_ns,
        sha256=change.sha256,
    )
    runs: list[int] = []
    command = shlex.join(["orientd.apply_change", change.path])
    folder = [os.path.dirname(change.path)]
    doing = app.apply(
        config, [row], folder, stop=lambda: False, notify=_log.warning, command=command, begun=runs.append, wait=wait
    )
    with closing(doing):
        [done] = doing  # to its end, or the run would count as interrupted
    return Applied(change.path, done.outcome, done.reason, done.reason_code, runs[0] if runs else None)
