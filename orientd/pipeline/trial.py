"""The child process in which `deaths` tries files: each is judged as a run would, but decoded within this process.

What was to be turned when the process died is planned and proved, too. Nothing is written.
"""

import os
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from orientd.config import Config
from orientd.decode import isolated
from orientd.decode.children import receive, send
from orientd.files.read import read_whole
from orientd.judge.judge import Judge
from orientd.library.reader import PhotoReader
from orientd.orientation import turned
from orientd.pipeline.child import die_with_the_parent, limit
from orientd.pipeline.stages import make_judge, naming_of
from orientd.records import Candidate, Method
from orientd.state.in_hand import Held, stat_of
from orientd.write.change import Writable, plan_change, proved
from orientd.write.rotate import planner, planner_of

_SECONDS: Final = 600.0  # for one file


def serve() -> None:
    """Answer with a line when it is ready, and with one for each file."""
    limit(resource.RLIMIT_CORE, 0)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    asked = receive(sys.stdin.buffer)
    die_with_the_parent(sys.stdin.fileno(), True)
    config, files = _config(asked["config"]), [Held(*each) for each in asked["files"]]
    judge, _ = make_judge(
        config, rotate=planner(config.method, isolate=False), source=PhotoReader(config, naming_of(config), glances=True)
    )
    send(answers, {})
    for held in files:
        signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        with suppress(Exception):  # an exception is no crash
            _try(held, judge, config)
        send(answers, {})


def _config(values: dict[str, Any]) -> Config:
    """The configuration from JSON, which knows no tuples, for one photo at a time in this process."""
    same: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return replace(Config(**same), isolate=False, workers=1)


def _try(held: Held, judge: Judge, config: Config) -> None:
    stat = stat_of(held.path)
    if not held.is_still(stat):
        return
    for each in (judge, replace(judge, thumbnail_glance=lambda _: None)):  # by its thumbnail, and whole
        each([Candidate(held.path, stat)])
    if held.turn and held.method != Method.SIDECAR:
        _prove(held, config)


def _prove(held: Held, config: Config) -> None:
    data, stat = read_whole(held.path)
    formats = Writable(config.formats)
    format_ = formats.sniff(data)
    rotate = None if held.method == Method.TAG else planner_of({format_}, isolate=False)
    new = turned(formats.stored_orientation(format_, data), held.turn)
    change = plan_change(formats, rotate, format_, data, new, stat.nlink)
    proved(formats, isolated.make_second_reader(isolate=False), data, change)


if __name__ == "__main__":
    serve()
