"""No header of a JPEG makes a library write behind the buffer that it was given.

Thousands of files whose headers lie go through the decoders and the libraries in use, in a child process whose buffers end at a
page that must not be touched. The slower search with AddressSanitizer is done by hand; see the design decisions.
"""

import json
import os
import pickle
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import simplejpeg
from PIL import Image
from support import guarded_decoding, jpeg_frames, jpeg_frames_mutated, thumbnail_jpegs
from support.decodable_photos import scene
from support.jpeg_files import app1

from orientd.formats import jpeg_frame

CHILD = Path(__file__).parents[1] / "support" / "guarded_decoding.py"
PER_CHILD, CHILDREN = 1000, 4


def run(manner, files=()):
    """What the child said, and with which signal it died: 0 for none."""
    command = [sys.executable, "-X", "faulthandler=0", CHILD, manner]
    done = subprocess.run(command, input=pickle.dumps(list(files)), capture_output=True, timeout=600, check=False)
    assert done.returncode <= 0, done.stderr.decode()[-2000:]
    return done.stdout.decode().split("\n"), -done.returncode


def test_a_byte_too_many_kills_the_child():
    assert run("beyond") == (["within", ""], signal.SIGSEGV)


def test_the_child_notices_that_a_smaller_picture_is_asked_of_a_lossless_jpeg():
    """Which is what happened before frame headers were looked at."""
    samples = scene(400, 300)
    data = jpeg_frames.lossless(samples)
    if _is_refused(data, bytearray(samples.size)):
        pytest.skip("this simplejpeg refuses, as libjpeg-turbo does from 3.1.4 on")
    said, died_of = run("trusting", [data])
    assert (said, died_of) == (["0", ""], signal.SIGSEGV)


def _is_refused(data, room):
    """Asked with `room` for the whole picture, so that nothing is written behind it."""
    try:
        simplejpeg.decode_jpeg(data, "RGB", min_height=24, min_width=24, buffer=room)
    except ValueError:
        return True
    return False


def test_the_child_notices_that_pillow_is_asked_for_a_smaller_picture_of_a_lossless_jpeg():
    """Of its upper rows, where it has a thumbnail: of one that is too small to be reduced as a whole."""
    small = thumbnail_jpegs.encoded(Image.fromarray(scene(160, 120)))
    data = b"\xff\xd8" + app1(thumbnail_jpegs.exif(small)) + jpeg_frames.lossless(scene(28, 21))[2:]
    for manner, astray in (("trusting", 1), ("as it is", 0)):
        said, died_of = run(manner, [data])
        assert (json.loads(said[-2])["astray"], died_of) == (astray, 0)


def test_other_sides_than_pillow_finds_are_noticed(monkeypatch):
    data = jpeg_frames_mutated.sound()[0]
    assert guarded_decoding.agrees(data)
    with monkeypatch.context() as other:
        other.setattr(simplejpeg, "decode_jpeg_header", lambda data, **how: (60, 81, "YCbCr", "444"))
        assert not guarded_decoding.agrees(data)
    with monkeypatch.context() as other:
        other.setattr(jpeg_frame, "only", lambda data, only=jpeg_frame.only: only(data)._replace(height=61))
        assert not guarded_decoding.agrees(data)


@pytest.mark.parametrize("seed", range(CHILDREN))
def test_no_header_makes_a_decoder_write_too_much(seed):
    chance = random.Random(None if "ORIENTD_FUZZ" in os.environ else seed)
    files = jpeg_frames_mutated.sound() + [jpeg_frames_mutated.mutated(chance) for _ in range(PER_CHILD)]
    said, died_of = run("as it is", files)
    assert not died_of, f"{signal.Signals(died_of).name}: {files[int(said[-2])].hex()}"
    done = json.loads(said[-2])
    assert (done["disagree"], done["astray"]) == (0, 0)
    assert min(done["reduced"], done["whole"], done["draft"], done.get("turned", 1)) > 0, done
