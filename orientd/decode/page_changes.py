"""What is to be changed of the pages of a file. Importing this module does not load Pillow."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

Turn = tuple[int, float]
"""A quarter turn, then what is left of a turn, in degrees clockwise."""
Box = tuple[float, float, float, float]
"""Left, upper, right and lower side, as shares of the width and the height of a picture, 0 to 1."""
NOT_TURNED: Final[Turn] = (0, 0.0)
WHOLE: Final[Box] = (0.0, 0.0, 1.0, 1.0)


class Changes(NamedTuple):
    """By the numbers of the pages, from 0: how each is turned, as viewers show it; which become pictures (`rendered`, of PDFs
    alone); and to which box each is cropped, once turned. All of these are in `turns`, and none that is cropped is `rendered`.
    """

    turns: Mapping[int, Turn]
    rendered: Collection[int] = ()
    crops: Mapping[int, Box] = MappingProxyType({})

    def turn(self, page: int) -> Turn:
        return self.turns.get(page, NOT_TURNED)

    def box(self, page: int) -> Box:
        return self.crops.get(page, WHOLE)
