"""Addresses to listen at, as HOST:PORT. Pure."""

from ipaddress import ip_address
from typing import Final

_BYTE: Final = r"(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])"
_PORT: Final = r"(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"
FORM: Final = rf"({_BYTE}(\.{_BYTE}){{3}}|localhost|\[[0-9A-Fa-f:.]+\]):{_PORT}"
"""A pattern that every address fits: of IPv4, of IPv6 in brackets, or localhost."""


def split_address(address: str) -> tuple[str, str]:
    """The host, without brackets, and the port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def is_of_this_machine(address: str) -> bool:
    """True if nobody on another machine can reach it."""
    host, _ = split_address(address)
    return is_loopback(host)


def is_loopback(host: str) -> bool:
    """True of this machine's own name and numbers."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
