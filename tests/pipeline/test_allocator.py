"""Memory goes back to the system: measured on a process of its own, whose threads allocate."""

import subprocess
import sys

import pytest

ALLOCATE = """
import ctypes, re, sys, threading
from orientd.pipeline import allocator

libc = ctypes.CDLL(None)
if not hasattr(libc, "mallopt"):
    sys.exit(77)
if "one" in sys.argv:
    allocator.share_one_arena()
ready, done = threading.Barrier(5), threading.Event()
libc.malloc.restype = ctypes.c_void_p

def work():
    libc.malloc(1000)
    ready.wait()
    done.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
ready.wait()
libc.malloc_info.argtypes = ctypes.c_int, ctypes.c_void_p
libc.fdopen.restype = ctypes.c_void_p
libc.fflush.argtypes = [ctypes.c_void_p]
out = libc.fdopen(1, b"w")
libc.malloc_info(0, out)
libc.fflush(out)
done.set()
"""


def arenas(*arguments):
    run = subprocess.run([sys.executable, "-c", ALLOCATE, *arguments], capture_output=True, text=True, timeout=600)
    if run.returncode == 77:
        pytest.skip("not glibc")
    assert run.returncode == 0, run.stderr
    return run.stdout.count("<heap nr=")


def test_threads_share_one_arena():
    assert arenas() > 1
    assert arenas("one") == 1
