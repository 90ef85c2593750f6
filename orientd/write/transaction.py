"""Writes one change that is planned and proved: journal, write, read back, settle.

After a failed write, and after a kill, the file itself shows what happened: its hash is that of the new bytes, of the old bytes,
or neither. So the journal says what the disk holds, whichever system call failed or was never reached.
"""

import logging

from orientd.errors import PhotoError, WriteError
from orientd.files import read
from orientd.files import write as files
from orientd.files.syscalls import Disk
from orientd.reasons import Reason
from orientd.records import Method, Outcome, Patch, Status
from orientd.state.journal import Intent, Journal, Write, WriteStatus
from orientd.write.recover import examine, originals_of, read_now, settle_fixed, sha256_of

_log = logging.getLogger(__name__)


def carry_out(
    journal: Journal, run: int, intent: Intent, patch: Patch, data: bytes, allow_hard_links: bool, disk: Disk
) -> Outcome:
    """Journal a proven intent, write, and settle it by what the file holds then. `patch` leads from `data` to the new bytes.

    What cannot be opened for writing is not journalled: it may be tried for months.

    Raises:
        StateError: the journal cannot be written.
    """
    try:
        if intent.old_stat.nlink:
            files.check_writable(intent.path, disk)
    except PhotoError as error:
        return Outcome(intent.path, Status.FAILED, str(error), code=error.code)
    write = Write(journal.intend(run, intent), run, intent, WriteStatus.INTENDED, "", None)
    try:
        if intent.method == Method.ROTATE and intent.undoes is None:
            originals_of(journal, disk).keep(intent.temp, data)
        stat = files.write(
            intent.path,
            intent.old_stat,
            data,
            patch,
            intent.mtime_ns,
            intent.temp,
            allow_hard_links=allow_hard_links,
            disk=disk,
        )
        written, now = read_now(intent, disk)
        if not read.same_state(stat, now) or sha256_of(written) != intent.new_sha256:
            raise WriteError(
                Reason.DISK_TROUBLE, "it does not hold the bytes written: check the disk, and what else writes to it"
            )
    except PhotoError as error:
        return examine(journal, write, str(error), error.code, disk)
    return settle_fixed(journal, write, now, disk)


def journalled(method: str, patch: Patch) -> Patch:
    """What the journal holds of a patch. One that turns pixels changes nearly all bytes: a copy is kept instead (`Originals`)."""
    return Patch(()) if method == Method.ROTATE and not files.fits_one_page(patch) else patch
