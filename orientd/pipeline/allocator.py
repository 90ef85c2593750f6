"""How the memory allocator of the C library is set, so that it gives memory back."""

import ctypes
from contextlib import suppress

from orientd.decode.memory_budget import _M_ARENA_MAX


def share_one_arena() -> None:
    """Have all threads allocate from one place, before the first of them starts.

    By default each has its own, where what one freed is lost to the others: 10 % more memory, for no time gained here.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return to the system what is free."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
