"""Which GPUs CUDA shows, by the numbers that DALI and ONNX Runtime know them by; asked of the driver alone (libcuda)."""

import ctypes
from typing import Any, Final

_LONGEST_NAME: Final = 256


def names() -> list[str]:
    """The name of each GPU by its number, as CUDA_VISIBLE_DEVICES lets them be seen; empty without a GPU or its driver.

    CUDA Driver API: every call returns 0 (CUDA_SUCCESS) or what went wrong.
    """
    try:
        return _names(ctypes.CDLL("libcuda.so.1"))
    except OSError:
        return []


def _names(driver: Any) -> list[str]:
    count, name = ctypes.c_int(), ctypes.create_string_buffer(_LONGEST_NAME)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return []
    found = []
    for number in range(count.value):
        failed = driver.cuDeviceGetName(name, _LONGEST_NAME, number)
        found.append("unknown" if failed else name.value.decode(errors="replace"))
    return found
