"""What a child process does (see `children`): decodes, and turns pixels, of photos whose bytes may kill it."""

import fcntl
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Any, Final

from orientd.decode.children import WALL, load, receive, send, store
from orientd.decode.cpu import CpuDecoder, second_reader
from orientd.decode.page_changes import Changes
from orientd.errors import PhotoError, Refused
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Photo, Picture

Answer = tuple[dict[str, Any], list[bytes]]

_LEFT_TO_THE_PARENT: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # it closes the pipe when it is done


def serve(memory: int) -> None:
    """Answer until the pipe is closed; `memory` is the number of the file in memory."""
    limit(resource.RLIMIT_CORE, 0)
    for number in _LEFT_TO_THE_PARENT:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    questions = sys.stdin.buffer
    fcntl.fcntl(questions, fcntl.F_SETOWN, os.getpid())
    while True:
        try:
            question = receive(questions)
        except EOFError:
            return
        _limit(question["seconds"], question["memory"])
        die_with_the_parent(questions.fileno(), True)
        said, parts = _answer(question, load(memory, question["parts"]))
        die_with_the_parent(questions.fileno(), False)
        _limit(0, question["memory"])
        store(memory, parts)
        send(answers, {**said, "size": sum(map(len, parts))})


def _limit(seconds: float, memory: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL * seconds)
    limit(resource.RLIMIT_AS, memory)


def limit(kind: int, amount: int) -> None:
    """Set the soft limit of a resource (see setrlimit(2)), to no more than the hard one."""
    most = resource.getrlimit(kind)[1]
    with suppress(OSError, ValueError):  # a sandbox may forbid it, and has limits of its own
        resource.setrlimit(kind, (amount if most == resource.RLIM_INFINITY else min(amount, most), most))


def die_with_the_parent(pipe: int, wanted: bool) -> None:
    """While it works, it does not look at its pipe: the kernel is to send SIGIO, and so end it, when that is closed."""
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags & ~os.O_ASYNC)


def _answer(question: dict[str, Any], parts: list[bytes]) -> Answer:
    try:
        task = question["task"]
        return (_TASKS.get(task) or _of_pages(task))(question, *parts)
    except MemoryError:
        return {"memory": True}, []
    except Refused as error:
        return {"refused": str(error), "code": error.code}, []
    except Exception as error:  # parsers of hostile bytes raise anything
        code = error.code if isinstance(error, PhotoError) else Reason.UNDECODABLE
        return {"error": str(error) or type(error).__name__, "code": code}, []


def _decode(question: dict[str, Any], data: bytes) -> Answer:
    decoder = _decoder(question["size"], question["max_pixels"])
    return _picture(decoder.decode(_photo(question, data), whole=question["whole"]))


def _fitted(question: dict[str, Any], data: bytes) -> Answer:
    return _picture(_decoder(question["size"], question["max_pixels"]).fitted(_photo(question, data), question["side"]))


def _glance(question: dict[str, Any], data: bytes) -> Answer:
    picture = _decoder(question["size"], question["max_pixels"]).glance(_photo(question, data))
    return _picture(picture) if picture else ({}, [])


def _second_reader(_: dict[str, Any], data: bytes) -> Answer:
    return {"orientation": second_reader(data)}, []


def _plan(question: dict[str, Any], data: bytes) -> Answer:
    patch = _rotator(question["jpeg"]).plan(Format(question["format"]), data, question["orientation"])
    places = [(splice.offset, len(splice.old), len(splice.new)) for splice in patch.splices]
    return {"splices": places}, [splice.new for splice in patch.splices]


def _check(question: dict[str, Any], old: bytes, new: bytes) -> Answer:
    _rotator(question["jpeg"]).check(Format(question["format"]), old, new, question["orientation"])
    return {}, []


def _pages(question: dict[str, Any], data: bytes) -> Answer:
    from orientd.decode import page_files  # most children know no pages

    return {"pages": len(page_files.frames(Format(question["format"]), data))}, []


def _turned_page(question: dict[str, Any], data: bytes) -> Answer:
    from orientd.decode import page_files  # as above

    changes, made = Changes({0: (question["quarters"], question["rest"])}), BytesIO()
    page_files.write(Format(question["format"]), data, changes, made, question["max_pixels"])
    return {}, [made.getvalue()]


_TASKS: Final[dict[str, Callable[..., Answer]]] = {
    "decode": _decode,
    "fitted": _fitted,
    "glance": _glance,
    "second_reader": _second_reader,
    "plan": _plan,
    "check": _check,
    "pages": _pages,
    "turned_page": _turned_page,
}


def _of_pages(task: str) -> Callable[..., Answer]:
    from orientd.pages.isolated import TASKS  # most children see no documents

    return TASKS[task]


@cache
def _rotator(jpeg: bool) -> Any:
    from orientd.write.rotate import Rotator  # most children turn nothing

    return Rotator(jpeg=jpeg)


@cache
def _decoder(size: int, max_pixels: int) -> CpuDecoder:
    return CpuDecoder(size, max_pixels)


def _photo(question: dict[str, Any], data: bytes) -> Photo:
    return Photo("", FileStat(0, 0, len(data), 0), Format(question["format"]), data, question["orientation"], "")


def _picture(picture: Picture) -> Answer:
    shape = picture.pixels.shape[:2]
    said = {"shape": shape, "width": picture.width, "height": picture.height, "whole": picture.whole}
    return said, [picture.pixels.tobytes()]


if __name__ == "__main__":
    serve(int(sys.argv[1]))
