"""One N-th of a library, for one of several machines: which folders it owns, and the order in which all would be walked."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orientd.errors import ConfigError
from orientd.records import Candidate

MOST: Final = 100_000
_SHARD: Final = re.compile(r"(env|[0-9]{1,6})(?:/([0-9]{1,6}))?")
_TASK: Final = ("SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX")  # of Slurm, from 1 as our example has it; of Kubernetes, from 0
_NO_SHARD: Final = "--shard {}: write I/N with I from 1 to N, as in 3/16; or env or env/N, to take I from Slurm or Kubernetes"

Order = tuple[int | tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Shard:
    """The `number`th of `of` parts, counted from 1."""

    number: int = 1
    of: int = 1

    def owns(self, folder: str) -> bool:
        """True if the files in a folder, by its real path, are this part's; every folder has one owner."""
        if self.of == 1:
            return True
        digest = hashlib.sha256(os.fsencode(folder)).digest()
        return int.from_bytes(digest[:8]) % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse(text: str, environment: Mapping[str, str]) -> Shard:
    """I/N as a person writes it; env/N takes I from the environment, and env takes both from that of a Slurm array.

    Raises:
        ConfigError: it is none, or the environment does not say it.
    """
    found = _SHARD.fullmatch(text)
    if not found or (found[1] != "env" and not found[2]):
        raise ConfigError(_NO_SHARD.format(text))
    if found[1] == "env":
        number, of = _task(environment, text), int(found[2]) if found[2] else _size_of_array(environment)
    else:
        number, of = int(found[1]), int(found[2])
    if not 1 <= number <= of <= MOST:
        raise ConfigError(_NO_SHARD.format(f"{text} means {number}/{of}"))
    return Shard(number, of)


def _task(environment: Mapping[str, str], text: str) -> int:
    slurm, kubernetes = (environment.get(name, "") for name in _TASK)
    if slurm.isdecimal():
        return int(slurm)
    if kubernetes.isdecimal():
        return int(kubernetes) + 1
    raise ConfigError(f"--shard {text}: neither {' nor '.join(_TASK)} is set: is this a task of an array or of an indexed job?")


def _size_of_array(environment: Mapping[str, str]) -> int:
    first, last, count = (environment.get(f"SLURM_ARRAY_TASK_{name}", "") for name in ("MIN", "MAX", "COUNT"))
    if first != "1" or not count.isdecimal() or last != count:
        raise ConfigError("--shard env: this is no Slurm array of all tasks from 1 to N: say how many parts there are, env/N")
    return int(count)


@dataclass
class Part:
    """What is noted while one part of a library is judged, so that all parts can be put together later.

    roots: real paths of what is walked, in its order. judged_by: the id of the judge (see `pipeline.cache_key`). listed:
    paths of a list of which a row comes before the walk; places: their positions in it. linked: files with several names.
    """

    shard: Shard = field(default_factory=Shard)
    roots: tuple[str, ...] = ()
    judged_by: str = ""
    listed: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)

    def owns(self, folder: str) -> bool:
        return self.shard.owns(folder)

    def of_list(self, known: Sequence[Candidate], roots: tuple[str, ...]) -> list[Candidate]:
        """Those of what is known without a walk of the `roots` that are this part's."""
        self.roots = roots
        self.places = [place for place, each in enumerate(known) if self.owns(os.path.dirname(each.path))]
        owned = [known[place] for place in self.places]
        self.listed = [each.path for each in owned]
        return owned

    def noted(self, walked: Iterator[Candidate]) -> Iterator[Candidate]:
        """The same candidates."""
        return walked if self.shard.of == 1 else self._noted(walked)

    def _noted(self, walked: Iterator[Candidate]) -> Iterator[Candidate]:
        for candidate in walked:
            if candidate.stat.nlink > 1 and not candidate.skip:
                self.linked.append(candidate.path)
            yield candidate


class WalkOrder:
    """Paths compare as a walk of these real `roots` gives them: root by root, a folder's files before its folders, by name."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = {root: place for place, root in enumerate(roots)}

    def of(self, path: str, *, is_folder: bool = False) -> Order:
        """The position of a real path below one of the roots; a folder comes before all that is in it.

        Raises:
            ConfigError: it is below none.
        """
        names: list[tuple[int, str]] = []
        above = path
        while above not in self._roots:
            folder, name = os.path.split(above)
            if folder == above:
                raise ConfigError(f"{path} is below none of the folders that were scanned: scan this part again")
            names.append((int(bool(names) or is_folder), name))
            above = folder
        return (self._roots[above], *reversed(names))
