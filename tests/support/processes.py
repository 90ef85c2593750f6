"""What the tests ask of processes."""

import os
from contextlib import suppress
from pathlib import Path


def children(process=None):
    """Processes that this one, or that one, has started and that have not been waited for.

    Not by /proc/PID/task/TID/children, which may leave some out while others end, see proc_tid_children(5).
    """
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it has just ended, or is not for this user to see
                parents[int(folder.name)] = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
    return {child for child, parent in parents.items() if parent == (process or os.getpid())}
