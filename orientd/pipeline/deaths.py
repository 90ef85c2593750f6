"""After a crash: each file that was in hand is tried in a child process (`trial`); a file that crashes the child is left out.

If the child crashes, its current file is tried once more, alone in another child; if that survives, so are the files before it,
as memory that one file corrupts may crash a process at the next one. If the child is ended by others, or for its memory or its
time, no file is blamed.
"""

import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import Final, NamedTuple

from orientd import commands
from orientd.config import Config
from orientd.decode.children import FAULTS, receive, send
from orientd.errors import Stopped
from orientd.judge.judge import Judge
from orientd.reasons import Reason
from orientd.records import Candidate, Photo, Picture, Row, Verdict
from orientd.state.in_hand import DECODING, Hand, Held, named, stat_of

LEFT_OUT: Final = (
    "it makes orientd crash ({}): left out until it changes; open it in a viewer, or compare it with a backup, and please report "
    "it; to try it again: {}"
)
_PROGRAM: Final = (sys.executable, "-P", "-m")  # -P: nothing is imported from the current folder
_LOOK: Final = 0.5

Guilty = list[tuple[Held, str]]


class _End(NamedTuple):
    """How many files a child was done with when it ended, and the fault signal that ended it, if one did."""

    done: int
    fault: str


def look_after(
    hand: Hand,
    config: Config,
    notify: Callable[[str], None],
    stop: Callable[[], bool],
    again: Sequence[Held] = (),
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Try what dead processes had in hand, and `again` what was left out before.

    Once `stop` is true this ends, and the next start tries them. `alive` is called every now and then, as it may take minutes.

    Raises:
        StateError: the state folder cannot be used.
    """
    with suppress(Stopped), hand.left_behind() as left:
        if left:
            notify(f"an earlier run died or was killed {named(left)}: what it had in hand is tried first, each by itself")
        there = [held for held in dict.fromkeys([*(held for held, _ in left), *again]) if _is_still(held)]
        guilty = dict(_guilty(there, config, stop, alive))
        for held, fault in guilty.items():
            hand.leave_out(held, reason := LEFT_OUT.format(fault, commands.line("scan", "--rescan", held.path)))
            notify(f"{held.path}: {reason}")
        for held in again:
            if held not in guilty:
                hand.take_back(held)


@contextmanager
def noticed(hand: Hand, config: Config) -> Iterator[None]:
    """Where this process may die of a photo, another is there meanwhile to say so."""
    if config.isolate and config.provider == "cpu":
        yield
        return
    command: list[str] = [*_PROGRAM, "orientd.pipeline.death_notice", str(hand.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as other:
        try:
            yield
        finally:
            with suppress(BrokenPipeError):
                other.communicate(b"ended")


def known(hand: Hand, judge: Judge, *, isolate: bool) -> Callable[[Sequence[Candidate]], Sequence[Row]]:
    """The judge; what it judges is known to be in hand meanwhile, and what it decodes in this process, too."""

    def decode(photo: Photo, *, whole: bool = True) -> Picture:
        with hand.holding([Held.of(photo.path, photo.stat)], DECODING):
            return judge.decode(photo, whole=whole)

    inner = judge if isolate else replace(judge, decode=decode)

    def judged(candidates: Sequence[Candidate]) -> Sequence[Row]:
        with hand.holding([Held.of(each.path, each.stat) for each in candidates]):
            return inner(candidates)

    return judged


def left_out(hand: Hand, candidate: Candidate) -> Row | None:
    """The row of a file that is left out; None for all others."""
    path, stat = candidate.path, candidate.stat
    reason = "" if candidate.skip or candidate.error else hand.left_out(path, stat)
    row = Row(path, decision=Verdict.ERROR, reason=reason, size=stat.size, mtime_ns=stat.mtime_ns, reason_code=Reason.CRASHES)
    return row if reason else None


def why_left_out(hand: Hand, path: str) -> str:
    """Why the file at a path is left out, if it is."""
    try:
        return hand.left_out(path, stat_of(path))
    except OSError:  # opening it will report that
        return ""


def _guilty(files: Sequence[Held], config: Config, stop: Callable[[], bool], alive: Callable[[], None]) -> Guilty:
    """Those that kill a process, and by which signal."""
    found: Guilty = []
    while files:
        done, fault = _tried(files, config, stop, alive)
        if fault and len(files) == 1:
            return [*found, (files[0], fault)]
        if fault:
            suspects = [files[done : done + 1], *([each] for each in files[:done])]
            found += next(filter(None, (_guilty(each, config, stop, alive) for each in suspects)), [])
        files = files[done + 1 :]
    return found


def _tried(files: Sequence[Held], config: Config, stop: Callable[[], bool], alive: Callable[[], None]) -> _End:
    """Have a child try files one after the other. It is in a session of its own, so that Ctrl-C does not reach it."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*_PROGRAM, "orientd.pipeline.trial"], stdin=pipe, stdout=pipe, start_new_session=True) as child:
        assert child.stdin
        assert child.stdout
        done = -1  # the first answer says that it is ready
        try:
            send(child.stdin, {"config": asdict(config), "files": [list(held) for held in files]})
            while done < len(files):
                while not select.select([child.stdout], [], [], _LOOK)[0]:
                    alive()
                    if stop():
                        raise Stopped
                receive(child.stdout)
                done += 1
        except (BrokenPipeError, EOFError):
            pass
        except BaseException:
            child.kill()
            raise
        child.stdin.close()
        code = child.wait()
    if done < 0:  # it could not even begin, which is no file's fault
        return _End(len(files), "")
    return _End(done, signal.Signals(-code).name if -code in FAULTS else "")


def _is_still(held: Held) -> bool:
    with suppress(OSError):
        return held.is_still(stat_of(held.path))
    return False
