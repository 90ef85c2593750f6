"""Texts for terminals: what cannot be printed escaped, sizes and counts in words."""

import base64
from collections.abc import Mapping


def printable(text: str) -> str:
    """`text` safe to show on one line of a terminal: control characters, text-direction marks and stray bytes as escapes."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else repr(char)[1:-1]


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def photos(number: int, one: str, many: str) -> str:
    """In words, with the verb that goes with it."""
    return f"{number:,} photo {one}" if number == 1 else f"{number:,} photos {many}"


def in_json(values: Mapping[str, object]) -> dict[str, object]:
    """Values as any program can read them from JSON. In a text with bytes that are not UTF-8, each of them becomes U+FFFD, and
    NAME_b64 holds the original bytes in base64; for a list with such a text, NAME_b64 is a list."""
    fields: dict[str, object] = {}
    for name, value in values.items():
        fields[name] = _clean(value)
        if fields[name] != value and isinstance(value, str):
            fields[f"{name}_b64"] = _base64(value)
        elif isinstance(value, list | tuple) and any(isinstance(one, str) and _clean(one) != one for one in value):
            fields[f"{name}_b64"] = [_base64(str(one)) for one in value]
    return fields


def _clean(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return in_json(value)
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode("ascii")
