"""Started elsewhere than on Linux, orientd says so and ends, and does not fail for want of what only Linux has."""

import json
import subprocess
import sys

import pytest

# Elsewhere these modules are missing, and the platform has another name.
STARTED = """
import runpy, sys
import asyncio, click, shutil, subprocess, tempfile  # they would look for what the other system has
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "termios", "pwd", "grp", "resource"):
            raise ModuleNotFoundError(f"No module named {name!r}")
for name in ("fcntl", "termios", "pwd", "grp", "resource"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
import signal
for name in ("SIGHUP", "SIGCHLD", "SIGKILL", "pthread_sigmask"):
    vars(signal).pop(name)
sys.platform = sys.argv.pop(1)
runpy.run_module("orientd", run_name="__main__", alter_sys=True)
"""


def started(system, *words):
    return subprocess.run([sys.executable, "-c", STARTED, system, *words], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(("system", "name"), [("darwin", "macOS"), ("win32", "Windows"), ("freebsd14", "freebsd14")])
@pytest.mark.parametrize("words", [("scan", "photos"), ("status",), ("watch", "photos"), ("--help",)])
def test_it_says_where_it_runs(system, name, words):
    done = started(system, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"orientd: it runs on Linux only, and this is {name}: run it in a Linux container, or on the machine with Linux where"
        " the photos lie\n"
    )


def test_a_script_is_told_as_well():
    done = started("darwin", "status", "--json")
    assert done.returncode == 1
    assert "Linux only" in json.loads(done.stdout)["message"]
