"""Decoding in child processes, one per worker, which hostile bytes may kill without taking the run along.

A child gets a photo through a pipe and answers with its pixels. It has a limit of memory (`RLIMIT_AS`) and of time: an alarm it
sets itself, which ends it whatever its libraries are doing. One that dies is replaced when the next photo comes. It ends by
itself when its pipe is closed, so none outlives orientd, however that ends; and being in a session of its own, it does not
notice Ctrl-C. What it is not is a sandbox: it runs as the same user.

A message is its length (8 bytes), that of its head, the head in JSON, and a body of bytes.
"""

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import weakref
from contextlib import suppress
from typing import IO, Any, Final

import numpy as np

from orientd.errors import DecodeError
from orientd.items import FileStat, Format, Photo, Picture

SECONDS: Final = 60.0
MEMORY: Final = 4 * 2**30
_LENGTHS: Final = struct.Struct("!QQ")
_ENDED: Final = 5.0  # seconds that a child has to end once its pipe is closed or broken

Child = subprocess.Popen[bytes]


class IsolatedDecoder:
    """A `Decoder` that decodes in child processes. They end with it, or with the program."""

    def __init__(self, input_size: int, max_pixels: int = 400_000_000, seconds: float = SECONDS, memory: int = MEMORY) -> None:
        """`seconds` and `memory` (bytes of address space) are what decoding one photo may take; the rest is as for CpuDecoder."""
        self._size, self._seconds, self._memory = input_size, seconds, memory
        limits = [str(each) for each in (input_size, max_pixels, seconds, memory)]
        self._command = [sys.executable, "-P", "-m", __name__, *limits]  # -P: nothing is imported from the current folder
        self._idle: list[Child] = []
        self.close = weakref.finalize(self, _end, self._idle)

    def decode(self, photo: Photo, *, whole: bool = True) -> Picture:
        """See `Decoder.decode`.

        Raises:
            DecodeError: as `CpuDecoder.decode`, and if the photo makes the decoder crash.
            TimeoutError, MemoryError: it takes more time or memory than a photo may; another day it may not.
            OSError, RuntimeError: no child could be started.
        """
        said, pixels = self._ask(_about(photo, "decode", whole=whole), photo.data)
        return self._picture(said, pixels)

    def glance(self, photo: Photo) -> Picture | None:
        """As `CpuDecoder.glance`; None also where the thumbnail makes the decoder crash. Raises as `decode` but for that."""
        with suppress(DecodeError):
            said, pixels = self._ask(_about(photo, "glance"), photo.data)
            return self._picture(said, pixels) if pixels else None
        return None

    def witness(self, data: bytes) -> int | None:
        """As `cpu.witness`; raises as `decode`."""
        seen: int | None = self._ask({"task": "witness"}, data)[0]["orientation"]
        return seen

    def _picture(self, said: dict[str, Any], pixels: bytes) -> Picture:
        shape = (self._size, self._size, 3)
        return Picture(np.frombuffer(pixels, np.uint8).reshape(shape), said["width"], said["height"], said["whole"])

    def _ask(self, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            child = self._idle.pop()
        except IndexError:
            child = self._start()
        try:
            assert child.stdin
            assert child.stdout
            _send(child.stdin, question, data)
            said, body = _receive(child.stdout)
        except (OSError, EOFError):
            raise self._cause(_ended(child)) from None
        except BaseException:
            child.kill()
            _ended(child)
            raise
        self._idle.append(child)
        if "memory" in said:
            raise MemoryError(f"decoding needs more than {self._memory // 2**20:,} MiB of memory")
        if "error" in said:
            raise DecodeError(said["error"])
        return said, body

    def _start(self) -> Child:
        threads = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # each would take address space
        pipe = subprocess.PIPE
        return subprocess.Popen(self._command, stdin=pipe, stdout=pipe, env=threads, start_new_session=True)

    def _cause(self, code: int) -> Exception:
        if code == -signal.SIGALRM:
            return TimeoutError(f"decoding took more than {self._seconds:g} seconds")
        if code == -signal.SIGKILL:
            return MemoryError("the system ended the decoder, most likely as memory is short")
        if code >= 0:
            return RuntimeError(f"the decoder could not work (exit code {code}): what it says on standard error tells why")
        return DecodeError(f"its data makes the decoder crash ({signal.Signals(-code).name}): compare it with a backup")


def _about(photo: Photo, task: str, **more: bool) -> dict[str, Any]:
    return {"task": task, "format": photo.format, "orientation": photo.orientation, **more}


def _ended(child: Child) -> int:
    """The exit code of a child, which has ended, or is made to."""
    for pipe in (child.stdin, child.stdout):
        assert pipe
        with suppress(OSError):  # what was not sent yet never will be
            pipe.close()
    try:
        return child.wait(_ENDED)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _end(children: list[Child]) -> None:
    while children:
        _ended(children.pop())


def _send(pipe: IO[bytes], head: dict[str, Any], body: bytes) -> None:
    encoded = json.dumps(head).encode()
    pipe.write(_LENGTHS.pack(len(encoded), len(body)) + encoded)
    pipe.write(body)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    head, body = _LENGTHS.unpack(_exactly(pipe, _LENGTHS.size))
    said: dict[str, Any] = json.loads(_exactly(pipe, head))
    return said, _exactly(pipe, body)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _serve(input_size: int, max_pixels: int, seconds: float, memory: int) -> None:
    """Answer until the pipe is closed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    from orientd.decode.cpu import CpuDecoder

    decoder = CpuDecoder(input_size, max_pixels)
    while True:
        try:
            question, data = _receive(sys.stdin.buffer)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _send(answers, *_answer(decoder, question, data))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(decoder: Any, question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    from orientd.decode.cpu import witness

    try:
        if question["task"] == "witness":
            return {"orientation": witness(data)}, b""
        photo = Photo("", FileStat(0, 0, len(data), 0), Format(question["format"]), data, question["orientation"], "")
        picture = decoder.glance(photo) if question["task"] == "glance" else decoder.decode(photo, whole=question["whole"])
        if picture is None:
            return {}, b""
        said = {"width": picture.width, "height": picture.height, "whole": picture.whole}
        return said, picture.pixels.tobytes()
    except MemoryError:
        return {"memory": True}, b""
    except Exception as error:  # parsers of hostile bytes raise anything
        return {"error": str(error) or type(error).__name__}, b""


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
