"""How cameras say that they were held: each maker's way, moved notes, bytes of chance. exiftool is the referee."""

import json
import subprocess
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import noted_photos
from support.noted_photos import Taken
from support.seen_by_witnesses import SHARED

from orientd.formats import sniff
from orientd.formats.origin import origin
from orientd.records import Format

UPRIGHT, LEFT_DOWN, STANDING, RIGHT_DOWN = (-1, 1, 0, 1, 0, 1), (1, 1, 0, 1, 0, 1), (0, 1, -1, 1, 0, 1), (0, 1, 1, 1, 0, 1)
FRONT = "iPhone 13 front camera 2.71mm f/2.2"
CANON = Taken("Canon", "Canon EOS 40D")
PANASONIC = Taken("Panasonic", "DMC-LX7", order="<")
PENTAX = Taken("RICOH IMAGING COMPANY, LTD.", "PENTAX K-3 II", order="<")
SONY = Taken("SONY", "DSC-RX100", order="<")
OLYMPUS = Taken("OLYMPUS CORPORATION", "E-M1", order="<")

# The photo, what is read of it, and what exiftool calls that: tag and number.
HELD = {
    "apple level": (Taken(note=noted_photos.apple(*UPRIGHT)), 1, {"AccelerationVector": "-1 0 0"}),
    "apple upside down": (Taken(note=noted_photos.apple(*LEFT_DOWN)), 3, {"AccelerationVector": "1 0 0"}),
    "apple standing": (Taken(note=noted_photos.apple(*STANDING)), 6, {"AccelerationVector": "0 -1 0"}),
    "apple on its head": (Taken(note=noted_photos.apple(*RIGHT_DOWN)), 8, {"AccelerationVector": "0 1 0"}),
    "apple flat": (Taken(note=noted_photos.apple(0, 1, -2, 5, -9, 10)), None, {"AccelerationVector": "0 -0.4 -0.9"}),
    "apple askew": (Taken(note=noted_photos.apple(-7, 10, -7, 10, 0, 1)), None, {"AccelerationVector": "-0.7 -0.7 0"}),
    "apple swung": (Taken(note=noted_photos.apple(0, 1, -2, 1, 0, 1)), None, {"AccelerationVector": "0 -2 0"}),
    "apple front": (Taken(lens=FRONT, note=noted_photos.apple(*UPRIGHT)), 3, {"LensModel": FRONT}),
    "apple front, turned": (Taken(lens=FRONT, note=noted_photos.apple(*LEFT_DOWN)), 1, {"LensModel": FRONT}),
    "apple front, standing": (Taken(lens=FRONT, note=noted_photos.apple(*STANDING)), 6, {"LensModel": FRONT}),
    "canon": (CANON._replace(note=noted_photos.canon(0, order=">")), 1, {"AutoRotate": 0}),
    "canon standing": (CANON._replace(note=noted_photos.canon(1, order=">")), 6, {"AutoRotate": 1}),
    "canon upside down": (CANON._replace(note=noted_photos.canon(2, order=">")), 3, {"AutoRotate": 2}),
    "canon other side": (CANON._replace(note=noted_photos.canon(3), order="<"), 8, {"AutoRotate": 3}),
    "panasonic": (PANASONIC._replace(note=noted_photos.panasonic(6)), 6, {"Rotation": 6}),
    "panasonic newer": (PANASONIC._replace(note=noted_photos.panasonic(1, 3)), 8, {"CameraOrientation": 3}),
    "panasonic up": (PANASONIC._replace(note=noted_photos.panasonic(1, 4)), None, {"CameraOrientation": 4}),
    "panasonic in a block of the other order": (
        PANASONIC._replace(note=noted_photos.panasonic(8), order=">"),
        8,
        {"Rotation": 8},
    ),
    "panasonic big-endian": (PANASONIC._replace(note=noted_photos.panasonic(3, order=">"), order=">"), 3, {"Rotation": 3}),
    "pentax": (PENTAX._replace(note=noted_photos.pentax(0x23)), 6, {"LevelOrientation": 3}),
    "pentax off level": (PENTAX._replace(note=noted_photos.pentax(0x0C)), 8, {"LevelOrientation": 12}),
    "pentax down": (PENTAX._replace(note=noted_photos.pentax(14)), None, {"LevelOrientation": 14}),
    "pentax old header": (PENTAX._replace(note=noted_photos.pentax(2, old=True)), 3, {"LevelOrientation": 2}),
    "sony a": (SONY._replace(note=noted_photos.sony(0x0A, 0x28, 6)), 6, {"CameraOrientation": 6}),
    "sony b": (SONY._replace(note=noted_photos.sony(0x0C, 0x24, 8)), 8, {"CameraOrientation": 8}),
    "sony c": (SONY._replace(note=noted_photos.sony(0x26, 0x29, 3)), 3, {"CameraOrientation": 3}),
    "sony without a header": (SONY._replace(note=noted_photos.sony(0x31, 0x29, 1, headed=False)), 1, {"CameraOrientation": 1}),
    "olympus": (OLYMPUS._replace(note=noted_photos.olympus(-893)), 6, {"RollAngle": 89.3}),
    "olympus other side": (OLYMPUS._replace(note=noted_photos.olympus(900, om=True)), 8, {"RollAngle": -90}),
    "olympus level": (OLYMPUS._replace(note=noted_photos.olympus(123)), 1, {"RollAngle": -12.3}),
    "olympus askew": (OLYMPUS._replace(note=noted_photos.olympus(450)), None, {"RollAngle": -45}),
}
SILENT = {
    "no note": Taken(),
    "apple divided by nothing": Taken(note=noted_photos.apple(-1, 0, 0, 1, 0, 1)),
    "canon cannot tell": CANON._replace(note=noted_photos.canon(-1, order=">")),
    "canon before there was a sensor": CANON._replace(note=noted_photos.canon(0, length=20, order=">")),
    "canon, with something else where its numbers were": CANON._replace(note=noted_photos.canon(1, order=">", said=18)),
    "a note of Canon's from another camera": Taken(note=noted_photos.canon(1, order=">")),
    "panasonic of no known value": PANASONIC._replace(note=noted_photos.panasonic(2, 9)),
    "pentax without a level": PENTAX._replace(note=noted_photos.pentax(0)),
    "sony of an unknown kind": SONY._replace(note=noted_photos.sony(0x33, 0x29, 6)),
    "sony of no known value": SONY._replace(note=noted_photos.sony(0x26, 0x29, 5)),
    "olympus with its gauge off": OLYMPUS._replace(note=noted_photos.olympus(0, on=0)),
}


