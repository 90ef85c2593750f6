"""The eight EXIF orientations as the dihedral group D4.

An orientation says how stored pixels become what a viewer shows (EXIF 2.32, tag 0x0112; TIFF 6.0, p. 36). Each value is a
mirror (left to right), if any, followed by a number of clockwise quarter turns. A *turn* is 0, 90, 180 or 270: the degrees
clockwise that make the photo, as viewers show it, upright.
"""

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TURNS: Final = (0, 90, 180, 270)
UPRIGHT: Final = 1

_PARTS: Final = {1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 3), 6: (0, 1), 7: (1, 1), 8: (0, 3)}
_VALUES: Final = {parts: value for value, parts in _PARTS.items()}

_Scalar = TypeVar("_Scalar", bound="np.generic")


def normalise(stored: int | None) -> int:
    """The value viewers act on: absent or outside 1–8 counts as 1."""
    return stored if stored in _PARTS else UPRIGHT


def then(first: int, second: int) -> int:
    """The single orientation that equals applying `first`, then `second` (both 1–8)."""
    mirror_1, quarters_1 = _PARTS[first]
    mirror_2, quarters_2 = _PARTS[second]
    carried = -quarters_1 if mirror_2 else quarters_1
    return _VALUES[mirror_1 ^ mirror_2, (quarters_2 + carried) % 4]


def inverse(orientation: int) -> int:
    """The orientation that takes `orientation` (1–8) back."""
    mirror, quarters = _PARTS[orientation]
    return orientation if mirror else _VALUES[0, -quarters % 4]


def from_turn(turn: int) -> int:
    """The orientation that turns stored pixels by `turn` degrees clockwise."""
    return _VALUES[0, turn // 90]


def turned(stored: int | None, turn: int) -> int:
    """The orientation to store so that a photo stored with `stored` is shown turned by `turn` degrees clockwise more."""
    return then(normalise(stored), from_turn(turn))


def swaps_sides(orientation: int) -> bool:
    """True if the shown width is the stored height."""
    return _PARTS[orientation][1] % 2 == 1


def apply(pixels: "NDArray[_Scalar]", orientation: int) -> "NDArray[_Scalar]":
    """Pixels of shape (height, width, …) as `orientation` (1–8) shows them; a view, not a copy."""
    mirror, quarters = _PARTS[orientation]
    shown = pixels[:, ::-1] if mirror else pixels
    for _ in range(quarters):
        shown = shown.swapaxes(0, 1)[:, ::-1]
    return shown
