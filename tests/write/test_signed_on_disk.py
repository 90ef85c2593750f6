"""The sidecar of a signed photo while the disk fails, the process dies or the power is cut: that of any photo never written."""

import pytest
from power import test_volatile_disk
from power.test_volatile_disk import every_deed
from support import signed_files
from write import test_sidecar_on_disk
from write.test_sidecar_on_disk import (  # noqa: F401
    every_kind,
    test_a_kill_at_any_step_leaves_old_or_new_and_the_next_run_finishes,
    test_a_sidecar_that_another_program_makes_meanwhile_is_not_replaced,
    test_any_call_that_fails_leaves_old_or_new_and_says_which,
)

from orientd.formats import c2pa
from orientd.records import Format


class Cut(test_sidecar_on_disk.Scene, test_volatile_disk.Cut):
    """A signed JPEG and its sidecar, on a disk that loses its power."""


@pytest.fixture(autouse=True)
def _a_signed_photo(monkeypatch):
    photo = signed_files.photo("JPEG")
    assert c2pa.is_signed(Format.JPEG, photo)
    monkeypatch.setattr(test_sidecar_on_disk, "GIF", photo)


@pytest.fixture
def scene(tmp_path, kind):
    return Cut(tmp_path, kind)


@every_kind
@every_deed
def test_a_power_cut_leaves_it_old_or_new(scene, deed):
    scene.check_cuts(deed)
