"""Decoding that waits for its turn: what is decoded at the same time, to be judged or to check a write, fits the memory that
there is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from orientd.decode import Decoder, isolated
from orientd.decode.memory_budget import Budget, for_decoding
from orientd.formats import sniff
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
    return AdmittedDecoder(isolated.decoder(input_size, max_pixels, isolate=isolate), _shared(max_memory))


def make_second_reader(max_memory: int, *, isolate: bool) -> Callable[[bytes], int | None]:
    """As `isolated.make_second_reader`; it takes its turn with the decoders of the same `max_memory`."""
    read, budget = isolated.make_second_reader(isolate=isolate), _shared(max_memory)

    def second_reader(data: bytes) -> int | None:
        with budget.taking(footprint(sniff(data), data, whole=True)):
            return read(data)

    return second_reader


@contextmanager
def room(max_memory: int, photo: Photo) -> Iterator[None]:
    """Have the memory that decoding a whole photo takes, for what else is done to it; in turn with the decoders of the same
    `max_memory`."""
    with _shared(max_memory).taking(footprint(photo.format, photo.data, whole=True)):
        yield


@cache
def _shared(max_memory: int) -> Budget:
    """One for all that decode in this process, by the memory that is free when it is first asked for."""
    return Budget(for_decoding(max_memory))
