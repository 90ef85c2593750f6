"""Photos from prepared caches to batches, read ahead by a thread.

What a batch holds is a function of the recipe, its step and the process alone: nothing random needs to be saved to go on.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic

import numpy as np
import torch
from torch import Tensor

from orientd.errors import ConfigError
from orientd_training.config import Source, TrainConfig
from orientd_training.data import photoset
from orientd_training.data.photoset import PhotoSet
from orientd_training.fit import tasks

_AHEAD = 3


def opened(source: Source, what: str, fewest: int) -> PhotoSet:
    """The photos of a cache.

    Raises:
        ConfigError: there is no cache, or it holds fewer photos than that, or what is to be left out cannot be.
    """
    photos = photoset.load(source.path, source.split or None)
    photos = photoset.leaving_out(photos, source.leave_out) if source.leave_out else photos
    if (number := len(photos) - len(photos.left_out)) < fewest:
        raise ConfigError(f"{what}: {source.path} holds {number} photos, at least {fewest} are needed: prepare more")
    return photos


def refuse_leaks(train: Sequence[PhotoSet], validation: PhotoSet) -> None:
    """See that no photo to validate on is trained on.

    Raises:
        ConfigError: some are.
    """
    shared = [pair for photos in train for pair in photoset.overlap(photos, validation)]
    if shared:
        number = len({pair.validation for pair in shared})
        raise ConfigError(
            f"validation: {number} photos are trained on, too, such as {shared[0].validation}, which is much like "
            f"{shared[0].train}: prepare all in one go with --validation, or set leaks to allow"
        )


def seeds(config: TrainConfig, rank: int, step: int) -> tuple[int, int]:
    """One seed for what is drawn from the caches in a step, one for all else."""
    first, second = np.random.SeedSequence([config.seed, rank, step]).generate_state(2).tolist()
    return first, second


class Feed:
    """Batches for one process of `size`, read by a thread until it is closed; `waited` sums the seconds spent waiting for it."""

    def __init__(self, config: TrainConfig, sets: Sequence[PhotoSet], rank: int = 0, size: int = 1, pin: bool = False) -> None:
        """Draw from `sets`, one for each of `config.sources`.

        Raises:
            ConfigError: the caches were prepared at different sizes.
        """
        if len({photos.size for photos in sets}) > 1:
            sizes = ", ".join(f"{source.path} at {photos.size}" for source, photos in zip(config.sources, sets, strict=True))
            raise ConfigError(f"train: all caches must be prepared at one size, not {sizes}")
        self._config, self._sets, self._rank, self._pin = config, sets, rank, pin
        self._number, self._task = config.batch // size, tasks.of(config)
        shares = [
            _chances(photos, config.source_power) * source.weight for photos, source in zip(sets, config.sources, strict=True)
        ]
        self._chances = torch.cat(shares)
        self._starts = np.cumsum([0, *map(len, sets)])
        self._pool = ThreadPoolExecutor(1)
        self._ahead: deque[tuple[int, Future[tuple[Tensor, Tensor]]]] = deque()
        self.waited = 0.0

    def take(self, step: int) -> tuple[Tensor, Tensor]:
        """Upright pixels (batch, S, S, 3) uint8 and the targets (batch,): the turns they are to be shown needing, see `tasks`."""
        if not self._ahead or self._ahead[0][0] != step:
            self._ahead.clear()
        while len(self._ahead) < _AHEAD:
            one = step + len(self._ahead)
            self._ahead.append((one, self._pool.submit(self._read, one)))
        since = monotonic()
        batch = self._ahead.popleft()[1].result()
        self.waited += monotonic() - since
        return batch

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _read(self, step: int) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(seeds(self._config, self._rank, step)[0])
        chosen = torch.multinomial(self._chances, self._number, replacement=True, generator=random).sort().values.numpy()
        targets = self._task.drawn(self._number, random)
        pixels = np.empty((self._number, *self._sets[0].pixels.shape[1:]), np.uint8)
        for photos, start in zip(self._sets, self._starts, strict=False):
            mine = (chosen >= start) & (chosen < start + len(photos))
            pixels[mine] = photos.pixels[chosen[mine] - start]
        batch = torch.from_numpy(pixels)
        return (batch.pin_memory() if self._pin else batch), targets


def _chances(photos: PhotoSet, power: float) -> Tensor:
    """A group of n photos is drawn in proportion to n^(1 + power), its photos evenly, none that is left out; they add up to 1."""
    kept = np.array([name not in photos.left_out for name in photos.names])
    _, index, counts = np.unique(np.array(photos.groups)[kept], return_inverse=True, return_counts=True)
    each = np.zeros(len(photos))
    each[kept] = counts.astype(np.float64)[index] ** power
    return torch.from_numpy(each / each.sum())
