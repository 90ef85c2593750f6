"""The pages of a PDF, by PDFium: how each looks, how its text is oriented, and the file with its pages turned.

PDFium is the owner of the format: what is copied is the document as it was, its pages turned by `/Rotate` and, where they hold no
text, by the matrix of their content, so that scans keep their very bytes. Nothing is written to the document that was opened.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from orientd import commands
from orientd.decode.page_changes import Box, Changes, Turn
from orientd.decode.skew import SIDE
from orientd.errors import DecodeError, ReadError, Refused, Stopped
from orientd.files.read import file_stat
from orientd.files.syscalls import DISK, opened, worded
from orientd.reasons import Reason
from orientd.records import FileStat

MAGIC: Final = b"%PDF-"
DPI: Final = 300
"""At which pages are rendered that are to lose their text."""

_MOST_PIXELS: Final = 100_000_000  # of a page rendered at `DPI`: a poster gets fewer dots an inch
_ASKED: Final = 2000  # letters of a page, evenly spread
_LIFT: Final = 100_000.0  # points
_SHARED: Final = "its pages share their content, so that none can be straightened by itself: use --no-straighten"
_DEPTH: Final = 8  # of forms in forms on a page
_SIGNATURE: Final = b"/ByteRange"
_BLOCK: Final = 2**20
_NO_REASON, _NO_PAGES = "file access error", "it has no pages: compare it with a backup"
_LOCKED: Final = ("password", "security scheme")
_FEWEST: Final = 30  # letters that show the orientation of a page
_LEAST_SHARE: Final = 0.8


def _bottom(document: Any, number: int) -> float:
    """Where the first thing on a page begins, in points from its lower edge; 0 if there is none."""
    with closing(document[number]) as page:
        thing = next(iter(page.get_objects(max_depth=1)), None)
        return float(thing.get_bounds()[1]) if thing else 0.0


def _in_page(box: Box, rotation: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where a box of a page that is shown turned reaches from its own left and lower sides, as shares of it."""
    left, upper, right, lower = box
    return {
        0: ((left, right), (1 - lower, 1 - upper)),
        90: ((upper, lower), (left, right)),
        180: ((1 - right, 1 - left), (upper, lower)),
        270: ((1 - lower, 1 - upper), (1 - right, 1 - left)),
    }[rotation]


@dataclass(frozen=True, slots=True)
class Text:
    """The text that a page has of its own.

    `letters`: how many. `total`: the degrees clockwise, −180 to 180, that make the `share` with the same angle upright.
    """

    letters: int
    total: float
    share: float

    @property
    def suffices(self) -> bool:
        """True if there is enough of it, and most of it has the same angle."""
        return self.letters >= _FEWEST and self.share >= _LEAST_SHARE


