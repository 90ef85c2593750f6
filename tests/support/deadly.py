"""Photos that do to a process what is written behind their end, whichever process decodes them: a stand-in for hostile bytes."""

import os
from pathlib import Path

from PIL import Image
from support import sky_library

# Python runs this in every process that finds it, so in the children of orientd, too.
STAND_IN = """
import ctypes, os, signal, sys

OF_RAY = ("ray.util.client.server", "/ray/dashboard/", "/ray/_private/runtime_env/")

def patch():
    from orientd.infer import engine as infer
    from orientd.decode import cpu
    decode, second_reader, spoilt, look = cpu.CpuDecoder.decode, cpu.second_reader, [], infer.Engine.look

    def die(data, of):
        deed = data.rpartition(b"DEADLY:")[2].decode() if b"DEADLY:" in data[-20:] else ""
        if spoilt:
            os.abort()
        if deed == "spoil":
            spoilt.append(True)
        if deed == "crash" or deed == of:
            ctypes.string_at(0)
        if deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(self, photo, *, whole=True):
        die(photo.data, "decode")
        return decode(self, photo, whole=whole)

    def deadly_second_reader(data):
        die(data, "second_reader")
        return second_reader(data)

    def deadly_look(self, pixels):
        if any(each[..., 0].min() > 200 and each[..., 1:].max() < 50 for each in pixels):
            ctypes.string_at(0)
        return look(self, pixels)

    cpu.CpuDecoder.decode, cpu.second_reader, infer.Engine.look = deadly, deadly_second_reader, deadly_look
    import atexit
    atexit.register(lambda: spoilt and os.abort())

# Not in Ray's own processes: they fork, and what is loaded with orientd brings threads, with which a fork may hang.
if "DEADLY" in os.environ and not any(part in word for word in sys.orig_argv for part in OF_RAY):
    patch()
"""


def stand_in(folder):
    """The environment in which photos are deadly."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(STAND_IN)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    return {"PYTHONPATH": path, "DEADLY": "1"}


def draw_red(path):
    """A photo of nothing but red, which crashes whoever looks at it with a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (96, 64), (255, 0, 0)).save(path, "JPEG")
    return path


def draw(path, deed, turn=90):
    """A landscape that needs `turn` and does `deed`: crash or kill when it is decoded or seen by the other reader, decode or
    second_reader: crash at that alone, spoil: crash at the next photo, or at the end."""
    sky_library.draw(path, turn)
    with Path(path).open("ab") as file:
        file.write(f"DEADLY:{deed}".encode())
    return path
