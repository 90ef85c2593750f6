"""The skew of a page: the direction of its lines of text, from the spectrum of its gray levels.

Lines of text repeat across their direction, and none of what else is on a page does so as exactly. So the magnitudes of the
Fourier transform are largest along one ray, the normal of the lines (Postl 1986; as an adaptive radial projection Pham et al.
2022, "Adaptive Radial Projection on Fourier Magnitude Spectrum for Document Image Skew Estimation"). Found in two steps of our
own: every ray of half a degree, each frequency compared with the same frequency of the other rays, so that none outweighs the
others; then, around the best ray, the sums of the gray levels along lines whose direction changes by 0.05°, judged by the energy
of their differences (Postl's criterion), which is greatest where lines and gaps are not mixed.
"""

from dataclasses import dataclass
from functools import cache
from math import exp, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from orientd.decode.boxes import box_sums

SIDE: Final = 1024
"""The longer side, in pixels, of the gray levels that are looked at, at most."""
LEAST_SIDE: Final = 64
"""Pictures with a shorter side, in pixels, have no skew."""

LEAST_CONFIDENCE: Final = 0.7
"""An angle that is less certain is none."""

Plane = NDArray[np.float32]
Spectrum = NDArray[np.complexfloating[Any, Any]]
_STEP, _FINE_STEP = 0.5, 0.05  # degrees
_FINE_STEPS: Final = 15  # to either side
_LOWEST, _HIGHEST = 12, 300  # frequencies, in periods per SIDE pixels
_NEAR: Final = 6.0  # degrees: two rays closer than this are one, as large letters make broad ones
_RADIUS: Final = 12  # pixels: half the side of the box whose mean is the paper
_LIMIT: Final = 2.0  # mean differences from the paper beyond which ink is equally dark: edges of photos do not outweigh letters
_BIAS, _BY_LEAD, _BY_HEIGHT, _BY_LIKENESS = -3.331, 1.857, -0.585, 0.616
_STRIP: Final = 16  # columns that are summed before the fine search: at 0.75° their lines move by 0.2 pixels


@dataclass(frozen=True, slots=True)
class Skew:
    """`angle`: degrees clockwise, −90 to 90, by which the page is to be turned to make its lines horizontal.

    `height`: how far the best ray is above the usual one, in units of how much rays vary; `lead`: how far above the next best
    direction, likewise; the one across the lines, that of stems and the edges of columns, is none.
    """

    angle: float
    height: float
    lead: float

    def confidence(self, likeness: float) -> float:
        """The probability that the angle is right within half a degree, apart from quarter turns.

        `likeness`: how much it looks like a page (`witnesses.pages`). Fitted to 290 parts of pages, blurred, faded and turned,
        and to 160 photos, on which no angle counts as right; none is among those by which `benchmarks/pages` measures.
        """
        odds = _BIAS + _BY_LEAD * sqrt(max(0.0, self.lead)) + _BY_HEIGHT * sqrt(max(0.0, self.height)) + _BY_LIKENESS * likeness
        return 1 / (1 + exp(-odds))


