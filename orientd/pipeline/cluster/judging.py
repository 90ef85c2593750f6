"""What runs on a node: a judge of its own, in a process of its own. Nothing here knows Ray.

It keeps no memory of photos and no journal: both are with the machine that scans.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, NamedTuple

from orientd import __version__
from orientd.config import Config
from orientd.decode.memory_budget import for_decoding
from orientd.errors import ConfigError, LibraryUnavailable
from orientd.library.reader import PhotoReader
from orientd.pipeline.cluster.same_files import Sight, opens, see
from orientd.pipeline.stages import at_once, make_judge, naming_of
from orientd.records import Candidate, Row, Verdict
from orientd.write.rotate import planner

_MIB: Final = 2**20
_LEAST: Final = 64  # MiB
_OTHER_VERSION: Final = "orientd is {} there and {} here: install the same version on all nodes"

_GONE: Final = "the photos cannot be seen there any more: is their disk still mounted?"


class Hello(NamedTuple):
    """What a worker says once it is ready: the id of its judge, the process it is, and how it sees the files it was asked for."""

    judged_by: str
    process: int
    sights: Sequence[Sight | None]


class Judging:
    """A worker; it is asked one thing at a time."""

    def __init__(self, settings: Mapping[str, Any], version: str, threads: int, share: int) -> None:
        """Of a configuration, and the version of orientd that asks; so many `threads` judge, and `share` such workers have the
        memory of the node together."""
        self._settings, self._version, self._threads, self._share = settings, version, threads, share
        self._notes: list[str] = []
        self._seen: list[str] = []

    def hello(self, paths: Sequence[str]) -> Hello:
        """Make ready, and look at some files.

        Raises:
            OrientdError: photos cannot be judged here.
        """
        if self._version != __version__:
            raise ConfigError(_OTHER_VERSION.format(__version__, self._version))
        asked = Config(**self._settings)
        mebibytes = for_decoding(asked.max_memory) // self._share // _MIB
        config = replace(asked, workers=self._threads, max_memory=max(mebibytes, _LEAST))
        self._source = PhotoReader(config, naming_of(config), glances=config.first_look == "thumbnail")
        rotate = planner(config.method, isolate=config.isolate)
        self._judge, judged_by = make_judge(config, self._notes.append, rotate, self._source)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="orientd-judge")
        self._at_once = at_once(config, self._judge)
        self._notes.clear()  # the machine that scans has shown the same notices
        sights = [see(path) for path in paths]
        self._seen = [path for path, sight in zip(paths, sights, strict=True) if sight]
        return Hello(judged_by, os.getpid(), sights)

    def judge(self, candidates: Sequence[Candidate]) -> tuple[list[Row], list[str]]:
        """One row for each candidate, in order, and the notices to be shown.

        Raises:
            LibraryUnavailable: some cannot be read, and what was seen at the start is not there any more, either.
        """
        self._source.expect(candidates)
        batches = [candidates[start : start + self._at_once] for start in range(0, len(candidates), self._at_once)]
        rows = [row for batch in self._pool.map(self._judge, batches) for row in batch]
        unread = any(row.decision is Verdict.ERROR and not row.sha256 for row in rows)
        if unread and self._seen and not any(opens(path) for path in self._seen):
            raise LibraryUnavailable(_GONE)
        notes = self._notes[:]
        del self._notes[: len(notes)]
        return rows, notes

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown()
        self._source.close()
