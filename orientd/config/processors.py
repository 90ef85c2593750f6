"""How many processors this process may use: what `workers` means where nobody sets it.

`os.cpu_count` counts those of the machine. A container or a service may be allowed fewer, by its affinity
(sched_getaffinity(2)) or by the quota of its control group (cgroups(7); "CPU Interface Files" in the kernel's cgroup-v2.rst),
and more threads than processors only hold more memory.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_OWN: Final = Path("/proc/self/cgroup")
_ROOT: Final = Path("/sys/fs/cgroup")


def available(own: Path = _OWN, root: Path = _ROOT) -> int:
    """The processors this process may use, at least 1; part of one counts as a whole one.

    own: the file that names the control group of this process. root: where the control groups of version 2 are mounted.
    """
    allowed = len(os.sched_getaffinity(0))
    return max(1, min([allowed, *_quotas(own, root)]))


def _quotas(own: Path, root: Path) -> Iterator[int]:
    """What the control group and those above it allow; none if it is not to be read, as where groups of version 1 are in use."""
    try:
        names = [line.removeprefix("0::/") for line in own.read_text().splitlines() if line.startswith("0::/")]
    except (OSError, ValueError):
        return
    for name in names:
        group = root / name
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (quota := _quota(folder / "cpu.max")):
                yield quota


def _quota(file: Path) -> int | None:
    """The processors that one group allows, rounded up; None without a limit."""
    try:
        most, period = file.read_text().split()
        return -(-int(most) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
