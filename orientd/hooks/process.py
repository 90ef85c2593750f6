"""A program of somebody else, run for a bounded time: nothing that it started in its group outlives it.

It is never run by a shell. Its working directory is /, so that it keeps no disk from being unmounted.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import Final

WITHIN: Final = "WITHIN_ORIENTD_HOOK"
"""Set in the environment of what is run."""
_TICK: Final = 0.05
_KEPT: Final = 4096
_DYING: Final = 5.0  # seconds; what a disk that hangs holds longer than that is left to the kernel


def run(command: Sequence[str], given: bytes, seconds: float, stop: Callable[[], bool]) -> tuple[int | None, str]:
    """Run it with `given` on its standard input, for so many seconds at most, or until `stop` is true.

    Returns:
        its exit status (negative: the signal that ended it), None if it was ended before; and the last line that it said.

    Raises:
        OSError: it cannot be started.
        ValueError: an argument cannot be handed over.
    """
    with TemporaryFile() as given_file:  # not a pipe: who does not read it, or not all of it, holds up nobody
        given_file.write(given)
        given_file.seek(0)
        process = subprocess.Popen(
            command,
            stdin=given_file,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=os.environ | {WITHIN: "1"},
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as said:
        os.set_blocking(said.fileno(), False)
        last, ended = b"", False
        try:
            until = time.monotonic() + seconds
            while not (ended := _has_ended(process)) and time.monotonic() < until and not stop():
                last = (last + _heard(said.fileno()))[-_KEPT:]
            last = (last + _read(said.fileno()))[-_KEPT:]
        finally:
            _end_group(process)
    lines = [line for line in last.decode("utf-8", "replace").splitlines() if line.strip()]
    return process.returncode if ended else None, lines[-1].strip() if lines else ""


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """True once it has; it is not reaped, so that its number stays that of its group."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # orientd was started with the end of its children ignored
        return True


def _heard(pipe: int) -> bytes:
    """What it says within a moment."""
    if not select.select([pipe], [], [], _TICK)[0]:
        return b""
    said = _read(pipe)
    if not said:
        time.sleep(_TICK)  # it has closed its output and still runs
    return said


def _read(pipe: int) -> bytes:
    with suppress(BlockingIOError):
        return os.read(pipe, 2**16)
    return b""


def _end_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_DYING)