class _Out:
    """Where PDFium writes to: it does not pass on what the disk says, so that is kept."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.trouble: OSError | None = None

    def write(self, data: bytes) -> None:
        try:
            if not self.trouble:
                self._file.write(data)
        except OSError as error:
            self.trouble = error


NO_TEXT: Final = Text(0, 0.0, 0.0)


class Pdf:
    """A PDF, opened by its path, and read as far as is needed. One thread at a time.

    Raises:
        ReadError: it cannot be read.
        DecodeError: it is damaged or encrypted, or PDFium is not there.
    """

    def __init__(self, path: str) -> None:
        try:
            import pypdfium2
            from pypdfium2 import raw
        except ImportError as error:
            raise DecodeError(Reason.UNSUPPORTED, f"PDFs need PDFium: {commands.adding('pages')}") from error
        self._pdfium, self._raw = pypdfium2, raw
        with ExitStack() as failed:
            with worded(ReadError):
                self._file = failed.enter_context(opened(DISK, path, os.O_RDONLY))
            self._stream = failed.enter_context(open(self._file, "rb", closefd=False))
            raw.FPDF_LoadDocument(b"", None)  # without pages there is no reason, and that of the failure before is given
            with self._explained():
                self._document = pypdfium2.PdfDocument(self._stream)
            self._open = failed.pop_all()

    def stat(self) -> FileStat:
        """The state in which the open file is now."""
        return file_stat(os.fstat(self._file))

    def __len__(self) -> int:
        return len(self._document)

    def is_signed(self) -> bool:
        """True if a signature says which bytes of the file it covers (ISO 32000-1, 12.8.1). That is never packed or encrypted, as
        the signature itself lies between them; PDFium knows only some of the fields. Raises ReadError."""
        place, end = 0, b""
        with worded(ReadError):
            while block := os.pread(self._file, _BLOCK, place):
                if _SIGNATURE in end + block:
                    return True
                place, end = place + len(block), block[-len(_SIGNATURE) :]
        return False

    def levels(self, number: int) -> NDArray[np.uint8]:
        """The gray levels of a page as viewers show it, its longer side about `SIDE`."""
        with self._page(number) as page:
            width, height = page.get_size()
            shown = page.render(scale=(SIDE - 1) / max(width, height, 1), grayscale=True).to_numpy()
            return np.ascontiguousarray(shown.reshape(shown.shape[:2])[:SIDE, :SIDE])

    def text(self, number: int) -> Text:
        """How the text of a page is oriented."""
        with self._page(number) as page:
            rotation, text = page.get_rotation(), page.get_textpage()
            total = text.count_chars()
            places = range(0, total, max(1, total // _ASKED))
            seen = [place for place in places if not chr(self._raw.FPDFText_GetUnicode(text.raw, place)).isspace()]
            angles = [math.degrees(self._raw.FPDFText_GetCharAngle(text.raw, place)) for place in seen]
            text.close()
        if not angles:
            return NO_TEXT
        # PDFium counts angles of letters clockwise, as /Rotate does.
        usual, _ = Counter(round(angle) % 360 for angle in angles).most_common(1)[0]
        alike = [off for angle in angles if abs(off := (angle - usual + 180) % 360 - 180) <= 2]
        stands = usual + sum(alike) / len(alike) + rotation
        turn = (180 - stands) % 360 - 180
        return Text(len(seen) * max(1, total // _ASKED), turn, len(alike) / len(angles))

    def check_pictures(self, number: int, max_pixels: int) -> None:
        """Raises DecodeError if a picture on the page has more pixels, all of which would be unpacked to show it."""
        with self._page(number) as page:
            for picture in page.get_objects(filter=[self._raw.FPDF_PAGEOBJ_IMAGE], max_depth=_DEPTH):
                width, height = picture.get_px_size()
                if width * height > max_pixels:
                    reason = f"a picture on it has {width} × {height} pixels, more than the limit of {max_pixels:,}"
                    raise DecodeError(Reason.TOO_LARGE, reason)

    def change(self, changes: Changes, stop: Callable[[], bool]) -> None:
        """Turn pages, some as pictures, and crop them.

        Raises:
            Stopped: `stop` has become true.
            Refused: pages that are to be straightened share their content.
        """
        from orientd.decode import page_files  # Pillow is loaded only where it is needed

        turns, rendered, crops = changes
        twins, done = self.twins(), set[int]()
        slanted = {twins[page] for page, (_, rest) in turns.items() if rest and page not in rendered}
        if slanted and self._share_content(slanted, twins):
            raise Refused(Reason.UNSUPPORTED, _SHARED)
        for page, turn in turns.items():
            if stop():
                raise Stopped
            if page in rendered:
                self.replace(page, *page_files.jpeg(self.rendered(page), turn))
            elif twins[page] not in done:
                done.add(twins[page])
                self.turn(page, turn)
                if page in crops:
                    self.crop(page, crops[page])

    def twins(self) -> list[int]:
        """Of each page the last one that is the same object, itself if there is no other: what turns one turns all of these.

        PDFium does not say, so in a second opening of the file each page is marked with its number, by a box none inherits.
        """
        with self._explained(), closing(self._pdfium.PdfDocument(self._stream)) as scratch:
            for number in range(len(scratch)):
                with closing(scratch[number]) as page:
                    page.set_artbox(number, 0, number + 1, 1)
            found = []
            for number in range(len(scratch)):
                with closing(scratch[number]) as page:
                    found.append(round(page.get_artbox()[0]))
            return found

    def _share_content(self, numbers: Collection[int], twins: Sequence[int]) -> bool:
        """True if the content of one of these pages is that of another page, too, which would be straightened with it.

        PDFium does not say that either: in another opening these pages are lifted, and the others looked at.
        """
        with self._explained(), closing(self._pdfium.PdfDocument(self._stream)) as scratch:
            before = [_bottom(scratch, number) for number in range(len(scratch))]
            for number in numbers:
                with closing(scratch[number]) as page:
                    self._raw.FPDFPage_TransFormWithClip(page.raw, self._raw.FS_MATRIX(1, 0, 0, 1, 0, _LIFT), None)
            after = [_bottom(scratch, number) for number in range(len(scratch))]
        lifted = [round((there - here) / _LIFT) for here, there in zip(before, after, strict=True)]
        return any(times > (twins[number] in numbers) for number, times in enumerate(lifted))

    def turn(self, number: int, turn: Turn) -> None:
        """Turn a page: by quarters through its /Rotate entry, by the rest in its content."""
        quarters, rest = turn
        with self._page(number) as page:
            page.set_rotation((page.get_rotation() + quarters) % 360)
            if rest:
                self._turn_content(page, rest)

    def crop(self, number: int, box: Box) -> None:
        """Have viewers show no more of a page than a box of what they show now; the page keeps all that is on it."""
        with self._page(number) as page:
            left, bottom, right, top = page.get_bbox()
            across, up = _in_page(box, page.get_rotation())
            wide, tall = right - left, top - bottom
            page.set_cropbox(left + across[0] * wide, bottom + up[0] * tall, left + across[1] * wide, bottom + up[1] * tall)

    def _turn_content(self, page: Any, rest: float) -> None:
        left, bottom, right, top = page.get_bbox()
        across, up = (left + right) / 2, (bottom + top) / 2
        cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
        a, b, c, d = cosine, -sine, sine, cosine
        e, f = across - a * across - c * up, up - b * across - d * up
        wide = (right - left) * cosine + (top - bottom) * abs(sine)
        tall = (right - left) * abs(sine) + (top - bottom) * cosine
        box = (across - wide / 2, up - tall / 2, across + wide / 2, up + tall / 2)
        page.set_mediabox(*box)
        page.set_cropbox(*box)
        clip = self._raw.FS_RECTF(box[0], box[3], box[2], box[1])
        self._raw.FPDFPage_TransFormWithClip(page.raw, self._raw.FS_MATRIX(a, b, c, d, e, f), clip)
        self._raw.FPDFPage_TransformAnnots(page.raw, a, b, c, d, e, f)

    def rendered(self, number: int) -> NDArray[np.uint8]:
        """The RGB pixels of a page at `DPI`."""
        with self._page(number) as page:
            width, height = page.get_size()
            scale = min(DPI / 72, math.sqrt(_MOST_PIXELS / max(1.0, width * height)))
            return np.ascontiguousarray(page.render(scale=scale, rev_byteorder=True, prefer_bgrx=False).to_numpy()[..., :3])

    def replace(self, number: int, jpeg: bytes, size: tuple[int, int]) -> None:
        """Put a picture of `size` pixels, a JPEG, in the place of a page, at `DPI`."""
        width, height = (72 * side / DPI for side in size)
        with self._explained():
            page = self._document.new_page(width, height, number)
            image = self._pdfium.PdfImage.new(self._document)
            image.load_jpeg(BytesIO(jpeg), inline=True)
            image.set_matrix(self._pdfium.PdfMatrix().scale(width, height))
            page.insert_obj(image)
            page.gen_content()
            page.close()
            self._document.del_page(number + 1)

    def save(self, file: BinaryIO) -> None:
        """Write the document as it is now. Raises OSError if the disk says no."""
        out = _Out(file)
        with self._explained():
            self._document.save(out)
        if out.trouble:
            raise out.trouble

    def close(self) -> None:
        self._document.close()
        self._open.close()

    @contextmanager
    def _page(self, number: int) -> Iterator[Any]:
        with self._explained():
            page = self._document[number]
            try:
                yield page
            finally:
                page.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """What PDFium says becomes a DecodeError."""
        try:
            yield
        except self._pdfium.PdfiumError as error:
            told = str(error).lower()
            if any(word in told for word in _LOCKED):
                reason = "it is encrypted: save it without its password, and look at that"
                raise DecodeError(Reason.ENCRYPTED, reason) from error
            if _NO_REASON in told:
                raise DecodeError(Reason.DAMAGED, _NO_PAGES) from error
            said = re.search(r"\(PDFium: (.*)\)", str(error))
            why = said[1].rstrip(".").lower() if said else str(error).rstrip(".")
            raise DecodeError(Reason.DAMAGED, f"PDFium cannot read it ({why}): compare it with a backup") from error
