"""What was taken back, made again: each photo is turned once more as it was, as a write of its own that can be undone."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from orientd.errors import PhotoError, Refused
from orientd.files import write as files
from orientd.library import others
from orientd.orientation import TURNS
from orientd.reasons import Reason
from orientd.records import Method, Outcome, Row, Status, Verdict
from orientd.state.journal import Intent, Write
from orientd.write import undo_guard
from orientd.write.fix import Fixer, failure
from orientd.write.recover import read_now, sha256_of
from orientd.write.transaction import carry_out


def redo(fixer: Fixer, writes: Iterable[Write], fix: Callable[[Row], Outcome]) -> Iterator[Outcome]:
    """Make writes again that were taken back, the oldest first, as part of the fixer's run.

    A file that does not hold the bytes of before the write is left alone, with a reason. Photos go the whole way of `fix`.
    The journal holds how a sidecar was changed, and orientd must make exactly the same change today.
    """
    for write in writes:
        done = write.intent
        if done.method == Method.SIDECAR:
            yield _note_again(fixer, write)
        else:
            yield fix(_row(done))


def _row(done: Intent) -> Row:
    """What had a photo turned so."""
    p = done.probabilities
    return Row(
        done.path,
        turn=done.turn,
        probabilities=(p[0], p[1], p[2], p[3]) if len(p) == len(TURNS) else None,
        decision=Verdict.FIX,
        method=Method(done.method),
        size=done.old_stat.size,
        sha256=done.old_sha256,
    )


def _note_again(fixer: Fixer, write: Write) -> Outcome:
    done = write.intent
    try:
        others.check(done.path)
        data, stat = read_now(done, fixer.disk)
        held = sha256_of(data)
        if held == done.new_sha256:
            return Outcome(done.path, Status.UNCHANGED, "it is turned already", stat, held, code=Reason.DONE_BEFORE)
        if held != done.old_sha256:
            raise Refused(Reason.CHANGED, "it changed since that was taken back: left alone")
        new = done.patch.apply(data)
        undo_guard.admit(done, new, data)
    except (PhotoError, ValueError) as error:
        return failure(done.path, error)
    mtime_ns = fixer.mtime.after(stat.mtime_ns) if stat.nlink else None
    again = replace(done, old_stat=stat, new_sha256=sha256_of(new), mtime_ns=mtime_ns, temp=files.temp_name())
    return carry_out(fixer.journal, fixer.run, again, done.patch, data, fixer.allow_hard_links, fixer.disk)
