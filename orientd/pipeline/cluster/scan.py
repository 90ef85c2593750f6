"""A scan by the nodes of a cluster: which nodes are admitted, with which settings, and what became of them."""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Final

from orientd.config import Config
from orientd.errors import ConfigError, OrientdError
from orientd.pipeline.cluster import same_files, spread, units
from orientd.pipeline.cluster.crew import ClusterCrew, Node, Port, places
from orientd.pipeline.cluster.judging import Hello
from orientd.pipeline.run import Stages
from orientd.pipeline.stages import chosen_model
from orientd.records import Candidate, Notify, Row

SETTINGS: Final = (
    "model",
    "provider",
    "gpu_memory",
    "min_confidence",
    "prior_upright",
    "min_agreement",
    "second_look_below",
    "batch",
    "first_look",
    "max_pixels",
    "max_bytes",
    "max_memory",
    "isolate",
    "method",
    "hard_links",
    "formats",
    "sidecar",
    "sidecar_naming",
)
"""The names of the settings that nodes get."""

WAIT: Final = 60.0
"""Seconds for all workers to be ready; then those begin that are, and the others join in later."""

_OF_A_GPU: Final = 256  # photos of a unit
_LOOK: Final = 0.2
_ADDRESS: Final = re.compile(r"auto|ray://([^\s/:]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")
_NO_ADDRESS: Final = "--cluster {}: write auto, on a machine of the cluster, or ray://HOST:10001, from elsewhere"
_PROVIDERS: Final = ("cpu", "cuda")
_NO_PROVIDER: Final = "--cluster goes with --provider cpu or cuda, and not with {}"
_NO_NODE: Final = "no node of the cluster has a processor to judge with: see `ray status`"
_OTHER_JUDGE: Final = (
    "{} of the cluster judges by another model or policy than this machine: give both the same orientd, model and settings"
)
_WAITING: Final = "waiting for {} workers of the cluster; if other programs have its processors, see `ray status`"


def _by_ray(address: str, config: Config) -> Port:
    from orientd.pipeline.cluster.actors import RayPort

    return RayPort(address, config)


@dataclass
class Cluster:
    """The cluster at an `address`, whose nodes judge by a configuration, and what is known of it afterwards.

    workers: so many were ready at the start, on so many `nodes`. lost: how many were lost, by the name of their node.

    Raises:
        ConfigError: it cannot judge by that, or that is no address.
    """

    address: str
    config: Config
    connect: Callable[[str, Config], Port] = _by_ray
    workers: int = 0
    nodes: int = 0
    lost: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if not _ADDRESS.fullmatch(self.address):  # Ray would start a cluster for some other words
            raise ConfigError(_NO_ADDRESS.format(self.address))
        if self.config.provider not in _PROVIDERS:
            raise ConfigError(_NO_PROVIDER.format(self.config.provider))

    def run(
        self,
        candidates: Iterable[Candidate],
        stages: Stages,
        *,
        roots: Sequence[str],
        judged_by: str,
        writes: bool,
        stop: Callable[[], bool],
        notify: Notify,
        clock: Callable[[], float] = time.monotonic,
    ) -> Generator[Row, None, None]:
        """As `pipeline.run`, but judged by the nodes; photos are fixed (`writes`) on this machine, by `stages.act`.

        Args:
            roots: what is scanned; the nodes must see the same there, and the very same files if it `writes`.
            judged_by: the id of the judge of this machine, which must be theirs.

        Raises:
            ConfigError: the nodes cannot judge for this machine.
            OrientdError: the cluster does not answer, or none of its nodes is left.
        """
        shown = same_files.samples(roots, self.config, stop)
        here = [same_files.see(path) for path in shown]

        def admit(node: Node, hello: Hello) -> None:
            if hello.judged_by != judged_by:
                raise ConfigError(_OTHER_JUDGE.format(node.name))
            for path, mine, theirs in zip(shown, here, hello.sights, strict=True):
                try:
                    same_files.check(node.name, path, mine, theirs, writes=writes)
                except ConfigError:
                    now = same_files.see(path)
                    if now == mine:
                        raise
                    same_files.check(node.name, path, now, theirs, writes=writes)  # fixed since then, by this very scan perhaps

        on_gpus = self.config.provider == "cuda"
        most = _OF_A_GPU if on_gpus else units.MOST
        with closing(self.connect(self.address, _for_nodes(self.config))) as port:
            seats = list(places(port.nodes(), self.config.workers, on_gpus=on_gpus))
            if not seats:
                raise OrientdError(_NO_NODE)
            with closing(ClusterCrew(port, seats, shown, admit, notify, most)) as crew:
                self.lost = crew.lost
                _wait(crew, stop, notify, clock)
                self.workers, self.nodes = crew.ready, crew.nodes
                yield from spread.run(candidates, stages, crew, stop, most, clock)

    def summary(self) -> list[str]:
        """The lines about the cluster in the summary of a run."""
        if not self.workers:
            return []
        lines = [
            f"Judged by {_number(self.workers, 'worker')} on {_number(self.nodes, 'machine')} of the cluster {self.address}."
        ]
        if number := self.lost.total():
            where = ", ".join(f"{name} ({times})" if times > 1 else name for name, times in self.lost.items())
            was = "was" if number == 1 else "were"
            lines.append(f"{_number(number, 'worker')} {was} lost ({where}): what was in hand there was judged again by others.")
        return lines


def _wait(crew: ClusterCrew, stop: Callable[[], bool], notify: Notify, clock: Callable[[], float]) -> None:
    """Until all are ready or, after a while, at least one is."""
    until, notified = clock() + WAIT, False
    while crew.starting and not stop():
        crew.ended(_LOOK)
        if clock() >= until and crew.ready:
            return
        if clock() >= until and not notified:
            notify(_WAITING.format(crew.starting))
            notified = True


def _for_nodes(config: Config) -> Config:
    """What judging needs and no more, hooks for one; with a path of a model that means the same from everywhere."""
    needed = Config(**{name: getattr(config, name) for name in SETTINGS})
    model = chosen_model(config)
    return replace(needed, model=os.path.abspath(model.path)) if model.origin == "file" else needed


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
