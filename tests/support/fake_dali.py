"""A stand-in for DALI's pipeline that can misbehave, and JPEGs of every kind it may be asked to decode."""

from io import BytesIO

import numpy as np
from PIL import Image
from support.decodable_photos import exif, scene

from orientd import orientation
from orientd.decode import dali
from orientd.decode.cpu import CpuDecoder
from orientd.decode.gpu_eligible import frame
from orientd.records import FileStat, Format, Photo


class Tensors:
    """What a pipeline gives back, as a list of tensors in the memory of the host."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)

    def as_cpu(self):
        return self

    def as_array(self):
        return self.values

    def as_tensor(self):
        return self

    def shape(self):
        return list(self.values.shape)

    def data_ptr(self):
        return self.values.ctypes.data


class FakePipeline:
    """Decodes as the CPU does, in the manner `conduct()` names at each run: see `MANNERS`. It is of no use after it failed."""

    def __init__(self, size, conduct=lambda: "well"):
        self.size, self.conduct = size, conduct
        self.before, self.failed = None, False
        self.turns = {dali._matrix(value, size).tobytes(): value for value in range(1, 9)}

    def run(self, data, numbers, turns):
        assert not self.failed, "a pipeline that failed was used again"
        manner = self.conduct()
        made = [self.decode(bytes(each), turn) for each, turn in zip(data, turns, strict=True)]
        now = np.stack([pixels for pixels, _ in made]), np.array(numbers), np.array([shape for _, shape in made])
        self.before, before = now, self.before
        return tuple(Tensors(each) for each in self.spoilt(manner, now, before))

    def decode(self, data, turn):
        value = self.turns[turn.tobytes()]
        picture = CpuDecoder(self.size).decode(Photo("", FileStat(0, 0, 0, 0), Format.JPEG, data, value, ""))
        return picture.pixels, (picture.height, picture.width, 3)

    def spoilt(self, manner, now, before):
        pixels, numbers, shapes = now
        if manner in FAULTS:
            self.failed = True
            raise FAULTS[manner]
        if manner == "late":
            return now if before is None else before
        if manner == "shuffled":
            return pixels[::-1], numbers[::-1], shapes[::-1]
        if manner == "short":
            return pixels[:-1], numbers[:-1], shapes[:-1]
        return now


FAULTS = {
    "damage": RuntimeError(
        "Critical error in pipeline:\nnvImageCodec failure: '#3'\nCurrent pipeline object is no longer valid."
    ),
    "memory": RuntimeError("CUDA runtime API error cudaErrorMemoryAllocation (2):\nout of memory"),
}
MANNERS = ("well", *FAULTS, "late", "shuffled", "short")


def jpeg(picture=None, stored=None, **options):
    file = BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(scene() if picture is None else picture)
    image.save(file, "JPEG", **{"quality": 95} | ({} if stored is None else {"exif": exif(stored)}) | options)
    return file.getvalue()


def photo(data, stored=None, kind=Format.JPEG, path="photo"):
    return Photo(path, FileStat(0, 0, len(data), 0), kind, data, stored, "ab" * 32)


def framed(data, stored=None):
    held = photo(data, stored)
    found = frame(held)
    assert found
    return held, found


def grey(level, width=24, height=16):
    """A JPEG of one grey level, which tells one photo from another."""
    return jpeg(Image.new("RGB", (width, height), (level,) * 3))


def noise(width, height, seed=0):
    """A photo-like picture: smooth, with some noise."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (9, 12, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return (np.asarray(coarse, np.float32) + random.normal(0, 6, (height, width, 1))).clip(0, 255).astype(np.uint8)


def with_frame(data, marker=0xC0, precision=8):
    """`data` with the marker and the precision of its frame changed."""
    place = data.index(b"\xff\xc0")
    return data[:place] + bytes([0xFF, marker]) + data[place + 2 : place + 4] + bytes([precision]) + data[place + 5 :]


def applied(pixels, value):
    return orientation.apply(pixels, orientation.normalise(value))
