"""Every state in which a power cut may leave a sidecar that is made, changed or removed: the next run finds old or new."""

import pytest
from power import test_volatile_disk
from power.test_volatile_disk import CHANGING, every_deed
from write import test_sidecar_on_disk
from write.test_sidecar_on_disk import every_kind


class Cut(test_sidecar_on_disk.Scene, test_volatile_disk.Cut):
    """A photo that is never written and its sidecar, on a disk that loses its power."""


@pytest.fixture
def scene(tmp_path, kind):
    return Cut(tmp_path, kind)


@every_kind
@every_deed
def test_a_power_cut_leaves_a_sidecar_old_or_new(scene, deed):
    scene.check_cuts(deed)


@pytest.mark.parametrize("kind", ["made"])
@every_deed
def test_a_kill_and_a_power_cut_in_the_next_run_leave_a_sidecar_old_or_new(scene, deed):
    scene.check_kills(deed, (*CHANGING, "unlink"))
