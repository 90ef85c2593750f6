"""Processor time of each stage of `orientd scan`: the real command in this process, with a stopwatch in its functions.

    python -m benchmarks.cpu.stopwatch --out times.json -- scan -q FOLDER --workers 1

A stage's time is that of its functions less that of other stages' functions called within. What is between, such as the
hand-over between threads, is `rest`; what comes before the first file is looked for, `start-up`. A function that this orientd
has not is named on standard error, and its time is found elsewhere. Photos are decoded in this process, too (--no-isolate).
"""

import argparse
import importlib
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

STAGES = {
    "walk": ["orientd.library.walk:walk"],
    "read": ["orientd.files.read:read_whole"],
    "sha256": ["hashlib:sha256"],
    "header": ["orientd.formats:sniff", "orientd.formats:stored_orientation"],
    "open, convert": ["orientd.decode.cpu:CpuDecoder.decode"],
    "thumbnail": ["orientd.decode.thumbnail:glance"],
    "abridge": ["orientd.decode.progressive:abridged"],
    "decode": ["simplejpeg:decode_jpeg"],
    "resize": ["PIL.Image:Image.resize"],
    "look": ["orientd.infer.engine:Engine.look"],
    "second look": ["orientd.infer.engine:Engine.look_again"],
    "record": ["orientd.state.seen:Seen.lookup", "orientd.state.seen:Seen.add", "orientd.state.seen:Seen.flush"],
    "report": ["orientd.cli.session:Session.add"],
}


class Stopwatch:
    """Processor seconds by stage, over all threads; each moment of a thread counts for its innermost stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._local = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        outer = getattr(self._local, "stage", None)
        self._switch(name)
        try:
            yield
        finally:
            self._switch(outer)

    def _switch(self, name: str | None) -> None:
        now, local = time.thread_time(), self._local
        if (running := getattr(local, "stage", None)) is not None:
            self.seconds[running] += now - local.since
        local.stage, local.since = name, now

    def calls(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def measured(*arguments: Any, **options: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **options)

        return measured

    def items(self, function: Callable[..., Iterable[Any]], name: str) -> Callable[..., Iterator[Any]]:
        def measured(*arguments: Any, **options: Any) -> Iterator[Any]:
            found, end = iter(function(*arguments, **options)), object()
            while True:
                with self.stage(name):
                    item = next(found, end)
                if item is end:
                    return
                yield item

        return measured

    def put(self, place: str, name: str) -> None:
        """Measure the function at MODULE:NAME, in every module that imported it, or MODULE:CLASS.NAME."""
        module, _, path = place.partition(":")
        *classes, last = path.split(".")
        try:
            owner: Any = reduce(getattr, classes, importlib.import_module(module))
            function = getattr(owner, last)
        except (ImportError, AttributeError):
            print(f"there is no {place}", file=sys.stderr)
            return
        measured = (self.items if name == "walk" else self.calls)(function, name)
        known = [
            each for label, each in sys.modules.items() if label.startswith("orientd") and getattr(each, last, None) is function
        ]
        for each in [owner, *known]:
            setattr(each, last, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    watch = Stopwatch()
    os.environ["ORIENTD_ISOLATE"] = "false"
    from orientd import app  # noqa: F401  # before anything is replaced
    from orientd.cli import main as cli  # before anything is replaced
    from orientd.library import photo  # noqa: F401  # before anything is replaced
    from orientd.pipeline import run as pipeline  # before anything is replaced

    for name, places in STAGES.items():
        for place in places:
            watch.put(place, name)
    run, ready = pipeline.run, []

    def begun(*arguments: Any, **named: Any) -> Any:
        ready.append(time.process_time())
        watch.seconds.clear()
        return run(*arguments, **named)

    pipeline.run = begun  # type: ignore[assignment]
    sys.argv = ["orientd", *options.arguments]
    try:
        cli.main()
    finally:
        total = time.process_time()
        rest = total - ready[0] - watch.seconds.total()
        stages = {name: watch.seconds[name] for name in STAGES}
        options.out.write_text(json.dumps({**stages, "rest": rest, "start-up": ready[0], "total": total}, indent=1))


if __name__ == "__main__":
    main()
