"""The current state of a photo of a server: what the server says about it, and its preview."""

from dataclasses import dataclass
from typing import Final

from orientd import formats
from orientd.errors import ReadError, Refused
from orientd.pipeline.immich import assets
from orientd.pipeline.immich.address import parts_of
from orientd.pipeline.immich.client import Client
from orientd.pipeline.immich.connections import Connections
from orientd.pipeline.immich.edits import EditedPhoto
from orientd.reasons import Reason
from orientd.records import FileStat, Photo

_LATE: Final = "it was edited in Immich, which does not show it so yet: try again later"


@dataclass(frozen=True, slots=True)
class Now:
    """`refusal` is why Immich would not turn it, with its code (empty if it does); `edited` is as `assets.Asset` has it."""

    client: Client
    path: str
    id: str
    photo: EditedPhoto
    stat: FileStat
    refusal: tuple[str, Reason]
    edited: int

    def preview(self, *, edited: bool | None = None) -> Photo:
        """Its preview, with its edits where it has some, or as `edited` says; `sha256` is the fingerprint. Raises ReadError."""
        return self._made(edited=bool(self.photo.edits) if edited is None else edited)[0]

    def up_to_date(self) -> Photo:
        """The same, with the edits that it has now. Raises Refused where the server does not show these yet, too."""
        photo, made = self._made(edited=bool(self.photo.edits))
        if made < self.edited:
            raise Refused(Reason.NOT_YET_SHOWN, _LATE)
        return photo

    def _made(self, *, edited: bool) -> tuple[Photo, int]:
        data, made = self.client.preview(self.id, edited=edited)
        kind = formats.sniff(data)
        orientation = formats.stored_orientation(kind, data)
        return Photo(self.path, self.stat, kind, data, orientation, self.photo.sha256), made


def ask(connect: Connections, path: str, *, to_turn: bool = False) -> Now:
    """The photo at a path.

    Raises:
        PhotoError: it is no such path, its server cannot be asked or, `to_turn`, Immich would not turn it.
        OrientdError: its server cannot be used at all.
    """
    try:
        server, photo = parts_of(path)
    except ValueError as error:
        raise Refused(Reason.NOT_ALLOWED, str(error)) from error
    client = connect(server)
    try:
        found = client.asset(photo)
        if found["isTrashed"]:
            raise ReadError(Reason.VANISHED, "it is in the trash of Immich")
        refusal = assets.refusal(found)
        if refusal[0] and to_turn:
            raise Refused(refusal[1], refusal[0])
        edits, details = client.edits(photo)
        held = EditedPhoto(found["checksum"], edits)
        return Now(client, path, photo, held, assets.stat_of(found), refusal, assets.last_edited(details))
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(Reason.SYSTEM_ERROR, f"Immich answers otherwise than expected ({error!r:.100})") from error
