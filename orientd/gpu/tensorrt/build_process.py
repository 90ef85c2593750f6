"""The process that builds an engine, as orientd holds it: started, asked, and ended with whatever waits for it."""

import json
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from orientd.gpu.tensorrt import child, engine_folders, libraries

_END_SECONDS: Final = 5.0


class BuildProcess:
    """A process that builds an engine into `folder`, which is there once it has succeeded. It ends with this object."""

    def __init__(
        self,
        order: Callable[[Path], Mapping[str, Any]],
        folder: Path,
        command: tuple[str, ...] = (sys.executable, "-P", "-m", child.__name__),
    ) -> None:
        """`order` is what the process gets on its standard input, as JSON, to build into the folder it is given."""
        self._folder, self._partial = folder, engine_folders.partial_of(folder)
        self._said: str | None = None
        self._polling = threading.Lock()
        log = engine_folders.begin(self._partial)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=libraries.environment(), start_new_session=True
        )
        assert self._process.stdin
        with suppress(OSError):  # it has ended already, which `poll` reports
            self._process.stdin.write(json.dumps(order(self._partial)).encode() + b"\n")
            self._process.stdin.flush()
        self.close = weakref.finalize(self, _end, self._process, log, self._partial, folder)

    def poll(self) -> str | None:
        """None while it is under way, "" once the engine is there, else why it never will be."""
        with self._polling:
            if self._said is None and (code := self._process.poll()) is not None:
                said = _last_line(self._partial / engine_folders.LOG) or f"exit code {code}"
                self.close()
                self._said = "" if not code and self._folder.is_dir() else said
        return self._said


def _end(process: subprocess.Popen[bytes], log: IO[bytes], partial: Path, folder: Path) -> None:
    process.kill()
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    if process.returncode == 0:
        engine_folders.finish(partial, folder)
    engine_folders.remove(partial)
    log.close()


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
