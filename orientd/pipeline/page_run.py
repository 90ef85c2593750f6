"""A run of `orientd pages`: the files below the paths, page by page, judged and copied; no original is opened for writing."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from orientd.config import Config
from orientd.decode import admitted
from orientd.decode.children import CHILDREN
from orientd.decode.printed import Pixels
from orientd.errors import DecodeError, OrientdError, PhotoError, ReadError, Stopped, code_of
from orientd.files.read import read_front
from orientd.library import filenames
from orientd.library.exclude import Exclusion, read_patterns
from orientd.library.paths import real_roots
from orientd.library.photo import format_of
from orientd.library.reader import PhotoReader
from orientd.library.walk import walk
from orientd.orientation import UPRIGHT
from orientd.pages import pdf
from orientd.pages.copies import Copies
from orientd.pages.judge import Finding
from orientd.pages.upright import Ask
from orientd.pipeline import allocator, page_documents
from orientd.reasons import Reason
from orientd.records import Candidate, Format, Notify, Photo, Scores
from orientd.report.page_report import PageRow, PageVerdict

_SIDE: Final = 64  # of the squares that the decoder is made for and never asked
_HEADER: Final = 1024  # bytes in which a file says what it is
_TIFFS: Final = (".tif", ".tiff")
_LARGE: Final = 64 * 2**20  # bytes of a TIFF that is read page by page


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What becomes of pages.

    `folder`: where copies go, empty for none. Not `straighten`: they are turned by quarters only. `render`: PDF pages with text
    are straightened, too, and lose it. `crop`: copies are cropped to the page.
    """

    folder: str = ""
    overwrite: bool = False
    straighten: bool = True
    render: bool = False
    crop: bool = False


class Document(Protocol):
    """The pages of a file, how each is to be turned, and the copy in which they are."""

    def __len__(self) -> int: ...

    def finding(self, page: int, ask: Ask) -> Finding: ...

    def write(self, findings: Sequence[Finding], copies: Copies, path: str, stop: Callable[[], bool]) -> str: ...

    def close(self) -> None: ...


def run(
    config: Config, paths: Sequence[str], options: PageOptions, *, stop: Callable[[], bool], notify: Notify
) -> Generator[PageRow, None, None]:
    """A row for each page of each file, in the order of the walk, once its copy is written.

    Raises:
        OrientdError: what must stop the run; some of it before the first row.
    """
    allocator.share_one_arena()
    roots = real_roots(paths)
    copies = Copies(options.folder, roots, overwrite=options.overwrite) if options.folder else None
    ask = make_ask()
    exclusion = Exclusion(config.exclude, read_patterns(config.exclude_file), notify)
    with closing(_Opener(config, options)) as opener:
        found = walk(roots, exclusion, config.one_file_system, stop, wanted=filenames.worth_opening_for_pages)
        for candidate in found:
            if not candidate.skip:
                yield from _rows(candidate, opener.open, ask, copies, stop)


def make_ask() -> Ask:
    """What asks the witness of pages, and the reader of letters.

    Raises:
        EngineUnavailable: ONNX Runtime is not there.
        ModelError: a model is missing or damaged.
    """
    from orientd.decode.straight import squared
    from orientd.witnesses import letters, pages
    from orientd.witnesses.opened import open_letters, open_pages

    hear, read = open_pages().hear, open_letters().read

    def page(levels: Pixels) -> tuple[Scores, float]:
        return hear(squared(levels, pages.SIDE))

    def closeups(levels: Sequence[Pixels]) -> float:
        return read([squared(its, letters.SIDE) for its in levels])

    return Ask(page, closeups)


def _rows(
    candidate: Candidate,
    opened: Callable[[Candidate], Document | None],
    ask: Ask,
    copies: Copies | None,
    stop: Callable[[], bool],
) -> Iterator[PageRow]:
    """One file: all its pages are judged before its first row, as every row names the copy."""
    path = candidate.path
    try:
        document = opened(candidate)
        if document is None:
            return
        with closing(document):
            findings = []
            for page in range(len(document)):
                if stop():
                    return
                findings.append(_finding(document, page, ask))
            place, trouble = _copied(document, findings, copies, path, stop)
    except Stopped:
        return
    except OrientdError:
        raise
    except Exception as error:
        yield _row(path, 0, _fault(error), "")
        return
    for page, finding in enumerate(findings):
        yield _row(path, page, trouble if trouble and finding.verdict is PageVerdict.COPY else finding, place)


