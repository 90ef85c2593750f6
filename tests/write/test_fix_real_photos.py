"""Real photos through the real formats: fixed, seen by others, taken back."""

import hashlib
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from support import toy_container
from support.faulty_disks import leftovers
from support.kill_victim import draw, pillow_reads, undo_all

from orientd import formats
from orientd.files.write import fits_one_page
from orientd.records import Format, Row, Status
from orientd.write.fix import Fixer

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


journal = toy_container.journal


@pytest.fixture
def fixer(journal):
    return Fixer(journal, journal.start_run("scan --fix"), formats, pillow_reads)


def fix(fixer, path, turn):
    return fixer.fix(Row(str(path), turn=turn, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))


def shown(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image))


def test_the_four_drawings_take_the_four_ways():
    plans = [formats.plan(Format.JPEG, draw(number), 6) for number in range(4)]
    assert [fits_one_page(plan) for plan in plans] == [True, False, False, False]
    assert [plan.keeps_length for plan in plans] == [True, False, False, True]
    assert [len(plan.splices) for plan in plans] == [1, len(plans[1].splices), 1, 2]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_photo_is_shown_turned_and_given_back(fixer, journal, tmp_path, number, turn):
    path, data = tmp_path / "photo.jpg", draw(number)
    path.write_bytes(data)
    outcome = fix(fixer, path, turn)
    assert (outcome.status, outcome.reason) == (Status.FIXED, "")
    assert np.array_equal(shown(path.read_bytes()), np.rot90(shown(data), -turn // 90))
    assert not np.array_equal(shown(path.read_bytes()), shown(data))
    assert fix(fixer, path, 0).status is Status.UNCHANGED
    assert [outcome.status for outcome in undo_all(journal)] == [Status.FIXED]
    assert path.read_bytes() == data


def test_a_container_that_cannot_be_written_is_left_alone(fixer, tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (8, 8)).save(path, "BMP")
    data = path.read_bytes()
    outcome = fix(fixer, path, 90)
    assert (outcome.status, "cannot be written" in outcome.reason) == (Status.FAILED, True)
    assert path.read_bytes() == data


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of difficult files is not here")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_every_file_of_the_corpus_is_changed_as_planned_or_refused_and_given_back(fixer, journal, tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(CORPUS, folder)
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    before = {path: (path.read_bytes(), os.stat(path).st_mtime_ns) for path in paths}
    outcomes = {path: fix(fixer, path, 90) for path in paths}
    fixed = [path for path in paths if outcomes[path].status is Status.FIXED]
    assert len(fixed) >= 20
    for path in paths:
        changed = path.read_bytes() != before[path][0]
        assert changed == (path in fixed), path
        assert changed or len(outcomes[path].reason) > 10
    for path in fixed:
        assert fix(fixer, path, 0).status is Status.UNCHANGED
    assert {outcome.status for outcome in undo_all(journal)} == {Status.FIXED}
    assert {path: (path.read_bytes(), os.stat(path).st_mtime_ns) for path in paths} == before
    assert leftovers(folder) == []
