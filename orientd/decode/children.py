"""Child processes that do what hostile bytes may kill, so that these do not take orientd along: one for each thread that asks.

A question and its answer are a line of JSON each, through pipes; the bytes that go with them are in a file in memory that both
have open (`memfd_create`), which costs less than half of what they would through the pipes. A child has a limit of memory
(`RLIMIT_AS`) and two of time, by its processor and by the clock, which end it whatever its libraries are doing. One that dies is
replaced when the next question comes. It ends once its pipe is closed, so none outlives orientd, however that ends; and being in
a session of its own, it does not notice Ctrl-C. What it is not is a sandbox: it runs as the same user.
"""

import json
import os
import select
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from orientd.errors import DecodeError, Refused, Stopped
from orientd.reasons import Reason

FAULTS: Final = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}
)
"""The signals that end a process for what it does itself."""

WALL: Final = 10
"""Times the processor time of a question that it may take by the clock: on a busy machine a child waits for its turn."""

_COMMAND: Final = (sys.executable, "-P", "-m", "orientd.pipeline.child")  # -P: nothing is imported from the current folder
_SETTINGS: Final = {
    "OPENBLAS_NUM_THREADS": "1",  # each thread, and each arena of glibc, would take address space
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),  # bytes: up to these freed memory is used again, as fresh memory costs time;
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),  # glibc would get there by itself, but only once it has seen large photos
}
_LOOK: Final = 0.2  # seconds between two looks at whether to stop
_ENDED: Final = 5.0  # seconds that a child has to end once its pipe is closed or broken
_KEPT: Final = 16 * 2**20  # bytes of the file in memory that stay for the next photo: fresh ones cost time


class Limits(NamedTuple):
    """What one question may take: seconds of processor time, and bytes of address space."""

    seconds: float = 60.0
    memory: int = 4 * 2**30


DECODING: Final = Limits()


class _Crashed(Exception):
    pass


class Children:
    """Asks child processes, from several threads at once. They end with it, or with the program."""

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        """`command` starts a child; it gets the number of its file in memory as its last argument."""
        self.command = command
        self._idle: list[_Child] = []
        weakref.finalize(self, _end, self._idle)

    def ask(
        self,
        question: dict[str, Any],
        parts: Sequence[bytes],
        limits: Limits = DECODING,
        stop: Callable[[], bool] | None = None,
    ) -> tuple[dict[str, Any], bytes]:
        """The answer to a question about some bytes, and the bytes that come with it.

        A photo is blamed for a crash only if it crashes a child that has seen no other photo: memory that one photo corrupts may
        kill the child at the next one.

        Raises:
            Stopped: `stop` has become true, and the child was ended.
            DecodeError, Refused: what the child reports about the photo; also DecodeError if the photo crashes a child.
            TimeoutError, MemoryError: it takes more time or memory than a photo may; another day it may not.
            OSError, RuntimeError: no child could be started, or another process ended it.
        """
        child = self._next()
        used = child.used
        try:
            return self._asked(child, question, parts, limits, stop)
        except _Crashed as crash:
            if used:
                with suppress(_Crashed):
                    return self._asked(_Child(self.command), question, parts, limits, stop)
            raise DecodeError(
                Reason.CRASHES, f"its data makes the decoder crash ({crash}): open it in a viewer, or compare it with a backup"
            ) from None

    def end(self) -> None:
        """End those that have nothing to do; others are started when they are needed."""
        _end(self._idle)

    def _next(self) -> "_Child":
        while self._idle:
            with suppress(IndexError):  # another thread may be faster
                child = self._idle.pop()
                if child.process.poll() is None:
                    return child
                child.end()
        return _Child(self.command)

    def _asked(
        self,
        child: "_Child",
        question: dict[str, Any],
        parts: Sequence[bytes],
        limits: Limits,
        stop: Callable[[], bool] | None,
        again: bool = False,
    ) -> tuple[dict[str, Any], bytes]:
        try:
            said, body = child.ask({**question, **limits._asdict()}, parts, stop)
        except (BrokenPipeError, EOFError):
            code = child.end()
            # The kernel wakes the child first and sends SIGIO then: if late, that is taken for the end of its parent.
            if code == -signal.SIGIO and not again:
                return self._asked(_Child(self.command), question, parts, limits, stop, again=True)
            raise _cause(code, limits) from None
        except BaseException:
            child.process.kill()
            child.end()
            raise
        self._idle.append(child)
        if "memory" in said:
            raise MemoryError(f"decoding needs more than {limits.memory // 2**20:,} MiB of memory")
        if "refused" in said:
            raise Refused(Reason(said["code"]), said["refused"])
        if "error" in said:
            raise DecodeError(Reason(said["code"]), said["error"])
        return said, body


