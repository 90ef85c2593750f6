"""Values from files and flags against the types and ranges of a dataclass; what is wrong is said in words. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}


def scalar(kind: Any, value: Any, otherwise: str = "") -> Any:
    """`value`, which is to be a `kind` of WORDS: a bool is no number, a whole number does for a float.

    Raises:
        ValueError: it is none; it must be what WORDS says, or `otherwise` for a kind that is not there.
    """
    accepted = (int, float) if kind is float else kind
    if kind not in WORDS or not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {WORDS.get(kind, otherwise)}, got {value!r}")
    return value


def choice(value: Any, choices: Sequence[object]) -> Any:
    """`value`, which is to be one of the choices.

    Raises:
        ValueError: it is none.
    """
    if value not in choices or isinstance(value, bool):
        raise ValueError(f"must be one of {', '.join(map(str, choices))}, got {value!r}")
    return value


def within(value: float, low: float, high: float, given: object) -> None:
    """Raise ValueError if a value is out of range, which is said of it as it was `given`."""
    if not low <= value <= high:
        raise ValueError(f"must be between {low} and {high}, got {given}")


def did_you_mean(name: str, known: Iterable[object]) -> str:
    """What to add to a complaint about an unknown name; "" if no known one is near."""
    close = get_close_matches(name, list(map(str, known)), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
