"""A decoder whose photos wait for their turn: what is decoded at the same time fits the memory that there is."""

from orientd.decode import Decoder, isolated
from orientd.decode.memory_budget import Budget, for_decoding
from orientd.formats.footprint import footprint
from orientd.records import Photo, Picture


class AdmittedDecoder:
    """A `Decoder` that counts the memory of a photo before another decoder decodes it."""

    def __init__(self, decoder: Decoder, budget: Budget) -> None:
        self._decoder = decoder
        self._budget = budget

    def decode(self, photo: Photo, *, whole: bool = True) -> Picture:
        """See `Decoder.decode`."""
        with self._budget.taking(footprint(photo.format, photo.data, whole=whole)):
            return self._decoder.decode(photo, whole=whole)

    def fitted(self, photo: Photo, side: int) -> Picture:
        """See `Decoder.fitted`."""
        with self._budget.taking(footprint(photo.format, photo.data, whole=False)):
            return self._decoder.fitted(photo, side)

    def glance(self, photo: Photo) -> Picture | None:
        """See `Decoder.glance`. A thumbnail is not worth counting."""
        return self._decoder.glance(photo)


def decoder(input_size: int, max_pixels: int, max_memory: int, *, isolate: bool) -> AdmittedDecoder:
    """As `isolated.decoder`; `max_memory` is in MiB, see `memory_budget.for_decoding`."""
    return AdmittedDecoder(isolated.decoder(input_size, max_pixels, isolate=isolate), Budget(for_decoding(max_memory)))
