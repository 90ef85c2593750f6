"""Runs the hook that the configuration names for an event. Whatever comes of it is one line for the log, and nothing else."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from orientd import __version__
from orientd.config import Config
from orientd.config.address import is_loopback
from orientd.config.hook import host, is_address, is_in_the_open
from orientd.hooks import process
from orientd.hooks.facts import Event, Facts
from orientd.records import Notify
from orientd.report.text import printable

_AGENT: Final = f"orientd/{__version__}"
LIMIT: Final = 30.0
"""Seconds that a hook may take."""
_REQUEST: Final = (sys.executable, "-I", str(Path(__file__).with_name("request.py")))  # -I: nothing but Python's own modules


def run(
    config: Config,
    event: Event,
    facts: Facts,
    notify: Notify,
    seconds: float = LIMIT,
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Run the hook for `event`, if there is one, for so many seconds at most, or until `stop`; `notify` hears of trouble.

    An orientd that a hook has started runs no hooks: one that scans would start itself forever.
    """
    hook: tuple[str, ...] = getattr(config, event)
    if not hook or process.WITHIN in os.environ:
        return
    if is_in_the_open(hook):
        notify(f"{event}: http://{printable(host(hook))} is asked unencrypted, across other networks: use https")
    try:
        trouble = _trouble(hook, event, facts, seconds, stop)
    except KeyboardInterrupt:
        trouble = "was ended, as you interrupted it"
    except (OSError, ValueError) as error:
        trouble = f"cannot be run: {getattr(error, 'strerror', None) or error}"
    if trouble:
        notify(f"{event}: {printable(_name(hook))} {printable(trouble)}")


def _trouble(hook: Sequence[str], event: Event, facts: Facts, seconds: float, stop: Callable[[], bool]) -> str:
    """What went wrong, in words, with the hook as their subject; "" if nothing did."""
    asked = is_address(tuple(hook))
    given = facts.to_json(event, abroad=asked)
    if asked:
        direct = is_loopback(host(tuple(hook)))
        request = {"address": hook[0], "direct": direct, "seconds": seconds, "agent": _AGENT, "facts": given.decode("ascii")}
        given = json.dumps(request).encode("ascii")
    status, said = process.run(_REQUEST if asked else hook, given, seconds, stop)
    if status is None:
        return "was ended, as orientd stops" if stop() else f"was ended: it took longer than {seconds:g} seconds"
    if asked:
        return said if status else ""
    how = f"failed with exit code {status}" if status > 0 else f"was ended by signal {-status}"
    return (how + f": {said}" * bool(said)) if status else ""


def _name(hook: tuple[str, ...]) -> str:
    return host(hook) if is_address(hook) else hook[0]
