"""A small process that watches one that a photo may crash: if that happens, it names the photos in hand and says what to do."""

import os
import signal
import sys

from orientd.state.in_hand import named, read_hand

_ENDS_BY_ITSELF = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(path: str) -> None:
    """Wait until standard input is closed; print nothing if it held anything. `path` is the `Hand` of the process watched."""
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
