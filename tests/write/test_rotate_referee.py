"""What exiftool sees in photos whose pixels were turned, drawn ones and the corpus."""

import re
from collections import Counter
from pathlib import Path

import pytest
from support.referee import HAS_EXIFTOOL, read_tags, wrong_tags
from support.turnable_jpegs import BLOCKS, Recipe, draw, needs_turbojpeg, rotated, same_coefficients

from orientd import formats
from orientd.errors import Refused
from orientd.records import Format
from orientd.write import rotate

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

pytestmark = [needs_turbojpeg, pytest.mark.skipif(not HAS_EXIFTOOL, reason="exiftool is not installed")]


@pytest.fixture(scope="module")
def rotator():
    return rotate.Rotator()


def test_exiftool_sees_no_tag_changed_but_those_meant(rotator, tmp_path):
    recipes = [Recipe(stored=stored, sampling=sampling) for stored in (1, 6, 7, None) for sampling in BLOCKS]
    recipes += [Recipe(progressive=True), Recipe(behind_thumbnail=b"something else"), Recipe(thumbnail=False, trailer=b"end")]
    jobs = [(draw(recipe), by) for recipe in recipes for by in (3, 6, 7)]
    names = [tmp_path / f"{number}-{when}.jpg" for number in range(len(jobs)) for when in ("old", "new")]
    for number, (data, by) in enumerate(jobs):
        names[2 * number].write_bytes(data)
        names[2 * number + 1].write_bytes(rotated(rotator, data, by))
    tags = read_tags(names)
    for number, (_, by) in enumerate(jobs):
        before, after = tags[2 * number : 2 * number + 2]
        assert wrong_tags(before, after, by) == [], (number, by)
        assert not [key for key in after if "Warning" in key or "Error" in key], after
    assert wrong_tags(tags[0], tags[0] | {"EXIF:IFD0:Make": Counter()}, 3)
    assert wrong_tags(tags[0], tags[0], 6)


needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of difficult files is not here")


@pytest.mark.slow
@needs_corpus
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_the_corpus_is_turned_without_loss_or_refused(rotator, tmp_path):
    reasons, jobs = Counter(), []
    for path in sorted(CORPUS.glob("*.[jm]p*")):
        data = path.read_bytes()
        for by in (5, 6, 8):
            try:
                turned = rotated(rotator, data, by) if formats.sniff(data) is Format.JPEG else b""
            except Refused as error:
                reasons[re.sub(r" \(.*| at byte .*", "", str(error))] += 1
                continue
            if turned:
                assert same_coefficients(data, turned, by), path
                names = [tmp_path / f"{path.stem}-{by}-{when}.jpg" for when in ("old", "new")]
                names[0].write_bytes(data)
                names[1].write_bytes(turned)
                jobs.append((by, *names))
    tags = read_tags(name for _, *names in jobs for name in names)
    for (by, _, name), before, after in zip(jobs, tags[::2], tags[1::2], strict=True):
        assert wrong_tags(before, after, by) == [], name
        assert [key for key in after if "Warning" in key and key not in before] == [], name
    print(f"{len(jobs)} turned; refused: {dict(reasons)}")
    assert len(jobs) >= 20
