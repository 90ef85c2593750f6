"""Files as documents of pages: images with one page or, TIFFs, several; and PDFs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from orientd import formats, orientation
from orientd.decode import Decoder, page_files
from orientd.decode.edges import page_box
from orientd.decode.memory_budget import for_decoding
from orientd.decode.page_changes import WHOLE, Box, Changes, Turn
from orientd.decode.skew import SIDE, gray
from orientd.errors import EngineUnavailable, Refused
from orientd.pages.copies import Copies
from orientd.pages.isolated import IsolatedPages
from orientd.pages.judge import STRAIGHT, Finding, decided, judge
from orientd.pages.opened import PDF, ImagePages, Pages, TiffPages, open_pages
from orientd.pages.upright import Ask
from orientd.reasons import Reason
from orientd.records import FileStat, Format, Method, Photo
from orientd.report.page_report import PageVerdict
from orientd.write import rotate

_BY_TAG: Final = (Format.JPEG, Format.MPO, Format.PNG, Format.WEBP, Format.HEIF, Format.AVIF)
_UNCERTAIN: Final = "where the page ends is not certain, so its copy is not cropped: crop it by hand if it needs it"
_TAKEN_BY_PAGE, _TAKEN_BY_ALL = 10_000, 64 * 2**20  # bytes of memory for a copy of a PDF, and what PDFium takes
_MOST_RENDERED: Final = 500  # pages: all pictures are held until the document is written

_SIGNED: Final = (
    "the document is signed, and the signature would not hold in a copy: print it to a new PDF, without the signature, and look"
    " at that"
)

Stop = Callable[[], bool]


class Opened:
    """Opens files as pages, in child processes if `isolate`."""

    def __init__(self, max_pixels: int, *, isolate: bool) -> None:
        self._max_pixels, self._isolate = max_pixels, isolate

    def pdf(self, path: str, stat: FileStat) -> Pages:
        """Raises as `open_pages` or `IsolatedPages`."""
        return (IsolatedPages if self._isolate else open_pages)(PDF, path, stat, self._max_pixels)

    def image(self, photo: Photo) -> Pages:
        """Raises as `open_pages` or `IsolatedPages`."""
        if self._isolate:
            return IsolatedPages(photo.format, photo.path, photo.stat, self._max_pixels)
        if photo.format is Format.TIFF:
            return TiffPages(photo.path, photo.stat, self._max_pixels)
        return ImagePages(photo.format, photo.data, self._max_pixels)


class Turner:
    """Turns whole image files by quarters without loss: their pixels or, where that cannot be, the orientation they store."""

    def __init__(self, *, isolate: bool) -> None:
        self._isolate = isolate

    def turned(self, photo: Photo, quarters: int) -> bytes | None:
        """The file shown turned by that much more; None if its format has no way to."""
        value = orientation.turned(photo.orientation, quarters)
        if photo.format not in _BY_TAG:
            return None
        for plan in (self._rotate, formats.plan):
            try:
                patch = plan(photo.format, photo.data, value) if plan else None
            except Refused:
                continue
            if patch is not None:
                return patch.apply(photo.data)
        return None

    @cached_property
    def _rotate(self) -> rotate.Rotate | None:
        try:
            return rotate.planner(Method.ROTATE, isolate=self._isolate)
        except EngineUnavailable:  # without the library for JPEGs
            return rotate.planner(Method.AUTO, isolate=self._isolate)


class ImageDocument:
    """See `page_run.Document`."""

    def __init__(
        self, photo: Photo, decoder: Decoder, turner: Turner, opened: "Opened", straighten: bool, crop: bool = False
    ) -> None:
        self._photo, self._decoder, self._turner, self._straighten = photo, decoder, turner, straighten
        self._crops = Crops() if crop else None
        self._pages = opened.image(photo)

    def __len__(self) -> int:
        return len(self._pages)

    def finding(self, page: int, ask: Ask) -> Finding:
        """Raises DecodeError."""
        levels = self._pages.look(page).levels if len(self) > 1 else None
        if levels is None:
            levels = gray(self._decoder.fitted(self._photo, SIDE).pixels)
        found = judge(levels, ask)
        if self._crops is not None:
            found = self._crops.found(page, found, levels)
        return found if self._straighten else by_quarters(found, "--no-straighten asks for quarter turns only")

    def write(self, findings: Sequence[Finding], copies: Copies, path: str, stop: Stop) -> str:
        """Give the path of the copy. Raises PhotoError."""
        photo, turns, whole = self._photo, _turns(findings, straighten=self._straighten), None
        crops: dict[int, Box] = self._crops or {}
        if len(self) == 1 and not turns[0][1] and not crops:
            whole = self._turner.turned(photo, turns[0][0])
        place = copies.place(path, page_files.SUFFIXES.get(photo.format, "") if whole is None else "")
        with copies.writing(place, path) as file:
            if whole is None:
                self._pages.write(Changes(turns, crops=crops), file, stop)
            else:
                file.write(whole)
        return place

    def close(self) -> None:
        self._pages.close()


class PdfDocument:
    """See `page_run.Document`; with `render` pages that have text are straightened as pictures, too."""

    def __init__(
        self,
        document: Pages,
        straighten: bool,
        render: bool,
        crop: bool = False,
        check_room: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`check_room` raises Refused if there is no memory for a copy of so many pages."""
        self._document, self._straighten, self._render = document, straighten, render
        self._crops = Crops() if crop else None
        self._check_room = check_room
        self._with_text: set[int] = set()
        pages = len(document)
        if render and pages > _MOST_RENDERED:
            document.close()
            reason = f"it has {pages:,} pages, too many to be rendered at once: split it, or leave out --render"
            raise Refused(Reason.TOO_LARGE, reason)

    def __len__(self) -> int:
        return len(self._document)

    def finding(self, page: int, ask: Ask) -> Finding:
        """By the page's own text where that is enough; of a signed document no page is turned. Raises PhotoError."""
        found = self._found(page, ask)
        if found.verdict is PageVerdict.COPY and self._is_signed:
            return replace(found, verdict=PageVerdict.UNSURE, code=Reason.SIGNED, reason=_SIGNED)
        return found

    @cached_property
    def _is_signed(self) -> bool:
        return self._document.is_signed()

    def _found(self, page: int, ask: Ask) -> Finding:
        text, levels = self._document.look(page)
        if text.letters:
            self._with_text.add(page)
        if levels is None:
            turn = round(text.total / 90) * 90
            ways = [0.0, 0.0, 0.0, 0.0]
            ways[turn // 90 % 4] = text.share
            found = decided(text.total - turn, text.share, (ways[0], ways[1], ways[2], ways[3]))
        else:
            found = judge(levels, ask)
        if not self._straighten:
            return by_quarters(found, "--no-straighten asks for quarter turns only")
        if text.letters and not self._render:
            return by_quarters(found, "it has text of its own, so it is turned by quarters only: --render makes it a picture")
        if text.letters and found.verdict is PageVerdict.COPY:
            return replace(found, code=Reason.TEXT_LOST, reason="its text and drawings become a picture (--render)")
        if self._crops is not None and not text.letters and levels is not None:
            return self._crops.found(page, found, levels)
        return found

    def write(self, findings: Sequence[Finding], copies: Copies, path: str, stop: Stop) -> str:
        """Give the path of the copy. Raises PhotoError."""
        self._check_room(len(self))
        place, turns, rendered = copies.place(path), _turns(findings, straighten=self._straighten), []
        for page in self._with_text & turns.keys():
            if self._render and turns[page][1]:
                rendered.append(page)
            else:
                turns[page] = (turns[page][0], 0.0)
        with copies.writing(place, path) as file:
            self._document.write(Changes(turns, rendered, self._crops or {}), file, stop)
        return place

    def close(self) -> None:
        self._document.close()


def check_room(size: int, max_memory: int, pages: int) -> None:
    """See that a copy of a PDF of `size` bytes can be written, of which PDFium holds all that it writes.

    `max_memory`: see `memory_budget.for_decoding`.

    Raises:
        Refused: there is no memory for it.
    """
    need, most = size + pages * _TAKEN_BY_PAGE + _TAKEN_BY_ALL, for_decoding(max_memory)
    if need > most:
        reason = (
            f"writing its copy takes about {need >> 20:,} MiB of memory, of {most >> 20:,} (--max-memory): split it, or free some"
        )
        raise Refused(Reason.OUT_OF_MEMORY, reason)


class Crops(dict[int, Box]):
    """The boxes of the pages that are to be cropped, by their numbers."""

    def found(self, page: int, found: Finding, levels: NDArray[np.uint8]) -> Finding:
        """A finding, which says so if a page is to be turned and where it ends is not certain; `levels` are those judged."""
        if found.verdict is not PageVerdict.COPY:
            return found
        box = page_box(levels, _turn(found))
        if box is None:
            return replace(found, code=Reason.EDGES_UNCERTAIN, reason=_UNCERTAIN)
        if box != WHOLE:
            self[page] = box
        return found


def by_quarters(found: Finding, why: str) -> Finding:
    """A finding whose page is turned by quarters only; `why` is its reason if some skew is left."""
    if found.verdict is not PageVerdict.COPY or abs(found.rest) < STRAIGHT:
        return found
    verdict = PageVerdict.COPY if found.quarters else PageVerdict.KEEP
    return replace(found, verdict=verdict, code=Reason.QUARTER_TURN_ONLY, reason=why)


def _turns(findings: Sequence[Finding], *, straighten: bool) -> dict[int, Turn]:
    """How each page is turned that is to be: what is too little to be seen is left, so that the turn may lose nothing."""
    return {
        page: _turn(found) if straighten else (found.quarters, 0.0)
        for page, found in enumerate(findings)
        if found.verdict is PageVerdict.COPY
    }


def _turn(found: Finding) -> Turn:
    return found.quarters, found.rest if abs(found.rest) >= STRAIGHT else 0.0
