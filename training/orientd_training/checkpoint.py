"""What a run leaves on the disk, and the way back from it.

A run folder holds `config.json`, `facts.json`, `log.jsonl`, `last.pt` (everything needed to go on) and `best.pt` (the averaged
weights that validated best), the latter also under the name of the model and its accuracy, such as `mobilenetv2_0.9312.pt`.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import Tensor

from orientd.errors import ConfigError, StateError
from orientd_training import config as recipes
from orientd_training import weights
from orientd_training.config import TrainConfig
from orientd_training.network import Network
from orientd_training.photoset import PhotoSet

LAST, BEST, CONFIG, FACTS = "last.pt", "best.pt", "config.json", "facts.json"
_KEPT = 3


def load(run: Path) -> tuple[TrainConfig, Network]:
    """The recipe of a run folder and the averaged weights that validated best, on the CPU, ready to be used.

    Raises:
        ConfigError: the recipe in the folder cannot be read.
        ModelError: there are no weights in the folder, or they are of another network.
    """
    return load_file(run / BEST)


def load_file(path: Path) -> tuple[TrainConfig, Network]:
    """The same for any checkpoint of averaged weights in a run folder."""
    config = recipes.load(path.parent / CONFIG)
    network = Network(config, init=False)
    weights.fill(network, weights.read(path), path)
    return config, network.eval()


def save_best(state: Mapping[str, Tensor], run: Path, name: str, accuracy: float) -> None:
    """Write best.pt and, beside it, NAME_ACCURACY.pt; of the latter the three latest stay."""
    weights.save(state, run / BEST)
    named = run / f"{name}_{accuracy:.4f}.pt"
    named.unlink(missing_ok=True)
    try:
        named.hardlink_to(run / BEST)
    except OSError:  # a file system without links
        shutil.copyfile(run / BEST, named)
    older = sorted(run.glob(f"{name}_0.[0-9][0-9][0-9][0-9].pt"), key=lambda path: path.stat().st_mtime_ns)
    for path in [path for path in older if path != named][: -(_KEPT - 1)]:
        path.unlink()


def describe(config: TrainConfig, run: Path, train: list[PhotoSet], validation: PhotoSet, resumed: bool) -> None:
    """Write the resolved recipe and what is trained on, by which code.

    Raises:
        ConfigError: a run is resumed with other photos than it began with.
        StateError: the folder cannot be written.
    """
    photos = {"train": [photos.digest for photos in train], "validation": validation.digest}
    try:
        run.mkdir(parents=True, exist_ok=True)
        if resumed and json.loads((run / FACTS).read_text())["photos"] != photos:
            raise ConfigError(f"{run} was begun with other photos than the caches hold now: begin a new run in another --out")
        facts = {"photos": photos, "commit": _commit(), "torch": torch.__version__, "seed": config.seed}
        (run / FACTS).write_text(json.dumps(facts, indent=1))
        (run / CONFIG).write_text(json.dumps(asdict(config), default=str, indent=1))
    except OSError as error:
        raise StateError(f"{run} cannot be written ({error.strerror}): make room, or give another --out") from error


def changed(config: TrainConfig, run: Path) -> list[str]:
    """What this recipe says otherwise than that of the run it is to go on with, as lines `key: then → now`."""
    before = recipes.load(run / CONFIG)
    pairs = {field.name: (getattr(before, field.name), getattr(config, field.name)) for field in fields(TrainConfig)}
    return [f"{name}: {then} → {now}" for name, (then, now) in pairs.items() if then != now]


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return found.stdout.strip()
