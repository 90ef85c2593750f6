"""What a dry run can say about a write beforehand: that this user may not make it."""

from orientd import formats, orientation
from orientd.config import Config
from orientd.errors import PhotoError
from orientd.files import read, rights
from orientd.files.write import Mtime, fits_one_page
from orientd.library import sidecars
from orientd.records import Method, Patch, Row, Verdict


def rehearsed(row: Row, config: Config) -> Row:
    """A row of a dry run; if its photo is to be fixed and this user may not write it, the reason says so. No file is changed.

    The decision stays: the user who applies the plan may have the permission.
    """
    if row.decision is not Verdict.FIX:
        return row
    try:
        _check(row, config)
    except PhotoError as error:
        before = f" ({row.reason})" if row.reason else ""
        return row._replace(reason=f"it cannot be written now: {error}{before}", reason_code=error.code)
    except Exception:  # a file that has changed meanwhile may make a parser fail: the write reports that
        return row
    return row


def _check(row: Row, config: Config) -> None:
    dates, turn = Mtime(config.mtime) is not Mtime.NOW, row.turn or 0
    if row.method is Method.SIDECAR:
        sidecar = sidecars.find(row.path, config.sidecar_naming)
        patch = sidecar.plan(orientation.turned(row.orientation, turn), row.path)
        rights.check(sidecar.path, in_place=is_in_place(patch), dates=dates)
        return
    rights.check(row.path, in_place=True, dates=dates)
    try:
        rights.check(row.path, in_place=False, dates=dates)
    except PhotoError:
        if row.method is Method.ROTATE or not is_in_place(_patch(row.path, turn)):  # it is read only where that counts
            raise


def _patch(path: str, turn: int) -> Patch:
    data, _ = read.read_whole(path)
    format_ = formats.sniff(data)
    return formats.plan(format_, data, orientation.turned(formats.stored_orientation(format_, data), turn))


def is_in_place(patch: Patch) -> bool:
    """True if no other file is made for it."""
    return bool(patch.splices) and fits_one_page(patch)
