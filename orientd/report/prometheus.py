"""Numbers in Prometheus' text format, for who asks and for the textfile collector of node_exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple, Self

from orientd import __version__
from orientd.records import Status, Verdict
from orientd.report.tally import Tally

Kind = Literal["counter", "gauge"]


class Family(NamedTuple):
    """One metric; each sample has its labels, if any, and its value."""

    name: str
    kind: Kind
    about: str
    samples: Sequence[tuple[Mapping[str, str], float]]

    @classmethod
    def single(cls, name: str, kind: Kind, about: str, value: float) -> Self:
        return cls(name, kind, about, [({}, value)])

    @classmethod
    def by(cls, label: str, name: str, kind: Kind, about: str, values: Mapping[str, float]) -> Self:
        """A sample for each value of a label."""
        return cls(name, kind, about, [({label: one}, number) for one, number in values.items()])


def text(families: Iterable[Family]) -> str:
    """What Prometheus reads."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def build(model: str) -> Family:
    """Which orientd this is, and by what it judges; the value is 1, as is usual for facts."""
    about = "Version of orientd, and name of its model."
    return Family("orientd_build_info", "gauge", about, [({"version": __version__, "model": model}, 1)])


def by_decision(name: str, kind: Kind, counts: Mapping[str, int]) -> Family:
    """Photos judged, each once; what is not among `counts` is 0."""
    samples = {verdict.value: counts.get(verdict, 0) for verdict in Verdict}
    return Family.by("decision", name, kind, "Photos judged, by what was decided.", samples)


def by_outcome(name: str, kind: Kind, counts: Mapping[str, int]) -> Family:
    """Photos that were to be fixed, each once; an outcome that is not among `counts` is 0."""
    samples = {status.value: counts.get(status, 0) for status in Status if status}
    return Family.by("outcome", name, kind, "Photos that were to be fixed, by what came of it.", samples)


def of_scan(tally: Tally, model: str, now: float, duration: float) -> str:
    """The metrics of a scan that ended `now`, in seconds since the epoch."""
    decisions = {verdict.value: tally.count(verdict) for verdict in Verdict}
    outcomes = {status.value: tally.count(outcome=status) for status in Status if status}
    when = "When the last scan came to its end, in seconds since the epoch."
    return text(
        [
            by_decision("orientd_scan_photos", "gauge", decisions),
            by_outcome("orientd_scan_fixes", "gauge", outcomes),
            Family.single("orientd_scan_last_success_timestamp_seconds", "gauge", when, round(now, 3)),
            Family.single("orientd_scan_duration_seconds", "gauge", "How long that scan took.", round(duration, 3)),
            build(model),
        ]
    )


def leave(content: str, file: str) -> None:
    """Put a text at a place where others may read it at any time: they see the old one or the new one, whole.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    place = os.path.realpath(file)
    fresh = f"{place}.partial"  # does not end with .prom: the collector passes over it
    try:
        with open(fresh, "w", encoding="utf-8", opener=_anew) as written:
            os.fchmod(written.fileno(), 0o644)  # whatever the umask: the collector is another user
            written.write(content)
        os.replace(fresh, place)
    except OSError:
        with suppress(OSError):
            os.unlink(fresh)
        raise


def _anew(path: str, flags: int) -> int:
    with suppress(FileNotFoundError):
        os.unlink(path)
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.about}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, number in family.samples:
        named = ",".join(f'{label}="{_escaped(value)}"' for label, value in labels.items())
        yield f"{family.name}{f'{{{named}}}' if named else ''} {number}"


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return escaped.encode("utf-8", "replace").decode("utf-8")
