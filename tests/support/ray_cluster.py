"""A real Ray cluster of several nodes on this machine, for the tests of a module: small, and gone without a trace afterwards.

It is held by a process of its own, this module as a program, as what holds it takes signals and leaves files open.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_STORE = 80 * 2**20
_TRIES = 3


class RayCluster:
    """It answers to `auto` and, from elsewhere, to its `address`."""

    def __init__(self, program):
        self._program = program
        self.address = self._answer()

    def fill_up(self):
        """Have two nodes with one processor each."""
        self._ask("fill_up")

    def lose_node(self):
        """Have one of them vanish with all its processes."""
        self._ask("lose_node")

    def workers(self):
        """The processes that judge."""
        return self._ask("workers")

    def _ask(self, what):
        print(what, file=self._program.stdin, flush=True)
        return self._answer()

    def _answer(self):
        return json.loads(self._program.stdout.readline())


@contextmanager
def started(environment):
    """A cluster with that environment beside ours; its files are in a folder of its own, whose path has to be short."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    own = {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0", **environment}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAY_TMPDIR", folder)  # where `auto` finds the address
            with subprocess.Popen([sys.executable, __file__], env=os.environ | own, stdin=-1, stdout=-1, text=True) as program:
                yield RayCluster(program)
                program.stdin.close()
                assert program.wait() == 0
    finally:
        left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if folder in _title(pid)]
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    assert not left, f"left running: {left}"


def _title(pid):
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    return ""


def _parent(pid):
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    return 0


def _workers(nodes):
    raylets = {process.process.pid for node in nodes for process in node.all_processes["raylet"]}
    running = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in running if "Judging" in _title(pid) and _parent(pid) in raylets]


def _add(cluster, **node):
    """A new node. On a busy machine that may take longer than Ray waits for it, which is 30 seconds."""
    for left in reversed(range(_TRIES)):
        try:
            return cluster.add_node(object_store_memory=_STORE, include_log_monitor=False, **node)
        except Exception:
            if not left:
                raise
    raise AssertionError


def _main():
    from ray.cluster_utils import Cluster

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    cluster, nodes = Cluster(), []
    _add(cluster, num_cpus=0, include_dashboard=False, no_monitor=True, ray_client_server_port=port)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print is no answer
    answer = f"ray://127.0.0.1:{port}"
    while True:
        print(json.dumps(answer), file=answers, flush=True)
        asked, answer = sys.stdin.readline().strip(), None
        if asked == "fill_up":
            while len(nodes) < 2:
                nodes.append(_add(cluster, num_cpus=1))
        elif asked == "lose_node":
            node = nodes.pop()
            left = _workers([node])
            cluster.remove_node(node, allow_graceful=False)
            for pid in left:  # they would work on for a moment
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        elif asked == "workers":
            answer = _workers(nodes)
        else:
            break
    cluster.shutdown()


if __name__ == "__main__":
    _main()
