"""The manifest next to each part of a plan, by which the parts are merged: what was judged, how, and how many photos."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import file_digest
from typing import Any, Final, Self

from orientd.errors import ConfigError, ReportError
from orientd.report.text import printable

_ENDING: Final = ".json"
_PART: Final = "orientd-shard-"
_SHOWN: Final = 20
# What must be the same in all parts, and the words that report a difference.
_COMMON: Final = {
    "of": "the number of parts",
    "orientd": "the version of orientd",
    "model": "the model",
    "judged_by": "the model, the policy or a setting that it is judged by",
    "settings": "a setting of the scan",
    "roots": "the folders that were scanned",
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of part `shard` (counted from 1) of `of`.

    orientd: its version. judged_by: the id of the judge. settings: those that decide what is looked at and how it is fixed.
    roots: real paths, in the order of the walk. listed: paths of a list of files whose rows come before those of the walk.
    places: the position of each of these in the list. linked: files with several names. counts: rows by decision. sha256: of the
    part as it was written.
    """

    shard: int
    of: int
    orientd: str
    model: str
    judged_by: str
    settings: Mapping[str, Any]
    roots: Sequence[str]
    listed: Sequence[str]
    places: Sequence[int]
    linked: Sequence[str]
    counts: Mapping[str, int]
    sha256: str

    @classmethod
    def load(cls, part: str) -> Self:
        """That of a part, once that has proved to be as it was written.

        Raises:
            ConfigError: there is none, or the part is another now.
        """
        place = part + _ENDING
        try:
            with open(place, encoding="utf-8") as file:
                values = json.load(file)
            found = cls(**{field.name: values[field.name] for field in fields(cls)})
            found._check()
            sha256 = sha256_of(part)
        except OSError as error:
            raise ConfigError(f"{printable(str(error.filename))} cannot be read: {error.strerror}: {_MEANT}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{printable(place)} is not what a scan with --shard leaves next to a plan: {_MEANT}") from error
        if sha256 != found.sha256:
            raise ConfigError(
                f"{printable(part)} is not as the scan left it: copy it again, or scan --shard {found.shard}/{found.of} again;"
                " to change decisions, change them in the plan that comes of the merge"
            )
        return found

    def _check(self) -> None:
        """Raise ValueError unless it is of the form that `leave` gives it."""
        numbers = [self.shard, self.of, *self.places, *self.counts.values()]
        texts = [*self.roots, *self.listed, *self.linked, self.sha256]
        if not (all(isinstance(each, int) for each in numbers) and all(isinstance(each, str) for each in texts)):
            raise ValueError("a number or a text is none")
        if len(self.listed) != len(self.places):
            raise ValueError("not every listed path has its place")
        if not 1 <= self.shard <= self.of:
            raise ValueError("there is no such part")

    def leave(self, part: str) -> None:
        """Write it next to a part.

        Raises:
            ReportError: it cannot be written.
        """
        place = part + _ENDING
        try:
            with open(place + ".new", "w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(place + ".new", place)
        except OSError as error:
            raise ReportError(f"{printable(place)} cannot be written: {error.strerror}: choose another --report") from error


_MEANT: Final = "name the plans that scan --shard wrote, each with its .json next to it"


def name_of_part(shard: int, of: int) -> str:
    """What a part is called that is given no name."""
    return f"{_PART}{shard}-of-{of}.csv"


def is_part(path: str) -> bool:
    """True for a part of a plan: by its name, or because its manifest is next to it."""
    return os.path.basename(path).startswith(_PART) or os.path.lexists(path + _ENDING)


def sha256_of(path: str) -> str:
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()


def check_together(parts: Mapping[str, Manifest]) -> None:
    """See that parts, by their paths, make one whole: each of them once, and all judged alike.

    Raises:
        ConfigError: says which differ, come twice or are missing.
    """
    first_path, first = next(iter(parts.items()))
    known: dict[int, str] = {}
    for path, part in parts.items():
        for name, words in _COMMON.items():
            if getattr(part, name) != getattr(first, name):
                raise ConfigError(f"{printable(path)} and {printable(first_path)} do not belong together: {words} differs")
        if part.shard in known:
            raise ConfigError(f"{printable(path)} and {printable(known[part.shard])} are both part {part.shard} of {part.of}")
        known[part.shard] = path
    if missing := [f"{number}/{first.of}" for number in range(1, first.of + 1) if number not in known]:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise ConfigError(f"not all parts are there: to have them, scan with --shard {', '.join(missing[:_SHOWN])}{more}")
