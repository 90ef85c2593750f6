"""One value of one option against its type, choices, range and form; what is wrong is said in words. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args, get_origin

from orientd.config import hook, strict
from orientd.config.options import HOOKS, OF_MODEL, OPTIONS, WritableFormat

_IF_GIVEN: Final[Mapping[object, object]] = {float | None: float, int | None: int}  # else what was fitted with the model
_LISTS: Final[Mapping[object, str]] = {tuple[str, ...]: "a list of texts", tuple[WritableFormat, ...]: "a list of formats"}
_SWITCH: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def checked(name: str, given: object) -> object:
    """The value as Config holds it.

    Raises:
        ValueError: the name, the type or the range is wrong; the message says what is wanted.
    """
    if name not in OPTIONS:
        raise ValueError(f"there is no such option{strict.did_you_mean(name, OPTIONS)}")
    option = OPTIONS[name]
    if get_origin(option.type) is Literal:
        return _chosen(given, get_args(option.type))
    if name in HOOKS:
        return hook.checked(given)
    kind = _IF_GIVEN.get(option.type, option.type)
    if kind is not option.type and given in (None, OF_MODEL):
        return None
    value = _from_text(kind, given) if isinstance(given, str) else given
    if kind in _LISTS:
        return _listed(kind, value)
    low, high, (form, wanted) = (option.metadata[key] for key in ("low", "high", "form"))
    value = strict.scalar(kind, value)
    if form and value and not re.fullmatch(form, value):
        raise ValueError(f"must be {wanted}, got {given!r}")
    if low is not None:
        strict.within(value, low, high, given)
    return float(value) if kind is float else value


def _listed(kind: object, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"must be {_LISTS[kind]}, got {value!r}")
    choices = get_args(WritableFormat) if kind == tuple[WritableFormat, ...] else ()
    return tuple(_chosen(item, choices) if choices else item for item in value)


def _chosen(given: Any, choices: tuple[str, ...]) -> Any:
    try:
        return strict.choice(given, choices)
    except ValueError as error:
        raise ValueError(f"{error}{strict.did_you_mean(str(given), choices)}") from None


def _from_text(kind: object, text: str) -> Any:
    """What a text says as a value of that type; the text itself if it says none."""
    if kind is bool:
        return _SWITCH.get(text.lower(), text)
    if kind == tuple[str, ...]:
        if "," in text and ":" not in text:
            raise ValueError(f"is one text, got {text!r}: write several as a list, [a, b], or separated by colons, a:b")
        return tuple(filter(None, text.split(":")))
    if kind == tuple[WritableFormat, ...]:
        return tuple(filter(None, text.replace(":", ",").replace(" ", "").split(",")))
    try:
        return int(text) if kind is int else float(text) if kind is float else text
    except ValueError:
        return text
