"""The whole training recipe in one file, to be read from top to bottom."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from orientd.errors import ConfigError, ExitCode, ModelError, OrientdError
from orientd_training.config import Phase, TrainConfig
from orientd_training.data.photoset import PhotoSet
from orientd_training.fit import augment, checkpoint, devices, distillation, tasks, weights
from orientd_training.fit.devices import Team
from orientd_training.fit.feed import Feed, opened, refuse_leaks, seeds
from orientd_training.fit.monitor import Entry, Monitor, Pace, watching
from orientd_training.fit.network import Network, averaged

_FEWEST = 2


class Interrupted(OrientdError):
    """Ctrl-C or SIGTERM; everything needed to go on is saved."""

    exit_code = ExitCode.INTERRUPTED


def fit(config: TrainConfig, out: Path, resume: bool = False) -> float:
    """Train by `config` into the run folder `out`; returns the best validation accuracy (0–1, one view, one turn a photo).

    The folder gets what `checkpoint` says, and `tensorboard/`. Ctrl-C or SIGTERM ends it after the step that is under way.

    Raises:
        ConfigError: the folder already holds a run and `resume` is false, or holds none and it is true; or the recipe asks for
            what is not there.
        ModelError: weights, teacher or checkpoint cannot be used, or the training has diverged.
        StateError: the run folder cannot be written; the last checkpoint is whole.
        Interrupted: it was stopped; `resume` continues exactly where it was.
    """
    if (out / checkpoint.LAST).exists() is not resume:
        raise ConfigError(
            f"{out} {'holds no run to resume' if resume else 'already holds a run: give --resume or another --out'}"
        )
    devices.keep_memory()
    return devices.together(partial(_train, config, out, resume), config)


def _train(config: TrainConfig, out: Path, resume: bool, team: Team) -> float:
    sets = [opened(source, "train", _FEWEST) for source in config.sources]
    validation = opened(config.held_out, "validation", 1)
    if config.leaks == "refuse" and not resume and team.rank == 0:
        refuse_leaks(sets, validation)
    feed = Feed(config, sets, team.rank, team.size, pin=team.device.type == "cuda")
    try:
        run = Run(config, feed, team)
        if resume:
            run.restore(out / checkpoint.LAST)
        if team.rank == 0:
            checkpoint.describe(config, out, sets, validation, resume)
        with watching(config, out, run.photos, team) as monitor, devices.asked_to_stop(team) as asked:
            return _loop(run, validation, out, monitor, asked)
    finally:
        feed.close()


class Run:
    """All that changes while training, so that a checkpoint is simply this. All that is random follows from seed and step."""

    def __init__(self, config: TrainConfig, feed: Feed, team: Team) -> None:
        self.config, self.feed, self.team, self.task = config, feed, team, tasks.of(config)
        torch.manual_seed(config.seed)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model = Network(config).to(team.device, memory_format=layout)
        self.ema = averaged(self.model)
        self.average = self.ema.module
        self.look = torch.compile(self.model.look) if config.compile else self.model.look
        self.teacher = distillation.opened(config.teacher, team.device) if config.teacher else None
        self.image: nn.Module = nn.Identity()
        if config.teacher and self.teacher and config.teacher.embedding:
            self.image = nn.Linear(self.model.embedding_size, self.teacher.embedding_size, bias=False).to(team.device)
        cells = [*self.model.extra.parameters()] if config.head_grid else []
        new = [p for p in [*self.model.head(), *self.image.parameters()] if all(p is not c for c in cells)]
        body = [p for p in self.model.parameters() if all(p is not n for n in [*new, *cells])]
        groups = [{"params": body, "peak": config.lr}, {"params": new, "peak": config.head_lr}]
        if cells:  # AdamW moves every weight alike: g² times as many would throw the logits about (4 points lost, measured)
            groups.append({"params": cells, "peak": config.head_lr / config.head_grid**2})
        self.optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
        self.photos, self.best, self.worse = 0, -1.0, 0
        self.sums = torch.zeros(3, device=team.device)  # loss, right answers, steps since the last validation

    def phase(self) -> Phase:
        end = 0
        for phase in self.config.phases:
            end += phase.photos
            if self.photos < end:
                break
        return phase

    def step(self) -> Tensor:
        """One optimiser step on one batch; returns the loss."""
        phase, number = self.phase(), self.photos // self.config.batch
        if self.model.freeze != phase.freeze or not self.model.training:
            self.model.set_freeze(phase.freeze)
            self.model.train()
        pixels, targets = self.feed.take(number)
        _, seed = seeds(self.config, self.team.rank, number)
        torch.manual_seed(seed)
        pictures = self.pictures(pixels, targets, phase.size, torch.Generator().manual_seed(seed))
        targets = targets.to(self.team.device)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * self.rate()
        with self.team.autocast():
            logits, pooled = self.look(pictures)
        loss = self.loss(logits.float(), pooled.float(), targets, pictures)
        self.optimiser.zero_grad()
        loss.backward()
        self.team.average([p.grad for p in [*self.model.parameters(), *self.image.parameters()] if p.grad is not None])
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimiser.step()
        self.team.average([buffer for buffer in self.model.buffers() if buffer.is_floating_point()])
        self.photos += self.config.batch
        steps = self.photos / self.config.batch
        self.ema.decay = min(self.config.ema, steps / (10 + steps))
        self.ema.update(self.model)
        right = self.task.right(logits.detach().float(), targets).float().mean()
        self.sums += torch.stack([loss.detach(), right, loss.new_ones(())])
        return loss.detach()

    def pictures(self, pixels: Tensor, targets: Tensor, size: int, random: torch.Generator) -> Tensor:
        """Augmented pictures (batch, 3, size, size) of 0–255 on the device, shown needing the turns `targets`."""
        matrices = self.task.geometry(targets, self.config.augment, random).to(self.team.device)
        turned = augment.resample(_pictures(pixels, self.team.device), matrices, size)
        return self.laid_out(augment.photometry(turned, self.config.augment, random))

    def loss(self, logits: Tensor, pooled: Tensor, targets: Tensor, pictures: Tensor) -> Tensor:
        hard = self.task.losses(logits, targets, self.config.label_smoothing).mean()
        if not self.config.teacher or not self.teacher:
            return hard
        image = self.image(pooled) if self.config.teacher.embedding else None
        return distillation.loss(self.config.teacher, hard, logits, image, self.teacher(pictures))

    def rate(self) -> float:
        """The learning rate's share (0–1) of its peak."""
        return _schedule(self.photos / self.config.total, self.config.warmup)

    def laid_out(self, pictures: Tensor) -> Tensor:
        return pictures.contiguous(memory_format=torch.channels_last) if self.config.channels_last else pictures

    @torch.no_grad()
    def validate(self, photos: PhotoSet) -> tuple[float, float]:
        """Accuracy (0–1) and loss of the averaged weights at the size they will be served at, with one view.

        Photo i is shown needing the turn that the task says, i mod 4 quarter turns for photos.
        """
        self.average.eval()
        size, right, loss = self.config.phases[-1].size, 0.0, 0.0
        batch = self.config.batch // self.team.size
        for start in range(self.team.rank * batch, len(photos), self.team.size * batch):
            pixels = torch.from_numpy(np.array(photos.pixels[start : start + batch]))
            targets = self.task.at(start, len(pixels)).to(self.team.device)
            shown = self.task.shown(_pictures(pixels, self.team.device), targets, size)
            with self.team.autocast():
                logits = self.average(self.laid_out(shown)).float()
            right += float(self.task.right(logits, targets).sum())
            loss += float(self.task.losses(logits, targets).sum())
        return self.team.sum(right) / len(photos), self.team.sum(loss) / len(photos)

    def save(self, path: Path) -> None:
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimiser", "image")}
        weights.save(state | {name: getattr(self, name) for name in ("photos", "best", "worse", "sums")}, path)

    def restore(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises:
            ModelError: it cannot be read, or is that of another recipe.
        """
        state = weights.read(path)
        try:
            for name in ("model", "average", "image"):
                weights.fill(getattr(self, name), state[name], path)
            self.optimiser.load_state_dict(state["optimiser"])
            self.photos, self.best, self.worse = state["photos"], state["best"], state["worse"]
            self.sums = state["sums"].to(self.team.device)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ModelError(f"{path} is no checkpoint of this recipe ({error}): begin a new run in another --out") from error


def _loop(run: Run, validation: PhotoSet, out: Path, monitor: Monitor, asked: Callable[[], bool]) -> float:
    pace, config = Pace(run.photos), run.config
    while run.photos < config.total and not (config.patience and run.worse >= config.patience):
        loss = run.step()
        if monitor.due():
            wait = pace.share(run.feed.waited)
            monitor.show(run.photos, float(loss), max(run.best, 0), pace.rate(run.photos), wait)
        if (
            run.photos // config.validate_every > (run.photos - config.batch) // config.validate_every
            or run.photos >= config.total
        ):
            _validated(run, validation, out, monitor, pace)
        if run.team.sum(asked()) and run.photos < config.total:
            if run.team.rank == 0:
                _refuse_diverged(run)
                run.save(out / checkpoint.LAST)
            raise Interrupted(f"stopped after {run.photos:,} of {config.total:,} photos, saved in {out}")
    return run.best


def _validated(run: Run, validation: PhotoSet, out: Path, monitor: Monitor, pace: Pace) -> None:
    _refuse_diverged(run)
    total, right, steps = run.sums.tolist()
    found, loss = run.validate(validation)
    run.worse = 0 if found > run.best else run.worse + 1
    run.sums.zero_()
    lr = run.config.lr * run.rate()
    entry = Entry(run.photos, total / steps, right / steps, found, loss, lr, pace.rate(run.photos), pace.share(run.feed.waited))
    better, run.best = found > run.best, max(found, run.best)
    if run.team.rank == 0:
        if better:
            checkpoint.save_best(run.average.state_dict(), out, run.config.name, found)
        run.save(out / checkpoint.LAST)
        monitor.note(entry)


def _refuse_diverged(run: Run) -> None:
    if not math.isfinite(total := float(run.sums[0])):
        raise ModelError(f"the loss is {total}: the training has diverged; go back with --resume and a lower lr")


def _schedule(progress: float, warmup: float) -> float:
    return progress / warmup if progress < warmup else 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def _pictures(pixels: Tensor, device: torch.device) -> Tensor:
    return pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
