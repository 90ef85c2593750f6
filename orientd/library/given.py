"""What a person names to be looked at, by folders and lists: the real roots, and the candidates below them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from orientd.config import Config
from orientd.library import left_out as leaving_out
from orientd.library import others
from orientd.library.exclude import Exclusion
from orientd.library.listed import sorted_out
from orientd.library.paths import real_roots
from orientd.library.shard import Part
from orientd.library.walk import walk
from orientd.records import Candidate


def own_roots(roots: Sequence[str]) -> tuple[str, ...]:
    """As `real_roots`, which none may be that belongs to another program."""
    given = real_roots(roots)
    for root in given:
        others.check_root(root)
    return given


def to_judge(
    config: Config,
    roots: Sequence[str],
    listed: Sequence[str],
    exclusion: Exclusion,
    stop: Callable[[], bool],
    left_out: leaving_out.Tally | None,
    part: Part,
) -> tuple[tuple[str, ...], Iterator[Candidate]]:
    """The real roots of a scan, and the candidates of one part, who takes notes of them; raises as `walk` does."""
    more, known = sorted_out(listed, exclusion, left_out or leaving_out.Tally())
    given = own_roots((*roots, *more))
    walked = walk(given, exclusion, config.one_file_system, stop, left_out, part.owns)
    return given, chain(part.of_list(known, given), part.noted(walked))
