"""What exiftool sees in PNGs and WebPs whose pixels were turned."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from support import any_depth_png
from support.png_webp_tiff_files import png_chunk, png_xmp
from support.referee import HAS_EXIFTOOL, read_tags, wrong_tags
from write import test_rotate_png as pngs
from write import test_rotate_webp as webps

from orientd import formats, orientation
from orientd.errors import Refused
from orientd.records import Format
from orientd.write import rotate

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")


def drawings():
    """PNGs of all kinds and WebPs, with all the metadata that a turn keeps."""
    for stored in (1, 6, 7, None):
        told = [png_chunk(b"eXIf", pngs.exif_of(stored)), png_xmp(pngs.packet(stored)), png_chunk(b"pHYs", bytes(7) + b"\1\1")]
        for kind in any_depth_png.KINDS:
            others = [chunk for chunk in pngs.OTHERS if chunk[4:8] != b"tRNS"]
            yield any_depth_png.encoded(any_depth_png.drawn(kind, 13, 7), kind, before=[*others, *told])
        yield webps.extended(webps.drawn(), stored)
        yield webps.extended(webps.drawn(alpha=False), stored)


def test_exiftool_sees_no_tag_changed_but_those_meant(tmp_path):
    rotator = rotate.Rotator(jpeg=False)
    jobs = [(data, by) for data in drawings() for by in (3, 6, 7)]
    names = [tmp_path / f"{number}-{when}" for number in range(len(jobs)) for when in ("old", "new")]
    for number, (data, by) in enumerate(jobs):
        names[2 * number].write_bytes(data)
        names[2 * number + 1].write_bytes(rotator.plan(formats.sniff(data), data, by).apply(data))
    tags = read_tags(names)
    for number, (_, by) in enumerate(jobs):
        before, after = tags[2 * number : 2 * number + 2]
        assert wrong_tags(before, after, by) == [], (number, by)
        assert not [key for key in after if ("Warning" in key or "Error" in key) and key not in before], after
    assert wrong_tags(tags[0], tags[0] | {"EXIF:IFD0:Make": Counter()}, 3)
    assert wrong_tags(tags[0], tags[0], 6)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of difficult files is not here")
def test_the_corpus_is_turned_without_loss_or_refused():
    rotator, counts = rotate.Rotator(jpeg=False), Counter()
    for path in sorted(CORPUS.glob("*.png")) + sorted(CORPUS.glob("*.webp")):
        data = path.read_bytes()
        read = any_depth_png.decoded if formats.sniff(data) is Format.PNG else webps.decoded
        try:
            after = rotator.plan(formats.sniff(data), data, 6).apply(data)
        except Refused as error:
            counts[str(error)] += 1
            continue
        counts["turned"] += 1
        assert np.array_equal(orientation.apply(read(data), 6), read(after)), path
    assert sum(counts.values()) >= 1, counts
