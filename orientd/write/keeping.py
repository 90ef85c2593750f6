"""Saves a person's verdicts on photos: next to the plan and, for photos that are to stay as they are, in the state folder, too.

There they are identified by their pictures, so that a later scan does not offer them again under any name, until `orientd offer`
or another verdict lifts that. Photos on servers are identified by their ids, whatever edits they have.
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from orientd import commands, formats
from orientd.config import Config
from orientd.errors import PhotoError, StateError
from orientd.files import read
from orientd.formats import fingerprint
from orientd.library.paths import real_place
from orientd.orientation import normalise
from orientd.reasons import Reason
from orientd.records import ON_SERVERS, Method, Notify, Row
from orientd.report import verdicts
from orientd.report.verdicts import Choice, PersonVerdict
from orientd.state.kept import Kept, KeptPhoto

_REASON: Final = "kept as it is, as a person said; to have it judged like any other: {}"


def save(config: Config, plan: str, given: Iterable[tuple[Row, Choice, int | None]], when: str, notify: Notify) -> None:
    """Save verdicts on rows of a plan, given at `when`: what was chosen and, for TURN, the turn. They are on the disk then.

    A photo that is to stay as it is gets read: the caller makes sure that it may be.

    Raises:
        ValueError: one of them is no verdict; none is saved.
        StateError: the disk says no.
    """
    said = list(given)
    verdicts.append(plan, (PersonVerdict(row.path, row.sha256, choice, turn, when) for row, choice, turn in said))
    last = {(row.path, row.sha256): (row, choice) for row, choice, _ in said}
    forget_keep(config, [row for row, choice in last.values() if choice is not Choice.KEEP], notify)
    remember_keep(config, [row for row, choice in last.values() if choice is Choice.KEEP], notify, plan)


def remember_keep(config: Config, rows: Sequence[Row], notify: Notify, plan: str = "") -> None:
    """Have photos not offered again by any scan; `plan` is the one on which a person said so. Each is read."""
    with Kept(config.state_dir, notify) as kept:
        kept.add(_kept_photo(row, os.path.abspath(plan) if plan else "") for row in rows)


def remember_lost(config: Config, rows: Iterable[Row], notify: Notify, plan: str) -> None:
    """As `remember_keep`, of those alone that are not known yet: the program may have died before it could note them."""
    with Kept(config.state_dir, notify) as kept:
        known = {photo.sha256 for photo in kept.photos()}
    remember_keep(config, [row for row in rows if row.sha256 not in known], notify, plan)


def forget_keep(config: Config, rows: Sequence[Row], notify: Notify) -> None:
    """Have photos judged like any other again; the verdicts on a plan stay."""
    with Kept(config.state_dir, notify) as kept:
        kept.lift((row.sha256 for row in rows), filter(None, (on_server(row.path) for row in rows)))


def lift(config: Config, which: Callable[[KeptPhoto], bool], notify: Notify, pictures: Sequence[str] = ()) -> set[str]:
    """Forget what is kept of some photos, or of some pictures, and withdraw the verdicts that said so.

    Returns:
        The paths at which they were.
    """
    with Kept(config.state_dir, notify) as kept:
        gone = kept.lift({photo.sha256 for photo in kept.photos() if which(photo)}, pictures)
    for plan in {photo.plan for photo in gone if photo.plan}:
        try:
            _withdraw(plan, {photo.sha256 for photo in gone})
        except StateError as error:
            notify(str(error))
    return {photo.path for photo in gone}


def _withdraw(plan: str, hashes: Collection[str]) -> None:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    said = [one for one in verdicts.read(plan).values() if one.choice is Choice.KEEP and one.sha256 in hashes]
    verdicts.append(plan, (one._replace(choice=Choice.WITHDRAWN, when=when) for one in said))


def on_server(path: str) -> str:
    """What identifies the picture of a photo on a server: its path without its name; "" for a file."""
    return "/".join(path.split("/")[:2]) if path.startswith(ON_SERVERS) else ""


def is_kept(kept: Kept, row: Row) -> bool:
    """True if a person wants the photo of a row as it is shown now."""
    return kept.holds(row.sha256, row.orientation, lambda: _picture(row)[0])


def as_kept(row: Row) -> Row:
    """The row of a photo that a person wants as it is shown, in the report of a scan."""
    reason = _REASON.format(commands.line("offer", row.path))
    return verdicts.as_kept(row)._replace(reason=reason, reason_code=Reason.KEPT)


def _kept_photo(row: Row, plan: str) -> KeptPhoto:
    picture, stored = _picture(row)
    shown = stored if stored is not None and row.method is not Method.SIDECAR else normalise(row.orientation)
    return KeptPhoto(real_place(row.path), row.sha256, shown, picture, plan)


def _picture(row: Row) -> tuple[str, int | None]:
    """The mark of the picture of a row, and the orientation that its file stores (1–8): if it is there, and as it was.

    Of a photo on a server nothing is read.
    """
    if mark := on_server(row.path):
        return mark, None
    try:
        data = read.read_whole(real_place(row.path))[0]
    except PhotoError:
        return "", None
    if sha256(data).hexdigest() != row.sha256:
        return "", None
    format_ = formats.sniff(data)
    marks = fingerprint.pictures(fingerprint.marks(format_, data))
    return (marks[0] if marks else ""), normalise(formats.stored_orientation(format_, data))
