"""libjpeg-turbo's lossless transform, called through ctypes."""

import ctypes
import os
from ctypes.util import find_library
from typing import Final

from orientd.errors import EngineUnavailable, Refused
from orientd.formats.lossless import jpeg as jpeg_core
from orientd.reasons import Reason

MISSING: Final = (
    "turning the pixels of JPEGs needs libjpeg-turbo's TurboJPEG library: apt install libturbojpeg0 (Debian; libturbojpeg on "
    "Ubuntu), dnf install turbojpeg, pacman -S libjpeg-turbo, apk add libjpeg-turbo, or brew install jpeg-turbo"
)


_NAMES: Final = (
    "libturbojpeg.so.0",
    "libturbojpeg.so",
    "libturbojpeg.dylib",
    "/opt/libjpeg-turbo/lib64/libturbojpeg.so",
    "/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.dylib",
    "/usr/local/opt/jpeg-turbo/lib/libturbojpeg.dylib",
)


_OPERATIONS: Final = {1: 0, 2: 1, 4: 2, 5: 3, 7: 4, 6: 5, 3: 6, 8: 7}  # orientation → TJXOP_NONE, HFLIP, VFLIP, TRANSPOSE…


_PERFECT, _PROGRESSIVE, _COPYNONE = 1, 32, 64


_STOPONWARNING, _LIMITSCANS = 8192, 32768


class _Transform(ctypes.Structure):
    _fields_ = (
        ("region", ctypes.c_int * 4),
        ("op", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("custom_filter", ctypes.c_void_p),
    )


class TurboJpeg:
    """The library. May be used from several threads at a time.

    Raises:
        EngineUnavailable: it is not installed, or too old; the message says which command brings it.
    """

    def __init__(self) -> None:
        self._library = _load()
        self._library.tjInitTransform.restype = ctypes.c_void_p
        self._library.tjGetErrorStr2.restype = ctypes.c_char_p
        self._library.tjGetErrorStr2.argtypes = (ctypes.c_void_p,)
        self._library.tjDestroy.argtypes = (ctypes.c_void_p,)
        self._library.tjFree.argtypes = (ctypes.c_void_p,)
        self._library.tjTransform.argtypes = (
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_ulong,
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.POINTER(ctypes.c_ulong),
            ctypes.POINTER(_Transform),
            ctypes.c_int,
        )

    @property
    def version(self) -> str:
        """The name and the interface of the library, by which it is identified."""
        return f"{os.path.basename(self._library._name)}, interface {'3' if hasattr(self._library, 'tj3Transform') else '2'}"

    def turn(self, jpeg: bytes, orientation: int) -> bytes:
        """A JPEG that stores the pixels of `jpeg` as `orientation` (1–8) shows them, without metadata; progressive if that is.

        Raises:
            Refused: this cannot be done without loss, or the library finds fault with the file.
        """
        options = _PERFECT | _COPYNONE | (_PROGRESSIVE if jpeg_core.find(jpeg).progressive else 0)
        transform = _Transform(op=_OPERATIONS[orientation], options=options)
        turned, size = ctypes.c_void_p(), ctypes.c_ulong()
        library, handle = self._library, self._library.tjInitTransform()
        if not handle:
            raise MemoryError("libturbojpeg cannot start")
        try:
            flags = _STOPONWARNING | _LIMITSCANS
            if library.tjTransform(handle, jpeg, len(jpeg), 1, turned, size, transform, flags):
                raise Refused(Reason.NOT_LOSSLESS, _reason(library.tjGetErrorStr2(handle)))
            return ctypes.string_at(turned.value or 0, size.value)
        finally:
            library.tjFree(turned)
            library.tjDestroy(handle)


def _load() -> ctypes.CDLL:
    for name in (*_NAMES, find_library("turbojpeg")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library and hasattr(library, "tjGetErrorStr2"):  # since 2.0
            return library
    raise EngineUnavailable(MISSING)


def _reason(message: bytes) -> str:
    text = message.decode("utf-8", "replace")
    if "not perfect" in text:
        return "its sides are no multiple of its blocks, so a turn would damage its edge"
    return f"libturbojpeg cannot turn it ({text})"
