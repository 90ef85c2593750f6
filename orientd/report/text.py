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
    """Values as any program can read them from JSON. Where a text holds bytes that are not UTF-8, U+FFFD stands for each, and the
    very bytes stand beside it in base64, by its name and `_b64`."""
    told: dict[str, object] = {}
    for name, value in values.items():
        stray = isinstance(value, str) and not value.isascii() and value.encode("utf-8", "surrogateescape")
        text = stray.decode("utf-8", "replace") if stray else value
        told[name] = text
        if stray and text != value:
            told[f"{name}_b64"] = base64.b64encode(stray).decode("ascii")
    return told
