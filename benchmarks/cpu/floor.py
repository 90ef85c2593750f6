"""The physical floor of a photo: processor time of the entropy decoding of its compressed data, and of nothing else.

    python -m benchmarks.cpu.floor FOLDER… --rounds 3

No program that decodes the whole of a photo can do with less, unless someone writes a faster entropy decoder. Two calls of
libjpeg-turbo measure it, one of which does a little more and one a little less:

- `tjTransform` with TJXOPT_NOOUTPUT decodes every coefficient into memory and writes nothing (turbojpeg.c:
  `jpeg_read_coefficients`, then nothing for TJXOP_NONE). This is what we call the floor. It holds all coefficients, 3 bytes a
  pixel at 4:2:0, which a decoder of baseline files need not; so that the kernel does not clear them again for every photo, freed
  memory is kept (`mallopt`).
- `tjDecompress2` to an eighth in grey finds the end of every code, keeps the DC values alone (jdhuff.c, `ac_needed`), and makes
  one pixel of each block of luma.
"""

import argparse
import ctypes
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median

from orientd.formats import jpeg_frame
from orientd.write import turbojpeg

_NO_OUTPUT, _GREY, _ORIENTATION_NONE = 16, 6, 0
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h of glibc


class TurboJpeg:
    """Calls without any output, for measuring only."""

    def __init__(self) -> None:
        self._library = turbojpeg.TurboJpeg()._library
        self._library.tjInitDecompress.restype = ctypes.c_void_p
        self._library.tjDecompress2.argtypes = (
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_ulong,
            ctypes.c_void_p,
            *[ctypes.c_int] * 5,
        )

    def coefficients(self, jpeg: bytes) -> None:
        """Decode every coefficient; nothing comes of it."""
        handle = self._library.tjInitTransform()
        nothing, size = ctypes.c_void_p(), ctypes.c_ulong()
        transform = turbojpeg._Transform(op=_ORIENTATION_NONE, options=_NO_OUTPUT)
        failed = self._library.tjTransform(handle, jpeg, len(jpeg), 1, nothing, size, transform, 0)
        self._library.tjDestroy(handle)
        if failed or nothing.value:
            raise RuntimeError("libjpeg-turbo did not do what was asked")

    def eighth(self, jpeg: bytes, width: int, height: int) -> None:
        """Decode to one grey pixel for each block of 8 x 8."""
        handle = self._library.tjInitDecompress()
        width, height = -(-width // 8), -(-height // 8)
        pixels = ctypes.create_string_buffer(width * height)
        failed = self._library.tjDecompress2(handle, jpeg, len(jpeg), pixels, width, 0, height, _GREY, 0)
        self._library.tjDestroy(handle)
        if failed or not any(pixels.raw[: width * 8]):
            raise RuntimeError("libjpeg-turbo did not do what was asked")


def keep_memory() -> None:
    """For the rest of this process, which must therefore do nothing else."""
    if hasattr(c := ctypes.CDLL(None), "mallopt"):
        c.mallopt(_MMAP_MAX, 0)
        c.mallopt(_TRIM_THRESHOLD, 2**30)


def milliseconds(task: Callable[[], object]) -> float:
    started = time.process_time()
    task()
    return 1000 * (time.process_time() - started)


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Milliseconds a photo, in the mean over the photos: of the floor the median of rounds, of the other way the only one."""
    library, floors, eighths, sizes = TurboJpeg(), [], [], []
    for path in sorted(folder.glob("*.jpg")):
        data = path.read_bytes()
        frame = jpeg_frame.only(data)
        if not frame or not frame.is_reducible:
            raise RuntimeError(f"{path} is no JPEG of a usual kind")
        floors.append(median(milliseconds(partial(library.coefficients, data)) for _ in range(rounds)))
        eighths.append(milliseconds(partial(library.eighth, data, frame.width, frame.height)))
        sizes.append(len(data) / 1e6)
    return {
        "photos": len(sizes),
        "MB": round(mean(sizes), 3),
        "floor ms": round(mean(floors), 2),
        "floor ms a MB": round(sum(floors) / sum(sizes), 2),
        "to an eighth in grey ms": round(mean(eighths), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_memory()
    print(json.dumps({folder.name: measure(folder, options.rounds) for folder in options.folders}, indent=1))


if __name__ == "__main__":
    main()
