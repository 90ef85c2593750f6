"""When to hold back: in quiet hours, on battery, above a rate, or for a while after trouble."""

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from orientd.config import Config

QUIET_HOURS: Final = "quiet hours"
_BATTERY_SECONDS: Final = 30.0
POWER: Final = "/sys/class/power_supply"

Span = tuple[int, int]


def spans(hours: str) -> list[Span]:
    """Spans such as "22:00-07:30, 12:00-13:00", each of the form `config.HOURS`, in minutes since midnight.

    An end before its start is the next day's.
    """
    minutes = [60 * int(hour) + int(minute) for hour, minute in re.findall(r"(\d\d):(\d\d)", hours)]
    return list(zip(minutes[::2], minutes[1::2], strict=True))


def is_quiet(minute: int, quiet: Sequence[Span]) -> bool:
    """True if that minute of the day is in one of the spans, each of which holds its start and not its end."""
    return any(start <= minute < end if start <= end else minute >= start or minute < end for start, end in quiet)


def on_battery(folder: str = POWER) -> bool:
    """True if a battery is being emptied and no mains adapter is plugged in, by /sys/class/power_supply.

    https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-class-power; batteries of mice and keyboards have the scope Device.
    """
    supplies = [os.path.join(folder, name) for name in _listed(folder)]
    if any(_said(supply, "type") == "Mains" and _said(supply, "online") == "1" for supply in supplies):
        return False
    return any(
        _said(supply, "type") == "Battery" and _said(supply, "scope") != "Device" and _said(supply, "status") == "Discharging"
        for supply in supplies
    )


@dataclass(slots=True)
class RateLimiter:
    """So many photos a minute (0: as many as there are), saved up for at most one minute. Times are in seconds."""

    per_minute: float
    _saved: float = 1.0
    _since: float | None = None

    def granted(self, now: float) -> int:
        """How many may be begun now, at most 1,000,000."""
        if not self.per_minute:
            return 1_000_000
        earned = 0.0 if self._since is None else max(now - self._since, 0.0) * self.per_minute / 60
        self._saved, self._since = min(self._saved + earned, max(self.per_minute, 1.0)), now
        return int(self._saved)

    def spend(self, photos: int) -> None:
        if self.per_minute:
            self._saved -= photos

    def wait(self) -> float:
        """Seconds from the last `granted` until one more photo may be begun."""
        return max(1.0 - self._saved, 0.0) * 60 / self.per_minute if self.per_minute else 0.0


class Throttle:
    """Why no photo may be judged now, if so. `local` is the time of the day; other times are in seconds by one clock."""

    def __init__(self, config: Config, local: Callable[[], time.struct_time]) -> None:
        self._local, self._hold, self._hold_until = local, "", 0.0
        self.change(config)

    def change(self, config: Config) -> None:
        """Go by another configuration from now on; a hold stays."""
        self._quiet, self._spares_battery = spans(config.quiet_hours), config.pause_on_battery
        self.rate = RateLimiter(config.rate_limit)

    def hold(self, why: str, until: float) -> None:
        """Let nothing be judged until then."""
        self._hold, self._hold_until = why, until

    def why_not(self, now: float) -> tuple[str, float]:
        """Why nothing may be begun now, and in how many seconds to ask again; "" if something may."""
        local = self._local()
        if is_quiet(60 * local.tm_hour + local.tm_min, self._quiet):
            return QUIET_HOURS, 60.0 - local.tm_sec
        if self._spares_battery and on_battery():
            return "on battery", _BATTERY_SECONDS
        if now < self._hold_until:
            return self._hold, self._hold_until - now
        if not self.rate.granted(now):
            return "rate limit", self.rate.wait()
        return "", 0.0


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # a machine, or a container, without such a thing
        return []


def _said(supply: str, name: str) -> str:
    try:
        with open(os.path.join(supply, name), encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
