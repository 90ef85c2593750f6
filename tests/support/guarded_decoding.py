"""Decodes files into buffers that end where memory ends: a byte too many is a death by SIGSEGV, so this runs as a program.

The files come pickled on standard input. On standard output stands the number of each before it is decoded, then, as JSON, how
often what was done. With the argument "trusting" every frame header is taken for one of a picture that can be reduced; with
"beyond" nothing is decoded, but one byte written behind a buffer.
"""

import collections
import ctypes
import io
import json
import mmap
import pickle
import resource
import sys
from contextlib import suppress
from unittest.mock import patch

import simplejpeg
from PIL.JpegImagePlugin import JpegImageFile

from orientd.decode.cpu import CpuDecoder
from orientd.errors import DecodeError, EngineUnavailable, Refused
from orientd.formats import jpeg_frame
from orientd.records import FileStat, Format, Photo
from orientd.write import turbojpeg

SIZE, MOST_PIXELS = 24, 500_000
REDUCIBLE = (0xC0, 0xC1, 0xC2)
_PROT_NONE = 0
_BYTES = {"RGB": 3, "GRAY": 1, "CMYK": 4}
_decode, _draft = simplejpeg.decode_jpeg, JpegImageFile.draft


class Guarded:
    """Memory from which buffers are given out, one at a time, that end where no byte may be touched."""

    def __init__(self):
        self._memory = mmap.mmap(-1, (MOST_PIXELS * 4 // mmap.PAGESIZE + 2) * mmap.PAGESIZE)
        self._end = ctypes.addressof(ctypes.c_ubyte.from_buffer(self._memory)) + len(self._memory) - mmap.PAGESIZE
        if ctypes.CDLL(None).mprotect(ctypes.c_void_p(self._end), ctypes.c_size_t(mmap.PAGESIZE), _PROT_NONE):
            raise OSError("mprotect")

    def buffer(self, size):
        return (ctypes.c_ubyte * size).from_address(self._end - size)


class Watched:
    """Stands in for what the decoder calls, and counts in `done`."""

    def __init__(self):
        self._guarded = Guarded()
        self.done = collections.Counter(disagree=0, astray=0)

    def decode(self, data, colors, min_height, min_width):
        """`simplejpeg.decode_jpeg`, which makes a buffer of the size that its header tells; CMYK becomes RGB afterwards."""
        height, width, found, _ = simplejpeg.decode_jpeg_header(data, min_height, min_width)
        direct = "CMYK" if found in ("CMYK", "YCCK") else colors
        buffer = self._guarded.buffer(height * width * _BYTES[direct])
        pixels = _decode(data, direct, min_height=min_height, min_width=min_width, buffer=buffer)
        self.done["reduced" if min_height else "whole"] += 1
        return pixels.copy() if direct == colors else _decode(data, colors, min_height=min_height, min_width=min_width)

    def draft(self, image, mode, size):
        """Pillow makes its buffers itself, so it is only seen that it is asked of what it can do, and of the same frame."""
        place = image.fp.tell()
        image.fp.seek(0)
        frame = jpeg_frame.only(image.fp.read())
        image.fp.seek(place)
        if not frame or frame.marker not in REDUCIBLE or frame.bits != 8 or image.size != (frame.width, frame.height):
            self.done["astray"] += 1  # an exception would count as damage of the photo
            return None
        self.done["draft"] += 1
        return _draft(image, mode, size)


def agrees(data):
    """True unless Pillow, which makes its buffers by the frame header it finds, finds another than orientd or libjpeg."""
    try:
        sides = JpegImageFile(io.BytesIO(data)).size
    except Exception:  # Pillow gives up, and makes none
        return True
    found = [(frame.width, frame.height)] if (frame := jpeg_frame.only(data)) else []
    with suppress(ValueError, KeyError):  # the latter of samplings without a name
        found.append(simplejpeg.decode_jpeg_header(data, strict=False)[1::-1])
    return all(each == sides for each in found)


def tried(data, decoder, turn):
    photo = Photo("", FileStat(0, 0, 0, 0), Format.JPEG, data, 1, "")
    for whole in (True, False):
        with suppress(DecodeError):
            decoder.decode(photo, whole=whole)
    decoder.glance(photo)
    with suppress(Refused):
        for orientation in (2, 3, 5, 6) if turn else ():
            turn(data, orientation)
            yield "turned", True


def main(manner):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    watched, decoder, turn = Watched(), CpuDecoder(SIZE, MOST_PIXELS), None
    with suppress(EngineUnavailable):
        turn = turbojpeg.TurboJpeg().turn
        watched.done["turned"] = 0
    if manner == "beyond":
        buffer = watched._guarded.buffer(3)
        ctypes.memset(buffer, 1, 3)
        print("within", flush=True)
        ctypes.memset(buffer, 1, 4)
    if manner == "trusting":
        jpeg_frame.Frame.is_reducible = True
    with (
        patch.object(simplejpeg, "decode_jpeg", watched.decode),
        patch.object(JpegImageFile, "draft", lambda *given: watched.draft(*given)),
    ):
        for number, data in enumerate(pickle.load(sys.stdin.buffer)):
            print(number, flush=True)
            watched.done["disagree"] += not agrees(data)
            for name, happened in tried(data, decoder, turn):
                watched.done[name] += happened
    print(json.dumps(watched.done))


if __name__ == "__main__":
    main(sys.argv[1])
