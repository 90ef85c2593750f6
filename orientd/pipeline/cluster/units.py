"""What a worker is handed at once: the photos of a folder, of several small ones, or a part of those of a large one."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from orientd.records import Candidate, Row

MOST: Final = 32
"""Photos of a unit. It is what is judged again where a worker is lost, and what others may have to wait for at the end."""

_PARTS: Final = 2  # a folder of fewer than half of a unit takes the next one along
_LOOKUP: Final = 500

Slots = list[Row | None]


def in_units(
    candidates: Iterable[Candidate], lookup: Callable[[Sequence[Candidate]], Sequence[Row | None]], most: int = MOST
) -> Iterator[tuple[Slots, list[Candidate]]]:
    """Known rows, with None where one belongs that is to be judged, and the unit of these, empty if all are known.

    In the order of the candidates; a unit has `most` photos at the most. Known rows do not wait for ever.
    """
    source = iter(candidates)
    slots: Slots = []
    unit: list[Candidate] = []
    while chunk := list(islice(source, _LOOKUP)):
        for candidate, row in zip(chunk, lookup(chunk), strict=True):
            if row is None and _is_whole(unit, candidate, most):
                yield slots, unit
                slots, unit = [], []
            slots.append(row)
            if row is None:
                unit.append(candidate)
        if slots and (not unit or len(slots) >= _LOOKUP):
            yield slots, unit
            slots, unit = [], []
    if slots:
        yield slots, unit


def _is_whole(unit: Sequence[Candidate], following: Candidate, most: int) -> bool:
    if len(unit) < most // _PARTS:
        return False
    return len(unit) == most or os.path.dirname(unit[-1].path) != os.path.dirname(following.path)
