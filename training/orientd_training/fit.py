"""The whole training recipe in one file, to be read from top to bottom."""

import copy
import json
import math
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from orientd.errors import ConfigError
from orientd_training import augment, photoset
from orientd_training.config import Phase, TrainConfig
from orientd_training.network import Network
from orientd_training.photoset import PhotoSet

CHECKPOINT, BEST, CONFIG = "last.pt", "best.pt", "config.json"
LogFn = Callable[[dict[str, Any]], None]


def fit(config: TrainConfig, out: Path, resume: bool = False) -> float:
    """Train by `config` into the run folder `out`; returns the best validation accuracy (0–1, one view, one turn a photo).

    The folder gets `config.json`, `facts.json` (what it was trained on), `log.jsonl`, `last.pt` (everything needed to go on) and
    `best.pt` (the averaged weights that validated best).

    Raises:
        ConfigError: the folder already holds a run and `resume` is false, or holds none and it is true.
    """
    if (out / CHECKPOINT).exists() is not resume:
        raise ConfigError(
            f"{out} {'holds no run to resume' if resume else 'already holds a run: give --resume or another --out'}"
        )
    train, validation = photoset.load(config.train), photoset.load(config.validation)
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    run = Run(config, train)
    if resume:
        run.restore(out / CHECKPOINT)
    else:
        facts = {"commit": _commit(), "train": train.digest, "validation": validation.digest, "torch": torch.__version__}
        (out / "facts.json").write_text(json.dumps(facts, indent=1))
        (out / CONFIG).write_text(json.dumps(asdict(config), default=str, indent=1))
    with (out / "log.jsonl").open("a") as log:
        return _loop(run, validation, out, lambda entry: print(json.dumps(entry), file=log, flush=True))


class Run:
    """All that changes while training, so that a checkpoint is simply this."""

    def __init__(self, config: TrainConfig, train: PhotoSet) -> None:
        self.config, self.train = config, train
        self.model = Network(config).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        head = self.model.backbone.get_classifier()
        body = [p for p in self.model.parameters() if all(p is not h for h in head.parameters())]
        groups = [{"params": body, "peak": config.lr}, {"params": list(head.parameters()), "peak": config.head_lr}]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.random = torch.Generator().manual_seed(config.seed)
        self.weights = _source_weights(train.groups, config.source_power)
        self.photos, self.best = 0, 0.0

    @property
    def total(self) -> int:
        return sum(phase.photos for phase in self.config.phases)

    def phase(self) -> Phase:
        end = 0
        for phase in self.config.phases:
            end += phase.photos
            if self.photos < end:
                break
        return phase

    def step(self) -> float:
        """One optimiser step on one batch; returns the loss."""
        phase = self.phase()
        if self.model.freeze != phase.freeze or not self.model.training:
            self.model.set_freeze(phase.freeze)
            self.model.train()
        pictures, classes = self.batch(phase.size)
        rate = _schedule(self.photos / self.total, self.config.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * rate
        loss = functional.cross_entropy(self.model(pictures), classes, label_smoothing=self.config.label_smoothing)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        self.photos += len(classes)
        steps = self.photos / self.config.batch
        _blend(self.average, self.model, min(self.config.ema, steps / (10 + steps)))
        return float(loss.detach())

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Augmented pictures (batch, 3, size, size) of 0–255 and the classes 0–3 of the turns they need."""
        chosen = torch.multinomial(self.weights, self.config.batch, generator=self.random).sort().values
        classes = torch.randint(0, 4, (self.config.batch,), generator=self.random)
        pictures = _pictures(self.train.pixels[chosen.numpy()])
        matrices = augment.geometry(classes, self.config, self.random)
        return augment.photometry(augment.resample(pictures, matrices, size), self.config, self.random), classes

    def save(self, path: Path) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimiser")}
        state |= {"random": self.random.get_state(), "global": torch.get_rng_state(), "photos": self.photos, "best": self.best}
        torch.save(state, path.with_suffix(".partial"))
        path.with_suffix(".partial").rename(path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        for name in ("model", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.random.set_state(state["random"])
        torch.set_rng_state(state["global"])
        self.photos, self.best = state["photos"], state["best"]


def accuracy(network: nn.Module, photos: PhotoSet, size: int, batch: int = 64) -> float:
    """Share of photos whose turn is found with one view; photo i is shown needing i mod 4 quarter turns."""
    network.eval()
    right = 0
    for start in range(0, len(photos), batch):
        pictures = _pictures(photos.pixels[start : start + batch])
        classes = torch.arange(start, start + len(pictures)) % 4
        shown = augment.turn_away(_resized(pictures, size), classes)
        with torch.inference_mode():
            right += int((network(shown).argmax(1) == classes).sum())
    return right / len(photos)


def _loop(run: Run, validation: PhotoSet, out: Path, log: LogFn) -> float:
    losses: list[float] = []
    started, first = time.monotonic(), run.photos
    while run.photos < run.total:
        losses.append(run.step())
        due = run.photos // run.config.validate_every > (run.photos - run.config.batch) // run.config.validate_every
        if not due and run.photos < run.total:
            continue
        found = accuracy(run.average, validation, run.phase().size)
        if found >= run.best:
            run.best = found
            torch.save(run.average.state_dict(), out / BEST)
        run.save(out / CHECKPOINT)
        rate = (run.photos - first) / (time.monotonic() - started)
        log(
            {
                "photos": run.photos,
                "loss": round(float(np.mean(losses)), 4),
                "validation": round(found, 4),
                "rate": round(rate, 1),
            }
        )
        losses = []
    return run.best


def _source_weights(groups: tuple[str, ...], power: float) -> Tensor:
    """A source of n photos is drawn in proportion to n^(1 + power), its photos evenly."""
    _, index, counts = np.unique(np.array(groups), return_inverse=True, return_counts=True)
    return torch.from_numpy(counts.astype(np.float64) ** power)[torch.from_numpy(index)]


def _schedule(progress: float, warmup: float) -> float:
    return progress / warmup if progress < warmup else 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _pictures(pixels: Any) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float()


def _resized(pictures: Tensor, size: int) -> Tensor:
    if pictures.shape[-1] == size:
        return pictures
    return functional.interpolate(pictures, (size, size), mode="bilinear", antialias=True)


@torch.no_grad()
def _blend(average: nn.Module, model: nn.Module, keep: float) -> None:
    for mine, theirs in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mine.is_floating_point():
            mine.lerp_(theirs, 1 - keep)
        else:
            mine.copy_(theirs)


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return found.stdout.strip()
