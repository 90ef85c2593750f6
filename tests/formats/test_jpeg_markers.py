"""The table of JPEG markers against the one in Pillow, which others wrote."""

from PIL.JpegImagePlugin import MARKER

from orientd.formats import jpeg_markers
from orientd.formats.jpeg_markers import AFTER_SCAN, APP, EOI, FRAMES, SOI

PILLOW = {name: code & 0xFF for code, (name, *_) in MARKER.items()}
PROCESSES = {"BASELINE": "SOF0", "EXTENDED": "SOF1", "PROGRESSIVE": "SOF2", "LOSSLESS": "SOF3", "LOSSLESS_ARITHMETIC": "SOF11"}


def test_every_marker_has_its_number():
    ours = {name: value for name, value in vars(jpeg_markers).items() if isinstance(value, int)}
    assert {PROCESSES.get(name, name): value for name, value in ours.items()}.items() <= PILLOW.items()
    assert (bytes((0xFF, PILLOW["SOI"])), bytes((0xFF, PILLOW["EOI"]))) == (SOI, EOI)


def test_kinds_of_markers_are_whole():
    assert {value for name, value in PILLOW.items() if name.startswith("SOF")} == FRAMES
    assert {value for name, value in PILLOW.items() if name.startswith("APP")} == set(APP)


def test_the_data_of_a_scan_ends_at_any_marker_but_a_restart():
    ends = {code for code in range(256) if AFTER_SCAN.fullmatch(bytes((0xFF, code)))}
    stuffed_or_filled, restarts = {0x00, 0xFF}, {value for name, value in PILLOW.items() if name.startswith("RST")}
    assert ends == set(range(256)) - stuffed_or_filled - restarts
