"""The pages of a file, opened in this process: those of a PDF, or of an image (see `isolated` for those opened elsewhere)."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import BinaryIO, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from orientd.decode import page_files, page_tiffs
from orientd.decode.page_changes import Changes
from orientd.decode.page_source import Source
from orientd.decode.skew import SIDE
from orientd.errors import ReadError
from orientd.files.read import SIZE_LIMIT, file_stat, read_whole, same_state
from orientd.files.syscalls import DISK, opened, worded
from orientd.pages.pdf import NO_TEXT, Pdf, Text
from orientd.reasons import Reason
from orientd.records import FileStat, Format

PDF: Final = "pdf"
"""The kind of file that is no `Format`."""
CHANGED: Final = "it changed while its pages were looked at: run again once nothing writes to it"

_KEPT: Final = 64 * 2**20  # bytes of the pages that were looked at: PDFium lets go of them only when the file is closed

Stop = Callable[[], bool]


class Look(NamedTuple):
    """A page: its text, and its gray levels, the longer side `skew.SIDE` at most; None where the text shows its orientation."""

    text: Text
    levels: NDArray[np.uint8] | None


class Pages(Protocol):
    """The pages of a file, numbered from 0."""

    def __len__(self) -> int: ...

    def look(self, page: int) -> Look:
        """Raises DecodeError, ReadError, MemoryError or TimeoutError."""
        ...

    def is_signed(self) -> bool:
        """True if a copy with pages changed would have a signature that does not hold. Raises as `look`."""
        ...

    def write(self, changes: Changes, file: BinaryIO, stop: Stop) -> None:
        """Write the file, its pages changed, to a new and empty one.

        Raises:
            Stopped: `stop` has become true.
        """
        ...

    def close(self) -> None: ...


class ImagePages:
    """Those of an image. Raises as `page_files.frames`."""

    def __init__(self, format: Format, data: Source, max_pixels: int) -> None:  # noqa: A002
        self._format, self._data, self._max_pixels = format, data, max_pixels
        self._frames = page_files.frames(format, data)
        self._tiff = page_tiffs.TiffPages(data, self._frames) if format is Format.TIFF else None

    def __len__(self) -> int:
        return len(self._frames)

    def look(self, page: int) -> Look:
        """Of a TIFF only: what else there is has one page, which a `Decoder` sees."""
        assert self._tiff
        return Look(NO_TEXT, self._tiff.levels(page, SIDE, self._max_pixels))

    def is_signed(self) -> bool:
        """Never: what signs images (C2PA) is left out of copies."""
        return False

    def write(self, changes: Changes, file: BinaryIO, stop: Stop) -> None:
        """See `Pages.write`."""
        page_files.write(self._format, self._data, changes, file, self._max_pixels, stop)

    def close(self) -> None:
        pass


class TiffPages(ImagePages):
    """Those of a TIFF, read from its file as far as is needed. Raises as `open_pages`."""

    def __init__(self, path: str, stat: FileStat, max_pixels: int) -> None:
        self._stat = stat
        with ExitStack() as failed, worded(ReadError):
            self._descriptor = failed.enter_context(opened(DISK, path, os.O_RDONLY))
            file = failed.enter_context(open(self._descriptor, "rb", closefd=False))
            self._check_unchanged()
            super().__init__(Format.TIFF, file, max_pixels)
            self._open = failed.pop_all()

    def look(self, page: int) -> Look:
        """See `Pages.look`."""
        self._check_unchanged()
        return super().look(page)

    def write(self, changes: Changes, file: BinaryIO, stop: Stop) -> None:
        """See `Pages.write`."""
        super().write(changes, file, stop)
        self._check_unchanged()

    def close(self) -> None:
        self._open.close()

    def _check_unchanged(self) -> None:
        if not same_state(file_stat(os.fstat(self._descriptor)), self._stat):
            raise ReadError(Reason.CHANGED, CHANGED)


class PdfPages:
    """Those of a PDF, read from its file bit by bit."""

    def __init__(self, path: str, stat: FileStat, max_pixels: int) -> None:
        self._path, self._stat, self._max_pixels = path, stat, max_pixels
        self._pdf, self._looks = self._opened(), 0

    def __len__(self) -> int:
        return len(self._pdf)

    def look(self, page: int) -> Look:
        """See `Pages.look`."""
        self._let_go()
        text = self._pdf.text(page)
        if text.suffices:
            return Look(text, None)
        self._pdf.check_pictures(page, self._max_pixels)
        return Look(text, self._pdf.levels(page))

    def is_signed(self) -> bool:
        """See `Pages.is_signed`."""
        return self._pdf.is_signed()

    def write(self, changes: Changes, file: BinaryIO, stop: Stop) -> None:
        """See `Pages.write`; PDFium cannot be stopped while it saves."""
        self._pdf.change(changes, stop)
        self._pdf.save(file)
        self._check_unchanged()

    def close(self) -> None:
        self._pdf.close()

    def _opened(self) -> Pdf:
        pdf = Pdf(self._path)
        if not same_state(pdf.stat(), self._stat):
            pdf.close()
            raise ReadError(Reason.CHANGED, CHANGED)
        return pdf

    def _let_go(self) -> None:
        """Open the file again before PDFium has kept too much of it."""
        self._check_unchanged()
        if self._looks * self._stat.size > _KEPT * len(self):
            self._pdf.close()
            self._pdf, self._looks = self._opened(), 0
        self._looks += 1

    def _check_unchanged(self) -> None:
        if not same_state(self._pdf.stat(), self._stat):
            raise ReadError(Reason.CHANGED, CHANGED)


def open_pages(kind: str, path: str, stat: FileStat, max_pixels: int) -> Pages:
    """The pages of a regular file in that state, of which `kind` is `PDF` or a `Format`.

    Raises:
        PhotoError: it is damaged, an animation, encrypted, or not as it was.
    """
    if kind == PDF:
        return PdfPages(path, stat, max_pixels)
    if kind == Format.TIFF:
        return TiffPages(path, stat, max_pixels)
    data, found = read_whole(path, max(stat.size, SIZE_LIMIT))
    if not same_state(found, stat):
        raise ReadError(Reason.CHANGED, CHANGED)
    return ImagePages(Format(kind), data, max_pixels)
