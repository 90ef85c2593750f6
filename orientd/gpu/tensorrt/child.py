"""The program of the process that builds an engine: it opens a model by TensorRT, which builds, and ends with orientd."""

import fcntl
import json
import os
import select
import signal
import sys
from pathlib import Path

from orientd.gpu.tensorrt import libraries
from orientd.infer.registry import Model


def main() -> None:
    """Build what one line of JSON on the standard input orders, see `builder.EngineBuilder`."""
    order = json.loads(sys.stdin.readline())
    end_with_orientd()
    libraries.load()
    model = Model(**order["model"] | {"path": Path(order["model"]["path"])})
    model.open([each if isinstance(each, str) else (each[0], each[1]) for each in order["providers"]])


def end_with_orientd() -> None:
    """Have the kernel end this process once orientd, which holds the other end of its standard input, has ended.

    No thread could do it while ONNX Runtime keeps Python's lock; the signal SIGIO ends a process by itself (fcntl(2), signal(7)).
    """
    here = sys.stdin.fileno()
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(here, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(here, fcntl.F_SETFL, fcntl.fcntl(here, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([here], [], [], 0)[0]:  # it had ended already
        sys.exit(1)


if __name__ == "__main__":
    main()
