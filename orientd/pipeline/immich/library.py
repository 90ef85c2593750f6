"""The photos of an Immich server as a library: which there are, and the preview of each in the place of its file."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from orientd import formats
from orientd.errors import ConfigError, LibraryUnavailable, PhotoError, ReadError, Refused, Stopped
from orientd.library.read_ahead import Content, ReadAhead
from orientd.pipeline.immich.assets import Listed, last_edited, listed
from orientd.pipeline.immich.client import Client
from orientd.pipeline.immich.edits import Edit, EditedPhoto
from orientd.reasons import Reason
from orientd.records import Candidate, Photo, Picture

_PAGE: Final = 500
_READERS: Final = 4
_VANISHED: Final = "Immich has no preview of it (yet), or the photo was deleted: scan again later"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which photos of a server: those in any of `albums` (names or ids) if any are named, of the external `libraries` (ids) named
    besides the owner's uploads, taken within the dates (ISO 8601; empty: any), and with `archived` those as well."""

    albums: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    taken_after: str = ""
    taken_before: str = ""
    archived: bool = False


class ImmichLibrary:
    """Lists photos a page at a time, and opens them for several threads at once; `close` it where anything was expected."""

    glances = False

    def __init__(self, client: Client, owner: str, choice: Choice) -> None:
        """`owner` is the id of the user whose photos are looked at. Raises ConfigError for an album that is not there."""
        self._client, self._owner, self._choice = client, owner, choice
        self._albums = _ids_of(client, choice.albums)
        self._ahead = ReadAhead(self._fetch, readers=_READERS)
        self.passed_over: Counter[str] = Counter()
        """How many photos were not looked at, by the reason in words."""

    def candidates(self) -> Iterator[Listed]:
        """Every photo of the choice, the oldest first: what is uploaded meanwhile comes at the end.

        Raises:
            OrientdError: the server does not answer, or not as Immich does.
        """
        seen: set[str] = set()
        for wanted in self._searches():
            number, more = 1, True
            while more:
                try:
                    found, more = self._client.page(number, wanted)
                    page = [self._listed(one) for one in found if one["id"] not in seen and not self._is_passed_over(one)]
                except Stopped:
                    return
                except PhotoError as error:
                    raise self._client.trouble or LibraryUnavailable(str(error)) from error
                except (KeyError, TypeError, ValueError) as error:
                    raise LibraryUnavailable(
                        f"{self._client.server.url} does not answer as Immich does ({type(error).__name__}: {error})"
                    ) from error
                yield from page
                seen |= {one.asset.id for one in page} if len(self._albums) > 1 else set()
                number += 1

    def count(self) -> int | None:
        """How many there are, about; None where the key may not ask that, or albums are named."""
        if self._albums:
            return None
        numbers = [self._client.total(_counted(wanted)) for wanted in self._searches()]
        return None if None in numbers else sum(filter(None, numbers))

    def check(self) -> None:
        """Raise what was met that must stop a run: a wrong key, or a server that does not answer any more."""
        if self._client.trouble:
            raise self._client.trouble

    def expect(self, candidates: Iterable[Candidate]) -> None:
        """These will be opened, in this order (see `ReadAhead.expect`)."""
        self._ahead.expect(candidates)

    def open(self, candidate: Candidate) -> Photo | None:
        """The preview of a photo, with its edits if it has any; its `sha256` is the fingerprint of both.

        Raises:
            ReadError: the server does not return it.
            Refused: Immich does not show the last edit yet.
        """
        assert isinstance(candidate, Listed)
        data, stat = self._ahead.read(candidate)
        kind = formats.sniff(data)
        return Photo(candidate.path, stat, kind, data, formats.stored_orientation(kind, data), candidate.asset.photo.sha256)

    def glance(self, candidate: Candidate, look: Callable[[Photo], Picture | None]) -> tuple[Photo, Picture] | None:
        """Never: a preview is small."""
        return None

    def close(self) -> None:
        self._ahead.close()

    def _fetch(self, candidate: Candidate) -> Content:
        assert isinstance(candidate, Listed)
        asset = candidate.asset
        try:
            data, made = self._client.preview(asset.id, edited=bool(asset.photo.edits))
        except ReadError as error:
            if error.code is Reason.VANISHED:
                raise ReadError(Reason.NO_PREVIEW, _VANISHED) from error
            raise
        if made < asset.edited:
            raise Refused(Reason.NOT_YET_SHOWN, "it was edited in Immich, which does not show it so yet: scan again later")
        return data, candidate.stat

    def _listed(self, found: Any) -> Listed:
        server, edits, edited, trouble = self._client.server.name, tuple[Edit, ...](), 0, None
        if found["isEdited"]:
            try:
                edits, details = self._client.edits(found["id"])
                edited = last_edited(details)
            except PhotoError as error:
                trouble = error
        candidate = listed(server, found, EditedPhoto(found["checksum"], edits), edited)
        if isinstance(trouble, Refused) and not candidate.skip:
            return replace(candidate, skip=str(trouble), code=trouble.code)
        return replace(candidate, error=str(trouble), code=trouble.code) if trouble and not candidate.skip else candidate

    def _is_passed_over(self, found: Any) -> bool:
        library = found.get("libraryId")
        why = (
            "of other users"
            if found["ownerId"] != self._owner
            else "in the trash"
            if found["isTrashed"]
            else "of external libraries"
            if library and library not in self._choice.libraries
            else ""
        )
        if why:
            self.passed_over[why] += 1
        return bool(why)

    def _searches(self) -> Iterator[dict[str, Any]]:
        choice = self._choice
        wanted: dict[str, Any] = {"size": _PAGE, "order": "asc", "withExif": True, "isTrashed": False}
        wanted |= {"takenAfter": choice.taken_after} if choice.taken_after else {}
        wanted |= {"takenBefore": choice.taken_before} if choice.taken_before else {}
        for visibility in ("timeline", "archive") if choice.archived else ("timeline",):
            for album in self._albums or [""]:
                yield wanted | {"visibility": visibility} | ({"albumIds": [album]} if album else {})


def _counted(wanted: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name in ("visibility", "takenAfter", "takenBefore")}


def _ids_of(client: Client, albums: Iterable[str]) -> list[str]:
    """The ids of albums by name or id."""
    if not albums:
        return []
    try:
        there = client.albums()
    except PhotoError as error:
        raise client.trouble or LibraryUnavailable(str(error)) from error
    found = []
    for album in albums:
        ids = [one["id"] for one in there if album in (one["id"], one["albumName"])]
        if not ids:
            raise ConfigError(f"there is no album {album!r} in Immich: --album takes its name or its id")
        found += ids
    return found