def held(data, kind=Format.JPEG):
    """What is read: an orientation, "cannot tell" or "nothing"."""
    found = origin(kind, data)
    return "nothing" if found is None or found.held is None else found.held.orientation or "cannot tell"


@pytest.mark.parametrize("name", HELD)
def test_how_a_camera_was_held(name):
    taken, orientation, _ = HELD[name]
    found = origin(Format.JPEG, noted_photos.jpeg(taken))
    assert found[:3] == (taken.make, taken.model, taken.software)
    assert found.held is not None
    assert found.held.orientation == orientation


@pytest.mark.parametrize("name", SILENT)
def test_a_camera_that_does_not_say(name):
    assert held(noted_photos.jpeg(SILENT[name])) == "nothing"


@pytest.mark.skipif(not which("exiftool"), reason="exiftool is not installed")
def test_exiftool_reads_the_same_in_the_notes_drawn_here(tmp_path):
    for number, (taken, _, _) in enumerate(HELD.values()):
        (tmp_path / f"{number:02}.jpg").write_bytes(noted_photos.jpeg(taken))
    done = subprocess.run(["exiftool", "-j", "-n", "-q", tmp_path], capture_output=True, check=True, text=True)
    read = {row["FileName"]: row for row in json.loads(done.stdout)}
    for number, (name, (_, _, tags)) in enumerate(HELD.items()):
        assert {tag: read[f"{number:02}.jpg"].get(tag) for tag in tags} == tags, name


def test_a_value_outside_the_note_is_none():
    """As where a program that wrote EXIF anew left the offsets in the note as they were."""
    for name in ("apple level", "canon", "pentax old header", "sony a"):
        taken = HELD[name][0]
        cut = taken._replace(note=lambda place, whole=taken.note: whole(place)[:-4])
        assert held(noted_photos.jpeg(cut)) == "nothing", name


@given(
    st.sampled_from(sorted(HELD)),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=12),
    st.integers(0, 5000),
)
def test_bytes_of_chance_are_no_fault(name, changes, cut):
    data = bytearray(noted_photos.block(HELD[name][0]))
    for place, value in changes:
        data[place % len(data)] = value
    for piece in (bytes(data), bytes(data[: cut % len(data)])):
        assert held(piece, Format.TIFF) in ("nothing", "cannot tell", 1, 3, 6, 8)


@given(st.binary(max_size=200), st.sampled_from([taken for taken, _, _ in HELD.values()]))
def test_a_note_of_chance_is_no_fault(tail, taken):
    header = taken.note(0)[:16]
    assert held(noted_photos.jpeg(taken._replace(note=lambda _: header + tail))) in ("nothing", "cannot tell", 1, 3, 6, 8)


@pytest.mark.skipif(not (which("exiftool") and (SHARED / "corpus").is_dir()), reason="exiftool or the corpus is not here")
def test_real_files_say_what_exiftool_reads():
    tags = ["-AccelerationVector", "-AutoRotate", "-Panasonic:Rotation", "-Panasonic:CameraOrientation", "-LevelOrientation"]
    done = subprocess.run(["exiftool", "-j", "-n", "-q", *tags, SHARED / "corpus"], capture_output=True, check=False, text=True)
    read = {row.pop("SourceFile"): row for row in json.loads(done.stdout)}
    said = {}
    for path, row in read.items():
        data = Path(path).read_bytes()
        said[path.rpartition("/")[2]] = now = held(data, sniff(data))
        assert row or now == "nothing", path
    assert {name: said[name] for name in ("iphone-7.heic", "panasonic-lz2.jpg")} == {"iphone-7.heic": 6, "panasonic-lz2.jpg": 6}
