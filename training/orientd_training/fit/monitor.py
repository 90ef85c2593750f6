"""What a person sees of a training: a progress bar, log.jsonl, TensorBoard and, if asked for, MLflow."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from orientd.errors import StateError
from orientd_training.config import TrainConfig
from orientd_training.fit import tracking
from orientd_training.fit.devices import Team

_BAR_SECONDS = 0.5
Scalars = dict[str, float]
Sink = Callable[[int, Scalars], None]


@dataclass(frozen=True)
class Entry:
    """A training at one validation; shares are 0–1, `rate` is in photos a second, `wait` the share of time spent on waiting."""

    photos: int
    loss: float
    accuracy: float
    validation: float
    validation_loss: float
    learning_rate: float
    rate: float
    wait: float

    def scalars(self) -> Scalars:
        """By the names they have in TensorBoard and MLflow."""
        return {
            "Accuracy/train": self.accuracy,
            "Accuracy/validation": self.validation,
            "Loss/train": self.loss,
            "Loss/validation": self.validation_loss,
            "Hyperparameters/learning_rate": self.learning_rate,
            "Speed/photos_per_second": self.rate,
            "Speed/data_wait": self.wait,
        }


class Pace:
    """How fast a run is going since it was started or resumed."""

    def __init__(self, photos: int) -> None:
        self._since, self._first = monotonic(), photos

    def rate(self, photos: int) -> float:
        return (photos - self._first) / max(monotonic() - self._since, 1e-9)

    def share(self, seconds: float) -> float:
        return seconds / max(monotonic() - self._since, 1e-9)


class Monitor:
    """Reports the progress of a run; a resumed run continues its reports."""

    def __init__(self, bar: Progress, total: int, log: Path, sinks: list[Sink]) -> None:
        self._bar, self._log, self._sinks = bar, log, sinks
        self._task = bar.add_task("", total=total, loss=math.nan, best=math.nan, rate=0.0, wait=0.0)
        self._shown = -math.inf

    def due(self) -> bool:
        """Whether it is time to show something new; never without a terminal."""
        return not self._bar.disable and monotonic() - self._shown >= _BAR_SECONDS

    def show(self, photos: int, loss: float, best: float, rate: float, wait: float) -> None:
        self._shown = monotonic()
        self._bar.update(self._task, completed=photos, loss=loss, best=best, rate=rate, wait=wait, refresh=True)

    def note(self, entry: Entry) -> None:
        """Record a validation.

        Raises:
            StateError: the log cannot be written.
        """
        line = {key: value if key == "photos" else _short(value) for key, value in asdict(entry).items()}
        try:
            with self._log.open("a") as log:
                print(json.dumps(line), file=log)
            for sink in self._sinks:
                sink(entry.photos, entry.scalars())
        except OSError as error:
            raise StateError(f"{self._log.parent} cannot be written ({error.strerror}): make room and use --resume") from error


@contextmanager
def watching(config: TrainConfig, run: Path, photos: int, team: Team) -> Iterator[Monitor]:
    """A monitor of the run folder `run`, `photos` being done already; only the first process of a team shows and writes.

    Raises:
        ConfigError: as `tracking.following`.
    """
    with ExitStack() as stack:
        first = team.rank == 0
        sinks = [_tensorboard(run, photos, stack)] if config.tensorboard and first else []
        sinks += [stack.enter_context(tracking.following(config, run, photos))] if config.mlflow and first else []
        console = Console(stderr=True)
        bar = Progress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("loss {task.fields[loss]:.4f} · best {task.fields[best]:.2%}"),
            TextColumn("{task.fields[rate]:.0f} photos/s · {task.fields[wait]:.0%} waiting for data"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,  # a thread of its own would only take time from the training
            disable=not (first and console.is_terminal),
        )
        yield Monitor(stack.enter_context(bar), config.total, run / "log.jsonl", sinks)


def _tensorboard(run: Path, photos: int, stack: ExitStack) -> Sink:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run / "tensorboard"), purge_step=photos or None)
    stack.callback(writer.close)

    def write(step: int, scalars: Scalars) -> None:
        for name, value in scalars.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return write


def _short(value: Any) -> float:
    return round(float(value), 6)
