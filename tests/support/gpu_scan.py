"""What the tests of the GPU road share: photos of one grey each, stand-ins for decoders and engines, a scan without a GPU."""

from functools import partial

import numpy as np
from support import sky_library
from support.fake_dali import FAULTS, FakePipeline, grey, photo
from support.onnx_graphs import SIZE

from orientd.decode import dali
from orientd.decode.cpu import CpuDecoder
from orientd.gpu import pool as cards

BATCH = 4
LOST = RuntimeError("CUDA error: unspecified launch failure")
PHOTOS = [photo(grey(level), path=str(level)) for level in range(10, 250, 10)]
CPU = CpuDecoder(SIZE)


class Decoder:
    """A stand-in for a batch decoder whose GPU has `room` bytes, chokes on the `bad` photos and breaks for good when told to."""

    batch, lanes = BATCH, 2

    def __init__(self, room=2**40, bad=(), size=SIZE):
        self.room, self.bad, self.broken, self.runs = room, {each.data for each in bad}, False, []
        self.inner = dali.DaliDecoder(size, BATCH, None, build=lambda: FakePipeline(size))

    def decode(self, photos):
        self.runs.append(len(photos))
        if self.broken:
            raise LOST
        if sum(3 * found.width * found.height for _, found in photos) > self.room:
            raise FAULTS["memory"]
        if any(held.data in self.bad for held, _ in photos):
            raise FAULTS["damage"]
        return self.inner.decode(photos)


class Breaking:
    """An engine that breaks for good when told to."""

    def __init__(self, engine):
        self.inner, self.broken, self.takes_pixels = engine, False, engine.takes_pixels

    def __getattr__(self, name):
        if self.broken:
            raise LOST
        return getattr(self.inner, name)


def expected(engine, photos):
    return [(CPU.decode(each).pixels, engine.look(CPU.decode(each).pixels[None])[0]) for each in photos]


def check(sights, engine, photos, left=()):
    """Each photo has its own picture and look, and just those in `left` have none."""
    assert len(sights) == len(photos)
    for each, sight, (pixels, look) in zip(photos, sights, expected(engine, photos), strict=True):
        assert (sight is None) == (each.path in left), each.path
        if sight:
            assert np.array_equal(sight[0].pixels, pixels)
            assert sight[1] == look
            assert (sight[0].width, sight[0].height) == (24, 16)


def on_the_cpu(monkeypatch, pipeline=None):
    """Let the GPU road run without a GPU: `pipeline` in place of DALI's, or DALI's own on the CPU."""
    monkeypatch.setattr(cards, "chosen", lambda gpus: [(None, "no GPU")] * (gpus.count(",") + 1))
    if pipeline:
        monkeypatch.setattr(dali, "_builder", lambda size, batch, device, threads: partial(pipeline, size))


def scanned(orientd, photos, report, *options):
    code = orientd("scan", photos, "--rescan", "--report", report, *options)
    return code, sky_library.rows(report)