class _Child:
    def __init__(self, command: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self.used, self._memory = False, os.memfd_create("orientd")
        try:
            self.process = subprocess.Popen(
                [*command, str(self._memory)],
                stdin=pipe,
                stdout=pipe,
                env=os.environ | _SETTINGS,
                start_new_session=True,
                pass_fds=[self._memory],
            )
        except BaseException:
            os.close(self._memory)
            raise

    def ask(
        self, question: dict[str, Any], parts: Sequence[bytes], stop: Callable[[], bool] | None
    ) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdin
        assert self.process.stdout
        self.used = True
        store(self._memory, parts)
        send(self.process.stdin, {**question, "parts": [len(part) for part in parts]})
        while stop and not select.select([self.process.stdout], [], [], _LOOK)[0]:
            if stop():
                raise Stopped
        said = receive(self.process.stdout)
        (body,) = load(self._memory, [said["size"]])
        if os.fstat(self._memory).st_size > _KEPT:
            os.ftruncate(self._memory, _KEPT)
        return said, body

    def dismiss(self) -> None:
        """Close the pipes, which the child notices."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with suppress(OSError):  # what was not sent yet never will be
                pipe.close()

    def end(self) -> int:
        """The exit code of the child, which has ended, or is made to."""
        self.dismiss()
        try:
            code = self.process.wait(_ENDED)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        os.close(self._memory)
        return code


def send(pipe: Any, said: dict[str, Any]) -> None:
    """Send one side's line."""
    pipe.write(json.dumps(said).encode() + b"\n")
    pipe.flush()


def receive(pipe: Any) -> dict[str, Any]:
    """The line that comes next.

    Raises:
        EOFError: the other side has gone.
    """
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    said: dict[str, Any] = json.loads(line)
    return said


def store(file: int, parts: Sequence[bytes]) -> None:
    """Put bytes into the file in memory, one part behind the other, from its beginning on."""
    place = 0
    for part in parts:
        left = memoryview(part)
        while left:
            written = os.pwrite(file, left, place)
            left, place = left[written:], place + written


def load(file: int, sizes: Sequence[int]) -> list[bytes]:
    """Parts of these sizes, as they were stored.

    Raises:
        EOFError: there is less in the file.
    """
    place, parts = 0, []
    for size in sizes:
        part = os.pread(file, size, place)
        while len(part) < size:  # one call gives 2 GiB at most
            more = os.pread(file, size - len(part), place + len(part))
            if not more:
                raise EOFError
            part += more
        parts.append(part)
        place += size
    return parts


def _cause(code: int, limits: Limits) -> Exception:
    if code == -signal.SIGPROF:
        return TimeoutError(f"decoding took more than {limits.seconds:g} seconds of processor time")
    if code == -signal.SIGALRM:
        return TimeoutError(f"decoding took more than {WALL * limits.seconds:g} seconds")
    if code == -signal.SIGKILL:
        return MemoryError("the system ended the decoder, most likely as memory is short")
    if -code in FAULTS:
        return _Crashed(signal.Signals(-code).name)
    how = f"exit code {code}" if code >= 0 else f"signal {-code}"
    return RuntimeError(f"the decoder could not work ({how}): what it says on standard error explains it")


def _end(children: list[_Child]) -> None:
    ending = []
    while children:
        with suppress(IndexError):  # another thread may be faster
            ending.append(children.pop())
    for child in ending:
        child.dismiss()
    for child in ending:
        child.end()


CHILDREN: Final = Children()
"""Those of this process."""
