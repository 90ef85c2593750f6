"""Whether a server shows a photo as it was asked to: its preview from before, compared with the one of now. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd.orientation import TURNS, apply, from_turn

_NEAR: Final = 12.0  # of 255, on average: packed again, the same picture differs by some 2


def is_turned(before: NDArray[np.uint8], now: NDArray[np.uint8], turn: int) -> bool:
    """True if the picture `now` is `before` turned by so many degrees clockwise, and by no other turn more so.

    Both are of shape (side, side, 3), squeezed to the same square.
    """
    apart = {each: _apart(apply(before, from_turn(each)), now) for each in TURNS}
    return apart[turn] == min(apart.values()) and apart[turn] <= _NEAR


def _apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())
