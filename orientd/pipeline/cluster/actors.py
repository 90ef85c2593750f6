"""Ray: the workers are its actors. The only module that imports it, and only once a scan asks for a cluster.

https://docs.ray.io/en/latest/ray-core/actors.html. Ray restarts nothing and tries nothing again by itself here: `crew` does that,
and tells people of it.
"""

import os
import re
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

from orientd import __version__, commands
from orientd.config import Config
from orientd.errors import EngineUnavailable, OrientdError
from orientd.pipeline.cluster.crew import Lost, Node, Place
from orientd.pipeline.cluster.judging import Judging

_NONE_THERE: Final = "no Ray cluster answers at {}: start one (ray start --head) or name another with --cluster ({})"
_OTHER_VERSION: Final = (
    "the Ray cluster at {} has another version of Ray or Python than this machine: install the same on all of them ({})"
)
# What Ray's server on the head node says where the process that it forks for us never begins, as happens to programs with
# threads (seen with Ray 2.60); the next attempt has a process of its own.
_HANGS: Final = "Starting Ray client server failed"
_TRIES: Final = 3
_STARTS_ONE: Final = (
    "RAY_ADDRESS is local, which would start a cluster on this machine: unset it, or set it to the address of a cluster"
)
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")
_ERROR: Final = re.compile(r"[\w.]+(Error|Exception)\b")
_GONE: Final = "the connection to the Ray cluster broke ({}): run the same command again, and it goes on from there"


class RayPort:
    """See `crew.Port`. `close` it."""

    def __init__(self, address: str, config: Config) -> None:
        """Connect to the cluster; workers are for that configuration.

        Raises:
            EngineUnavailable: Ray is not installed.
            OrientdError: no cluster answers, or one of another version.
        """
        if address == "auto" and os.environ.get("RAY_ADDRESS") == "local":
            raise OrientdError(_STARTS_ONE)
        # Before it is imported: nothing is reported to anybody, and no cluster started here where the one asked for is gone.
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_AUTO_CONNECT": "0"}
        try:
            import ray
        except ImportError as error:
            raise EngineUnavailable(f"Ray is not installed, which --cluster needs: {commands.adding('ray')}") from error
        self._ray, self._config = ray, config
        self._connect(address)
        self._actor = ray.remote(max_restarts=0, max_task_retries=0)(Judging)

    def _connect(self, address: str) -> None:
        for left in reversed(range(_TRIES)):
            try:
                with _signals_as_they_were(), warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "Ray Client connection timed out", UserWarning)  # the error says it, too
                    self._ray.init(address=address, log_to_driver=False, logging_level="ERROR")
                return
            except (ConnectionError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
                self.close()  # half a connection is in the way of the next one
                if left and _HANGS in str(error):
                    continue
                message = _OTHER_VERSION if "Version mismatch" in str(error) else _NONE_THERE
                raise OrientdError(message.format(address, brief(error))) from error

    def nodes(self) -> list[Node]:
        with self._connected():
            found = [node for node in self._ray.nodes() if node["Alive"]]
        return [_node(each["NodeID"], each["NodeManagerHostname"], each["Resources"]) for each in found]

    def start(self, place: Place) -> Any:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(place.node.id, soft=False)
        options = {"num_cpus": place.threads, "num_gpus": int(place.on_gpu), "scheduling_strategy": strategy}
        settings = asdict(self._config) | ({"gpus": "0"} if place.on_gpu else {"provider": "cpu"})
        with self._connected():
            return self._actor.options(**options).remote(settings, __version__, place.threads, place.share)

    def ask(self, worker: Any, method: str, *given: Any) -> Any:
        with self._connected():
            return getattr(worker, method).remote(*given)

    def answered(self, questions: Sequence[Any], seconds: float) -> list[Any]:
        if not questions:
            return []
        with self._connected():
            first, _ = self._ray.wait(questions, num_returns=1, timeout=seconds)
            return self._ray.wait(questions, num_returns=len(questions), timeout=0)[0] if first else []

    def answer(self, question: Any) -> Any:
        errors = self._ray.exceptions
        try:
            with self._connected():
                return self._ray.get(question)
        except errors.RayTaskError as error:
            if isinstance(error.cause, OrientdError):
                raise error.cause from error
            raise OrientdError(f"a worker failed ({error.cause!r}): please report it") from error
        except errors.RayError as error:
            raise Lost(brief(error)) from error

    def end(self, worker: Any) -> None:
        if not self._ray.is_initialized():  # then they end without us
            return
        with self._connected():
            self._ray.kill(worker)

    def close(self) -> None:
        """Leave the cluster as it was."""
        with _signals_as_they_were():
            self._ray.shutdown()

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except (ConnectionError, self._ray.exceptions.RaySystemError) as error:
            if not isinstance(error, ConnectionError) and self._ray.is_initialized():  # a worker's
                raise
            raise OrientdError(_GONE.format(brief(error))) from error


def _node(id_: str, name: str, resources: dict[str, float]) -> Node:
    return Node(id_, name, int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))


def brief(error: Exception) -> str:
    """What Ray says at first and, where a traceback of a node follows, what that ends with; without its colors."""
    lines = [line.strip() for line in _COLOR.sub("", str(error)).splitlines() if line.strip()] or [type(error).__name__]
    cause = lines[-1] if len(lines) > 1 and _ERROR.match(lines[-1]) else ""
    if lines[0].endswith(":") and not cause:
        return " ".join(lines)
    return f"{lines[0].rstrip(':')}: {cause}" if cause else lines[0]


@contextmanager
def _signals_as_they_were() -> Iterator[None]:
    """Ray takes SIGTERM for itself, which is the user's way to end a scan after the photo in hand."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
