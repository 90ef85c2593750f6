"""Photo → Picture. One file per backend; this one is cheap to import."""

from typing import Protocol

from orientd.records import Photo, Picture


class Decoder(Protocol):
    """Decodes for one input size. All backends obey the stored orientation and agree on what the eight values mean."""

    def decode(self, photo: Photo, *, whole: bool = True) -> Picture:
        """The whole picture, as viewers show it, squeezed to a square. May be called from several threads at once.

        Unless `whole`, data that make no difference at that size may be left unread, which the Picture says: it is the same to
        the bit, but damage there is not noticed. A large HEIF grid may be put together otherwise than by its decoder: then it is
        the same but for rounding.

        Raises:
            DecodeError: the photo is damaged, cut short, too large or of a kind that is not supported.
        """
        ...

    def fitted(self, photo: Photo, side: int) -> Picture:
        """The whole picture, as viewers show it, at its own aspect, its longer side `side` pixels or, if it has fewer, as it is.

        The eight stored orientations show the same pixels in eight ways, to the bit. Data that make no difference may be left
        unread, as `decode` leaves them unless asked for the whole; raises as `decode` does.
        """
        ...

    def glance(self, photo: Photo) -> Picture | None:
        """The same by the thumbnail in the first bytes of a photo; None where that is not to be believed."""
        ...
