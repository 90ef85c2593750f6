"""The table of a survey: reasons with their counts, and how many of the refused a harmless change exists for."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

Found = dict[str, Any]

BY_DESIGN: Final = re.compile(
    r"animated|several pictures|signed|several names|raw file|JPEG XL|equirectangular|sphere|sequence|map …|UNKNOWN|it has N ×"
)
"""Reasons of the design, for which no change is tried: frames, pages, a signature or a place on a map would not go with it."""


def reason_of(found: Found) -> str:
    """Why a file was not turned, without what differs from file to file; empty if it was turned both ways."""
    if "died" in found:
        return f"the process died ({found['died'].split(': ')[1]})"
    refused = [trial for trial in found["turns"].values() if not trial["changed"]]
    if refused and found.get("decision") == "skip" and not found["format"]:  # such as a raw file without a preview
        return _kind(found["reason"])
    return _kind(refused[0]["reason"] or refused[0]["outcome"]) if refused else ""


def _kind(reason: str) -> str:
    plain = re.sub(r"\([^()]*\)|'[^']*'|\"[^\"]*\"", "…", reason)
    return re.sub(r"0x[0-9a-f]+|\b\d[\d,]*\b", "N", plain.split(": ")[0]).strip()


def is_harmless(found: Found) -> bool:
    """True if it was refused, could be turned, and no decoder complains of it."""
    return could_be_turned(found) and not any(found["readable"].values())


def could_be_turned(found: Found) -> bool:
    return "by" in found.get("harmless", {})


def faults(found: Found) -> list[str]:
    """What is wrong with a file that was written, or taken back."""
    said = [f"the process died: {found[name]}" for name in ("died", "died together") if name in found]
    for turn, trial in found.get("turns", {}).items():
        said += [f"{turn}°: {name} of {decoder}" for decoder, name in trial.get("seen", {}).items() if name in ("wrong", "lost")]
        said += [f"{turn}°: {fault}" for fault in [*trial.get("tags", ()), *trial.get("faults", ()), *trial["verify"]]]
        said += [f"{turn}°: undo left {what}" for what in trial["not undone"]]
        if (trial["outcome"] == "fixed") != bool(trial["changed"]):
            said.append(
                f"{turn}°: outcome {trial['outcome'] or 'none'}, but {'changed' if trial['changed'] else 'nothing changed'}"
            )
    return said


def called_damaged(found: Found) -> bool:
    """True if orientd speaks of damage and two decoders read the whole file without complaint."""
    said = " ".join([found.get("reason", ""), *(trial["reason"] for trial in found.get("turns", {}).values())])
    readable = found.get("readable", {})
    return ("damage" in said or "backup" in said) and len(readable) > 1 and not any(readable.values())


def table(found: Sequence[Found], before: Sequence[Found] | None = None) -> str:
    """Markdown: sums, and reasons with the most frequent first; next to those of `before`, if that is given."""
    runs = [*([("before", before)] if before else []), ("after" if before else "files", found)]
    return "\n".join([*_sums(runs), "", *_reasons(runs)]) + "\n"


def _sums(runs: Sequence[tuple[str, Sequence[Found]]]) -> Iterator[str]:
    yield f"| | {' | '.join(name for name, _ in runs)} |"
    yield "|---" * (len(runs) + 1) + "|"
    for what, count in _COUNTS.items():
        yield f"| {what} | {' | '.join(f'{sum(map(count, each)):,}' for _, each in runs)} |"


_COUNTS: Final = {
    "files": lambda each: True,
    "turned by 90° and by 180°": lambda each: "died" not in each and not reason_of(each),
    "of these by a sidecar": lambda each: any(trial["changed"].endswith(".xmp") for trial in each.get("turns", {}).values()),
    "written and wrong, broken or not undone": lambda each: bool(faults(each)),
    "refused": lambda each: bool(reason_of(each)),
    "of these for a reason of the design": lambda each: bool(reason_of(each)) and each.get("design", False),
    "refused, though a change is possible": could_be_turned,
    "of these without complaint of a decoder: harmless": is_harmless,
    "called damaged, though two decoders read all of it": called_damaged,
}


def _reasons(runs: Sequence[tuple[str, Sequence[Found]]]) -> Iterator[str]:
    """For each reason and run: files, those for which a change is possible, and those of them that are harmless."""
    counts: dict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    for name, each in runs:
        for one in filter(reason_of, each):
            counts[reason_of(one)].update({(name, 0): 1, (name, 1): int(could_be_turned(one)), (name, 2): int(is_harmless(one))})
    yield f"| reason | {' | '.join(f'{name}: refused | possible | harmless' for name, _ in runs)} |"
    yield "|---" * (3 * len(runs) + 1) + "|"
    for reason, number in sorted(counts.items(), key=lambda item: (-item[1].total(), item[0])):
        yield f"| {reason} | {' | '.join(str(number[name, column]) for name, _ in runs for column in range(3))} |"
