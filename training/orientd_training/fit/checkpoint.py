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
from typing import Any

import torch
from torch import Tensor

from orientd.errors import ConfigError, StateError
from orientd_training import config as recipes
from orientd_training.config import TrainConfig
from orientd_training.data.photoset import PhotoSet
from orientd_training.files import replacing
from orientd_training.fit import weights
from orientd_training.fit.network import Network

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
    """Write best.pt and, next to it, NAME_ACCURACY.pt; the three latest of these are kept.

    Raises:
        StateError: they cannot be written.
    """
    weights.save(state, run / BEST)
    named = run / f"{name}_{accuracy:.4f}.pt"
    named.unlink(missing_ok=True)
    try:
        named.hardlink_to(run / BEST)
    except OSError:  # a file system without links
        weights.save(state, named)
    older = sorted(run.glob(f"{name}_0.[0-9][0-9][0-9][0-9].pt"), key=lambda path: path.stat().st_mtime_ns)
    for path in [path for path in older if path != named][: -(_KEPT - 1)]:
        path.unlink()


def describe(config: TrainConfig, run: Path, train: list[PhotoSet], validation: PhotoSet, resumed: bool) -> None:
    """Write the resolved recipe and what is trained on, by which code.

    Raises:
        ConfigError: a run is resumed with other photos than it began with, or it does not say with which.
        StateError: the folder cannot be written.
    """
    photos = {"train": [photos.digest for photos in train], "validation": validation.digest}
    if resumed and _begun_with(run) != photos:
        raise ConfigError(f"{run} was begun with other photos than the caches hold now: begin a new run in another --out")
    facts = {"photos": photos, "commit": _commit(), "torch": torch.__version__, "seed": config.seed}
    for name, values in ((FACTS, facts), (CONFIG, asdict(config))):
        with replacing(run / name) as partial:
            partial.write_text(json.dumps(values, default=str, indent=1))


def mix(run: Path, other: Path, share: float, out: Path) -> None:
    """Make a run folder of the same recipe as `run`, its best weights mixed with a `share` (0–1) of those of `other`.

    `other` is where `run` began, or began at the same place: only then does the mean of two networks make one (Wortsman et al.
    2022, arXiv:2203.05482). A grid that `other` has not is taken for zero, as every grid was once.

    Raises:
        ConfigError: `out` is there already, or a recipe cannot be read.
        ModelError: weights are missing, or are those of other networks.
        StateError: `out` cannot be written.
    """
    if out.exists():
        raise ConfigError(f"{out} is there already: give another --out")
    _, network = load(run)
    theirs = weights.named(weights.read(other / BEST))
    own = {name: value.clone() for name, value in network.state_dict().items()}
    theirs = {name: torch.zeros_like(value) for name, value in own.items() if name.startswith("extra.")} | theirs
    weights.fill(network, theirs, other / BEST)
    made = {name: torch.lerp(value, theirs[name], share) if value.is_floating_point() else value for name, value in own.items()}
    try:
        out.mkdir(parents=True)
        for name in (CONFIG, FACTS, "log.jsonl"):
            if (run / name).exists():
                shutil.copyfile(run / name, out / name)
    except OSError as error:
        raise StateError(f"{out} cannot be written ({error.strerror}): make room, or give another --out") from error
    weights.save(made, out / BEST)


def changed(config: TrainConfig, run: Path) -> list[str]:
    """What this recipe says otherwise than that of the run it is to go on with, as lines `key: then → now`."""
    before = recipes.load(run / CONFIG)
    pairs = {field.name: (getattr(before, field.name), getattr(config, field.name)) for field in fields(TrainConfig)}
    return [f"{name}: {then} → {now}" for name, (then, now) in pairs.items() if then != now]


def _begun_with(run: Path) -> Any:
    try:
        return json.loads((run / FACTS).read_text())["photos"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{run / FACTS} cannot be read ({error!r}): begin a new run in another --out") from error


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return found.stdout.strip()
