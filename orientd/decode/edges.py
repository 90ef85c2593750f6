"""Where a page ends and what is around it begins: a dark table, or the black that a scanner leaves.

This does not look for the page but for what is certainly not part of it, so that a mistake leaves too much and cuts nothing off:
what is far darker than the paper, plain, and without the fine contrast of print, which counts in the deepest shadow. The page is
the smallest upright box around everything else.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from orientd.decode.page_changes import WHOLE, Box, Turn
from orientd.decode.page_pictures import QUARTERS

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_DARK: Final = 0.6  # of the gray of the paper: what is lighter is never cut off
_CLEARLY: Final = 0.08  # of the paper: by how much nearly all of the surroundings are darker than that
_PLAIN: Final = 0.12  # of the paper: the standard deviation of the surroundings
_PRINT: Final = 0.75  # of the lightest nearby: what is darker is print
_SEEN: Final = 0.08  # of the paper: print that differs by less from what is around it cannot be read
_NEARBY: Final = 4  # pixels to each side
_BORDER: Final = 2  # pixels that the border of a turned picture is wide
_FEWEST: Final = 3  # pixels in a row or column that are more than dust
_MARGIN: Final = 3  # pixels that stay beyond the last that is the page for certain
_LEAST_PAPER: Final = 0.6  # of the page
_LEAST_PAGE: Final = 0.2  # of the picture
_LEAST_CUT: Final = 0.005  # of the picture: less is not worth it
_RIM: Final = 0.02  # of the sides of a picture
_PAPER, _MOST_DARK = 0.8, 0.1  # of the gray of the paper; of the rim, how much is darker where a page fills its picture


class _Shown(NamedTuple):
    """A turned picture: its gray levels, a little blurred; where it has pixels of the picture; and the gray of the paper."""

    levels: Pixels
    inside: Mask
    paper: float


def page_box(levels: Pixels, turn: Turn) -> Box | None:
    """The box of the page in its picture turned by `turn` as `page_pictures.turned` does; None if it is not certain.

    levels: gray (height, width), not turned. `WHOLE` if the page fills them.
    """
    shown = _shown(levels, turn)
    light = shown.levels > _DARK * shown.paper
    rows, columns = _bounds(shown.inside & (light | _print(shown)))
    outside = shown.inside.copy()
    outside[rows, columns] = False
    size, cut = np.count_nonzero(shown.inside), np.count_nonzero(outside)
    if cut <= _LEAST_CUT * size:
        return WHOLE if _fills(levels, shown.paper) else None
    paper = np.count_nonzero((light & shown.inside)[rows, columns])
    if size - cut < _LEAST_PAGE * size or paper < _LEAST_PAPER * (size - cut) or not _is_plain(shown, outside):
        return None
    height, width = shown.levels.shape
    return columns.start / width, rows.start / height, columns.stop / width, rows.stop / height


def _shown(levels: Pixels, turn: Turn) -> _Shown:
    beyond = 255 - np.asarray(_turned(np.full_like(levels, 255), turn))
    blurred = _turned(levels, turn).filter(ImageFilter.BoxBlur(1))
    return _Shown(np.asarray(blurred), _greatest(beyond, _BORDER) < 255, _paper(levels))


def _paper(levels: Pixels) -> float:
    """The usual gray of what is rather light than dark."""
    some = levels[::4, ::4]
    return float(np.median(some[some >= np.percentile(some, (1, 99)).mean()]))


def _turned(levels: Pixels, turn: Turn) -> Image.Image:
    """As `page_pictures.turned`, on black."""
    quarters, rest = turn
    picture = Image.fromarray(levels)
    picture = picture.transpose(QUARTERS[quarters]) if quarters else picture
    return picture.rotate(-rest, Image.Resampling.BILINEAR, expand=True) if rest else picture


def _print(shown: _Shown) -> Mask:
    """What is much darker than its surroundings."""
    lightest = _greatest(shown.levels, _NEARBY)
    return np.asarray((shown.levels < _PRINT * lightest) & (lightest - shown.levels > _SEEN * shown.paper))


def _greatest(levels: Pixels, reach: int) -> Pixels:
    """The greatest of the levels up to `reach` pixels away, to all four sides."""
    for _ in range(2):
        wide = np.pad(levels, ((0, 0), (reach, reach)), mode="edge")
        places = range(2 * reach + 1)
        levels = np.maximum.reduce([wide[:, place : place + levels.shape[1]] for place in places]).T
    return levels


def _bounds(page: Mask) -> tuple[slice, slice]:
    """The rows and columns of all that is no dust, with a margin."""
    return _span(np.count_nonzero(page, axis=1) >= _FEWEST), _span(np.count_nonzero(page, axis=0) >= _FEWEST)


def _span(some: Mask) -> slice:
    places = np.flatnonzero(some)
    if not len(places):
        return slice(0, len(some))
    return slice(max(0, int(places[0]) - _MARGIN), min(len(some), int(places[-1]) + 1 + _MARGIN))


def _is_plain(shown: _Shown, outside: Mask) -> bool:
    """True if what is to be cut off is dark all over, and alike."""
    levels = shown.levels[outside]
    dark = np.percentile(levels, 95) <= (_DARK - _CLEARLY) * shown.paper
    return bool(dark and levels.std() <= _PLAIN * shown.paper)


def _fills(levels: Pixels, paper: float) -> bool:
    """True if a page fills its picture: hardly any of the rim is dark."""
    wide = max(1, int(_RIM * min(levels.shape)))
    rim = np.concatenate([part.ravel() for part in (levels[:wide], levels[-wide:], levels[:, :wide], levels[:, -wide:])])
    return bool(np.mean(rim < _PAPER * paper) <= _MOST_DARK)
