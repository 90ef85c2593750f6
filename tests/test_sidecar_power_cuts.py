"""Every state in which a power cut may leave a sidecar that is made, changed or removed: the next run finds old or new."""

import pytest
import test_power_cuts
import test_sidecar_disk
from test_power_cuts import CHANGING, cuts, every_deed
from test_sidecar_disk import every_kind


class Cut(test_sidecar_disk.Scene, test_power_cuts.Cut):
    """A photo that is never written and its sidecar, on a disk that loses its power."""


@pytest.fixture
def scene(tmp_path, kind):
    return Cut(tmp_path, kind)


@every_kind
@every_deed
def test_a_power_cut_leaves_a_sidecar_old_or_new(scene, deed):
    seen = set()
    for left in cuts(scene.begin(deed), scene.events(deed)):
        scene.put(left)
        scene.check_whole()
        seen.add(scene.held())
        scene.check_recoveries(cuts(scene.start(), scene.events("recover")))
    assert seen == {"old", "new"}


@pytest.mark.parametrize("kind", ["made"])
@every_deed
def test_a_kill_and_a_power_cut_in_the_next_run_leave_a_sidecar_old_or_new(scene, deed):
    scene.begin(deed)
    log = scene.steps(deed)
    for at in (at for at in range(1, len(log)) if log[at - 1] in (*CHANGING, "unlink")):
        start = scene.begin(deed)
        before = scene.killed(deed, at)
        scene.check_recoveries(cuts(start, before + scene.events("recover"), since=len(before)))