def gray(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The gray levels (height, width) of RGB pixels, weighed as ITU-R BT.601 does, to the bit those that Pillow makes of them.

    Not by Pillow, as this is asked where no decoder is loaded.
    """
    red, green, blue = (pixels[..., channel].astype(np.uint32) for channel in range(3))
    return ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16).astype(np.uint8)


def find_skew(gray: NDArray[np.uint8]) -> Skew | None:
    """The skew of a page; None if it is blank or too small to measure.

    gray: (height, width), the longer side `SIDE` at most.
    """
    if min(gray.shape) < LEAST_SIDE:
        return None
    ink = _ink(gray[_without_frame(gray)])
    if ink is None:
        return None
    columns = np.fft.rfft(ink, SIDE, axis=0)[:_HIGHEST]
    rays, strengths = _rays(columns)
    best = int(rays.argmax())
    spread = float(np.median(np.abs(rays - np.median(rays)))) + 1e-6
    quarter = int(90 / _STEP)
    apart = np.abs((np.arange(len(rays)) - best + quarter // 2) % quarter - quarter // 2) * _STEP
    height = (float(rays[best]) - float(np.median(rays))) / spread
    lead = (float(rays[best]) - float(rays[apart > _NEAR].max())) / spread
    direction = _refined(ink, columns, _lines_not_stems(strengths, best) * _STEP - 90)
    return Skew(float((90 - direction) % 180 - 90), height, lead)


def _without_frame(gray: NDArray[np.uint8]) -> tuple[slice, slice]:
    """The rows and columns within the dark frame that a scanner leaves, whose edges are straight at any skew."""
    some = gray[::4, ::4]
    paper = float(np.median(some[some >= np.median(some)]))
    least = (paper + float(some.min())) / 2
    rows = _light(np.median(gray[:, ::8], axis=1) > least)
    columns = _light(np.median(gray[rows, :][::8], axis=0) > least)
    return rows, columns


def _light(light: NDArray[np.bool_]) -> slice:
    """From the first light row to the last, less those that the edge of the frame reaches; all if too few are left."""
    places = np.flatnonzero(light)
    start = int(places[0]) if len(places) else 0
    end = int(places[-1]) + 1 if len(places) else len(light)
    start, end = start + _RADIUS * (start > 0), end - _RADIUS * (end < len(light))
    return slice(start, end) if end - start >= LEAST_SIDE else slice(0, len(light))


def _ink(gray: NDArray[np.uint8]) -> Plane | None:
    """How much each pixel differs from its surroundings, within limits, fading towards the border; None if there is nothing."""
    levels = gray.astype(np.float32)
    ink = levels - _box_mean(levels)
    limit = _LIMIT * float(np.abs(ink).mean())
    if limit < 0.05:
        return None
    np.clip(ink, -limit, limit, out=ink)
    height, width = ink.shape
    ink *= _fading(height)[:, None]
    ink *= _fading(width)
    return ink / np.float32(limit)


def _box_mean(levels: Plane) -> Plane:
    side = 2 * _RADIUS + 1
    sums: Plane = box_sums(np.pad(levels, _RADIUS, mode="edge"), side, side)
    return sums / np.float32(side * side)


@cache
def _fading(length: int) -> Plane:
    """Ones that fall to zero over the outer tenths, so that the border of a picture is no line."""
    edge = max(2, length // 10)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    return np.concatenate([ramp, np.ones(length - 2 * edge), ramp[::-1]]).astype(np.float32)


def _rays(columns: Spectrum) -> tuple[Plane, Plane]:
    """How far each direction of lines, from −90° in steps of `_STEP`, clockwise, stands out; and how strong it is in all.

    columns: the transform of each column, (frequencies from 0, columns).
    """
    along = np.abs(np.fft.fft(columns, SIDE, axis=1).ravel()[_places()])
    strengths = along.mean(axis=1)
    along /= np.median(along, axis=0) + 1e-6
    return np.log1p(along).mean(axis=1), strengths


def _lines_not_stems(strengths: Plane, best: int) -> int:
    """The best direction or the one across it: large letters have stems that stand out as much as lines do, but are weaker."""
    across = (best + len(strengths) // 2) % len(strengths)
    here, there = (
        max(strengths[place - 1], strengths[place], strengths[(place + 1) % len(strengths)]) for place in (best, across)
    )
    return best if here >= there else across


@cache
def _places() -> NDArray[np.intp]:
    """Where in a half spectrum the normal of each direction meets each frequency, (directions, frequencies)."""
    directions = np.deg2rad(np.arange(-90, 90, _STEP))[:, None]
    radii = np.arange(_LOWEST, _HIGHEST)
    across, down = np.rint(-np.sin(directions) * radii).astype(int), np.rint(np.cos(directions) * radii).astype(int)
    return np.asarray(down * SIDE + across % SIDE, np.intp)


def _refined(ink: Plane, columns: Spectrum, direction: float) -> float:
    """The direction of the lines near `direction`, in degrees clockwise. columns: as those of `_rays`."""
    if abs(direction) <= 45:
        return _near(columns, direction)
    plumb = 90.0 if direction > 0 else -90.0
    return plumb - _near(np.fft.rfft(ink, SIDE, axis=1).T, plumb - direction)


def _near(columns: Spectrum, direction: float) -> float:
    """As `_refined`, for lines that are rather horizontal.

    Gray levels summed along slanted lines are, by frequency, the transforms of the columns, each delayed by its place times the
    slope, and summed. That is done around the slope given first, so that columns side by side can be summed before the search.
    """
    width = columns.shape[1] // _STRIP * _STRIP
    frequencies = (np.arange(_LOWEST, _HIGHEST) / SIDE).astype(np.float32)[:, None]
    slope = np.tan(np.deg2rad(direction))
    level = columns[_LOWEST:_HIGHEST, :width] * _delays(frequencies * np.arange(width, dtype=np.float32), slope)
    strips = level.reshape(len(frequencies), -1, _STRIP).sum(axis=2)
    places = frequencies * (np.arange(strips.shape[1]) * _STRIP + (_STRIP - 1) / 2).astype(np.float32)
    slopes = slope + np.deg2rad(_FINE_STEP) * (1 + slope * slope) * np.arange(-_FINE_STEPS, _FINE_STEPS + 1)
    strips *= _delays(places, slopes[0] - slope)
    further = _delays(places, slopes[1] - slopes[0])
    energy = np.empty(len(slopes))
    for place in range(len(slopes)):
        sums = strips.sum(axis=1) * frequencies[:, 0]
        energy[place] = np.vdot(sums, sums).real
        strips *= further
    return float(np.rad2deg(np.arctan(_top(slopes, energy))))


def _delays(places: Plane, slope: float) -> NDArray[np.complex64]:
    angles = places * np.float32(2 * np.pi * slope)
    delays = np.empty(angles.shape, np.complex64)
    np.cos(angles, out=delays.real)
    np.sin(angles, out=delays.imag)
    return delays


def _top(where: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Where the parabola through the greatest value and its neighbors has its top."""
    middle = int(np.clip(values.argmax(), 1, len(values) - 2))
    before, here, after = values[middle - 1 : middle + 2]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float(where[middle] + (where[1] - where[0]) * np.clip(shift, -1, 1))
