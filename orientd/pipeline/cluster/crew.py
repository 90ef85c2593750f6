"""The workers on the nodes of a cluster: who has which units, who is lost, and who takes the place of whom.

Each has one unit to judge and the next one at hand, so that it never waits for the machine that scans.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from orientd.errors import OrientdError
from orientd.pipeline.cluster.judging import Hello
from orientd.pipeline.cluster.spread import Ended
from orientd.records import Candidate, Notify, Row

AT_HAND: Final = 2
"""Units that a worker has at most."""

_TRIES: Final = 5  # workers of a node that end one after the other before they are ready
_DEATHS: Final = 100  # that end while they judge, and nothing is judged between: a unit may hold nothing but photos that do so
_ALL_LOST: Final = "no node of the cluster is left that judges: see why with `ray status`, then run the same command again"

_OTHERS: Final = "what it had in hand is judged by others"
_UNFIT: Final = "it cannot judge there any more, so it is left out"
_NO_MORE: Final = "{} ended there one after the other, so it is left out"
_ANOTHER: Final = "another takes its place, and what it had in hand is judged again"


class Lost(Exception):
    """A worker has ended, or its node has; the message says why, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster, by its id and the name people know it by, and what of it the cluster may use."""

    id: str
    name: str
    cpus: int
    gpus: int


class Place(NamedTuple):
    """Where one worker is: it has so many threads, and one of so many shares of the memory of its node."""

    node: Node
    threads: int
    share: int
    on_gpu: bool = False


def places(nodes: Sequence[Node], workers: int, *, on_gpus: bool) -> Iterator[Place]:
    """One worker for each processor of a node, `workers` at the most if that is not 0; or one for each of its GPUs, if it has
    some and they are wanted."""
    for node in nodes:
        if on_gpus and node.gpus:
            threads = max(min(node.cpus, workers or node.cpus) // node.gpus, 1)
            yield from [Place(node, threads, node.gpus, on_gpu=True)] * node.gpus
        else:
            number = min(node.cpus, workers or node.cpus)
            yield from [Place(node, 1, number)] * number


class Port(Protocol):
    """What is asked of a cluster. A worker and a question put to it are whatever it says; questions are answered in order."""

    def nodes(self) -> Sequence[Node]:
        """Those that are there."""
        ...

    def start(self, place: Place) -> Any:
        """A new worker, once there is room for it."""
        ...

    def ask(self, worker: Any, method: str, *given: Any) -> Any:
        """Begin to call a method of `Judging`; gives a question."""
        ...

    def answered(self, questions: Sequence[Any], seconds: float) -> Sequence[Any]:
        """Those of some questions that have their answer; waits so long for the first."""
        ...

    def answer(self, question: Any) -> Any:
        """What a worker answered. Raises Lost if it cannot any more, and OrientdError as it did."""
        ...

    def end(self, worker: Any) -> None:
        """Whatever it does."""
        ...

    def close(self) -> None:
        """Leave the cluster."""
        ...


@dataclass(eq=False)
class _Worker:
    place: Place
    handle: Any
    hello: Any
    ready: bool = False
    in_hand: deque[tuple[int, Any]] = field(default_factory=deque)

    @property
    def next(self) -> Any:
        """The question that it answers next, if any."""
        return self.hello if not self.ready else self.in_hand[0][1] if self.in_hand else None


class ClusterCrew:
    """See `spread.Crew`. `lost` counts workers, by the name of their node."""

    def __init__(
        self,
        port: Port,
        seats: Sequence[Place],
        shown: Sequence[str],
        admit: Callable[[Node, Hello], None],
        notify: Notify,
        most: int,
    ) -> None:
        """A worker for each of the `seats`, which looks at the files `shown`; `admit` raises ConfigError for one that does not
        do. A unit has `most` photos."""
        self._port, self._shown, self._admit, self._notify, self._most = port, shown, admit, notify, most
        self._failures: Counter[tuple[str, bool]] = Counter()  # by the id of the node, and whether a worker was ready
        self._begun = False
        self._reported: set[str] = set()
        self.lost: Counter[str] = Counter()
        self._workers = [self._started(place) for place in seats]

    @property
    def starting(self) -> int:
        """How many workers are not ready yet."""
        return sum(not worker.ready for worker in self._workers)

    @property
    def ready(self) -> int:
        """How many are."""
        return len(self._workers) - self.starting

    @property
    def nodes(self) -> int:
        """On how many nodes these are."""
        return len({worker.place.node.id for worker in self._workers if worker.ready})

    @property
    def capacity(self) -> int:
        return len(self._workers) * AT_HAND * self._most

    @property
    def has_room(self) -> bool:
        return self._free() is not None

    def begin(self, unit: int, candidates: Sequence[Candidate], *, spare: bool = False) -> bool:
        worker = self._free()
        if not worker or (spare and worker.in_hand):
            return False
        self._begun = True
        worker.in_hand.append((unit, self._port.ask(worker.handle, "judge", candidates)))
        return True

    def ended(self, seconds: float) -> list[Ended]:
        asked = {worker.next: worker for worker in self._workers if worker.next is not None}
        ended: list[Ended] = []
        for question in self._port.answered(list(asked), seconds):
            ended += self._settled(asked[question], question)
        if not self._workers:
            raise OrientdError(_ALL_LOST)
        return ended

    def close(self) -> None:
        """End all of them, whatever they do."""
        for worker in self._workers:
            with suppress(OrientdError):  # where the cluster is gone, so are they
                self._port.end(worker.handle)
        self._workers = []

    def _free(self) -> _Worker | None:
        """The one with the least in hand, if it has room."""
        ready = (worker for worker in self._workers if worker.ready)
        least = min(ready, key=lambda worker: len(worker.in_hand), default=None)
        return least if least and len(least.in_hand) < AT_HAND else None

    def _started(self, place: Place) -> _Worker:
        handle = self._port.start(place)
        return _Worker(place, handle, self._port.ask(handle, "hello", self._shown))

    def _settled(self, worker: _Worker, question: Any) -> list[Ended]:
        try:
            answer = self._answer(worker, question)
            if not worker.ready:
                self._admit(worker.place.node, answer)
                worker.ready = True
                return []
        except Lost as error:
            return self._lost(worker, error)
        except OrientdError as error:
            if self._begun:  # what others judge meanwhile is not given up for it
                return self._lost(worker, error, unfit=not worker.ready)
            raise
        return [self._judged(worker, *answer)]

    def _answer(self, worker: _Worker, question: Any) -> Any:
        try:
            return self._port.answer(question)
        except OrientdError as error:
            named = OrientdError(f"{worker.place.node.name} of the cluster: {error}")
            named.exit_code = error.exit_code
            raise named from error

    def _judged(self, worker: _Worker, rows: Sequence[Row], notes: Sequence[str]) -> Ended:
        node = worker.place.node
        unit, _ = worker.in_hand.popleft()
        for note in notes:
            if note not in self._reported:
                self._reported.add(note)
                self._notify(f"{node.name}: {note}")
        self._failures[node.id, False] = self._failures[node.id, True] = 0
        return Ended(unit, rows)

    def _lost(self, worker: _Worker, error: Exception, *, unfit: bool = False) -> list[Ended]:
        """What it had in hand; another takes its place, if its node is still there and not `unfit`."""
        node = worker.place.node
        self._workers.remove(worker)
        with suppress(OrientdError):
            self._port.end(worker.handle)
        self.lost[node.name] += 1
        self._failures[node.id, worker.ready] += 1
        most = _DEATHS if worker.ready else _TRIES
        then = _NO_MORE.format(most) if self._failures[node.id, worker.ready] >= most else ""
        then = _UNFIT if unfit else then
        gone = node.id not in {each.id for each in self._port.nodes()}
        then = _OTHERS if gone else then
        self._notify(f"{'the node' if gone else 'a worker on'} {node.name} was lost: {then or _ANOTHER} ({error})")
        if not then:
            self._workers.append(self._started(worker.place))
        return [Ended(unit, None, blamed=place == 0) for place, (unit, _) in enumerate(worker.in_hand)]
