"""Texts for terminals: what cannot be printed escaped, sizes and counts in words."""


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
