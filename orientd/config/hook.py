"""What may be started when something happened: a program with its arguments, or a web page by its address alone. Pure.

A hook is a tuple of texts; an empty one is none.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from orientd.config.places import at_home as path_at_home

_WANTED: Final = "a list of a program and its arguments, such as [/usr/local/bin/notify, photos], or an address (https)"
_OPEN: Final = re.compile(r"http://", re.IGNORECASE)
_WEB: Final = re.compile(r"https?://", re.IGNORECASE)
_NAMES_AT_HOME: Final = (".local", ".lan", ".internal", ".home.arpa", ".localhost")


def checked(given: object) -> tuple[str, ...]:
    """A hook as the configuration gives it: a list of texts, or one text that is an address.

    Raises:
        ValueError: it is neither; the message says what is wanted.
    """
    items = [given] if isinstance(given, str) else given
    if given == "" or items == [] or items == ():
        return ()
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and "\0" not in item for item in items):
        raise ValueError(f"must be {_WANTED}, got {given!r}")
    first: str = items[0]
    if _WEB.match(first):
        if len(items) > 1:
            raise ValueError(f"an address stands alone, got {given!r}")
        _check_address(first)
    elif isinstance(given, str) or not first or "://" in first:
        raise ValueError(f"must be {_WANTED}, got {given!r}")
    elif "/" in first and not first.startswith(("/", "~/")):
        raise ValueError(f"must name its program by its whole path, or by a name that is found in PATH, got {first!r}")
    return tuple(items)


def at_home(hook: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hook; where its program begins with ~, below the home that the environment names."""
    return (path_at_home(hook[0], environment), *hook[1:]) if hook else ()


def is_address(hook: tuple[str, ...]) -> bool:
    """True if a web page is to be requested."""
    return bool(hook) and _WEB.match(hook[0]) is not None


def host(hook: tuple[str, ...]) -> str:
    """The host of an address: its rest may be as good as a password."""
    return urlsplit(hook[0]).hostname or ""


def is_in_the_open(hook: tuple[str, ...]) -> bool:
    """True if a request would go unencrypted beyond this machine and its network, as far as its name shows."""
    if not is_address(hook) or not _OPEN.match(hook[0]):
        return False
    name = host(hook)
    try:
        found = ip_address(name)
    except ValueError:
        return "." in name and not name.endswith(_NAMES_AT_HOME)
    return not (found.is_private or found.is_loopback or found.is_link_local)


def _check_address(text: str) -> None:
    try:
        parts = urlsplit(text)
        fine = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be an address such as https://example.org/ping, without a user's name, spaces or other scripts")
