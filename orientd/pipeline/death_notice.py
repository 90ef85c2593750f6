"""A small process beside one that may die of a photo: should that happen, it says with which photos in hand, and what to do."""

import os
import signal
import sys

from orientd.state.in_hand import named, read_hand

_ENDS_BY_ITSELF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(path: str) -> None:
    """Wait until standard input is closed, and be silent if anything was said before; `path` is the other's `Hand`."""
    for number in _ENDS_BY_ITSELF:
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read():
        return
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    if found := read_hand(file):
        advice = "Run it again: what was in hand is tried first, each by itself, and what makes orientd crash is left out."
        sys.stderr.write(f"orientd died or was killed {named(found)}. {advice}\n")


if __name__ == "__main__":
    serve(sys.argv[1])