def _finding(document: Document, page: int, ask: Ask) -> Finding:
    try:
        return document.finding(page, ask)
    except OrientdError:
        raise
    except Exception as error:  # one bad page does not stop the others
        return _fault(error)


def _copied(
    document: Document, findings: Sequence[Finding], copies: Copies | None, path: str, stop: Callable[[], bool]
) -> tuple[str, Finding | None]:
    """The path of the copy, empty if there is none; and what went wrong with it."""
    if copies is None or not any(finding.verdict is PageVerdict.COPY for finding in findings):
        return "", None
    try:
        return document.write(findings, copies, path, stop), None
    except OrientdError:
        raise
    except Exception as error:
        return "", _fault(error)


def _fault(error: Exception) -> Finding:
    reason = str(error) or type(error).__name__
    expected = isinstance(error, PhotoError)
    return Finding(PageVerdict.ERROR, code=code_of(error), reason=reason if expected else f"{type(error).__name__}: {reason}")


def _row(path: str, page: int, finding: Finding, place: str) -> PageRow:
    return PageRow(
        path,
        page + 1,
        finding.angle,
        finding.angle_confidence,
        finding.turn,
        finding.confidence,
        finding.verdict,
        place if finding.verdict is PageVerdict.COPY else "",
        finding.reason,
        finding.code,
    )


class _Opener:
    """Opens files as documents."""

    def __init__(self, config: Config, options: PageOptions) -> None:
        self._limit, self._memory, self._options = config.max_bytes, config.max_memory, options
        self._reader = PhotoReader(config, None)
        self._decoder = admitted.decoder(_SIDE, config.max_pixels, config.max_memory, isolate=config.isolate)
        self._turner = page_documents.Turner(isolate=config.isolate)
        self._opened = page_documents.Opened(config.max_pixels, isolate=config.isolate)

    def open(self, candidate: Candidate) -> Document | None:
        """None of what is no page. Raises PhotoError."""
        options = self._options
        if large := self._large_tiff(candidate):
            return large
        if filenames.suffix(candidate.path) == ".pdf":
            if candidate.error:
                raise DecodeError(candidate.code, candidate.error)
            header, stat = read_front(candidate.path, _HEADER)
            if stat.size > self._limit:
                raise ReadError(Reason.TOO_LARGE, f"it has {stat.size:,} bytes, more than the limit of {self._limit:,}")
            if pdf.MAGIC not in header:
                raise DecodeError(Reason.DAMAGED, "it is no PDF, or its beginning is lost: compare it with a backup")
            pages = self._opened.pdf(candidate.path, stat)
            room = partial(page_documents.check_room, stat.size, self._memory)
            return page_documents.PdfDocument(pages, options.straighten, options.render, options.crop, room)
        photo = self._reader.open(candidate)
        if photo is None:
            return None
        return self._image(photo)

    def _large_tiff(self, candidate: Candidate) -> Document | None:
        """A TIFF of several pages that is too large to be held in memory; None for any other file."""
        if candidate.error or filenames.suffix(candidate.path) not in _TIFFS:
            return None
        header, stat = read_front(candidate.path, _HEADER)
        if not _LARGE < stat.size <= self._limit or format_of(candidate.path, header) is not Format.TIFF:
            return None
        document = self._image(Photo(candidate.path, stat, Format.TIFF, b"", UPRIGHT, ""))
        if len(document) > 1:
            return document
        document.close()
        return None

    def _image(self, photo: Photo) -> Document:
        options = self._options
        return page_documents.ImageDocument(photo, self._decoder, self._turner, self._opened, options.straighten, options.crop)

    def close(self) -> None:
        self._reader.close()
        CHILDREN.end()  # they have files open
