"""The parts of a plan, judged by several machines, become the plan that one machine would have made."""

import heapq
import os
from collections import deque
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Final

from orientd.config import Config
from orientd.library import filenames
from orientd.library.shard import Order, WalkOrder
from orientd.library.walk import HARD_LINK
from orientd.pipeline.stages import act_stage
from orientd.reasons import Reason
from orientd.records import Notify, Row, Verdict
from orientd.report.manifest import Manifest, check_together
from orientd.report.plan import each_row
from orientd.state.journal import open_journal
from orientd.state.kept import Kept

_LISTED: Final = -1  # before every root: what was known of a list of files without a walk


def merged(config: Config, parts: Mapping[str, Manifest], notify: Notify) -> Iterator[Row]:
    """The rows of all parts, by their paths, in the order of the walk; memory stays flat.

    What was taken back, or is kept, by what this machine knows is left alone, as in a scan. A file with several names is
    judged under the first of them.

    Raises:
        ConfigError: they do not belong together; before the first row.
    """
    check_together(parts)
    order = WalkOrder(next(iter(parts.values())).roots)
    later = _further_names(parts, order)
    streams = [_in_order(path, part, order) for path, part in parts.items()]
    with open_journal(config, notify) as journal, Kept(config.state_dir, notify) as kept:
        act = act_stage(journal, kept, None, unattended=False)
        for _, row in heapq.merge(*streams, key=itemgetter(0)):
            if row.path not in later:
                yield act(row) if row.decision in (Verdict.FIX, Verdict.UNSURE) else row
            elif filenames.promises_photo(row.path):
                yield Row(row.path, decision=Verdict.SKIP, reason=HARD_LINK, reason_code=Reason.SAME_FILE)


def _in_order(path: str, part: Manifest, order: WalkOrder) -> Iterator[tuple[Order, Row]]:
    places: dict[str, deque[int]] = {}
    for listed, place in zip(part.listed, part.places, strict=True):
        places.setdefault(listed, deque()).append(place)
    for row in each_row(path):
        if left := places.get(row.path):
            yield (_LISTED, (left.popleft(), "")), row
        else:
            yield order.of(row.path, is_folder=_is_folder(row)), row


def _is_folder(row: Row) -> bool:
    """True for a folder that could not be listed; nothing is known of that but the reason."""
    return row.decision is Verdict.ERROR and row.size is None and os.path.isdir(row.path)


def _further_names(parts: Mapping[str, Manifest], order: WalkOrder) -> set[str]:
    """All names but the first of each file with several, across the parts: none of these could know of the others' names."""
    known: set[tuple[int, int]] = set()
    later: set[str] = set()
    for path in sorted((path for part in parts.values() for path in part.linked), key=order.of):
        try:
            found = os.lstat(path)
        except OSError:  # gone by now: writing it will report that
            continue
        if (found.st_dev, found.st_ino) in known:
            later.add(path)
        known.add((found.st_dev, found.st_ino))
    return later
