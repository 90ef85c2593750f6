"""Without the extra `train` what needs it is skipped. With it, nothing that training does to its process reaches other tests."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

HAS_TRAINING = find_spec("torch") is not None


class _NeedsTraining(pytest.Module):
    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        try:
            return super().collect()
        except self.CollectError as error:
            if isinstance(error.__cause__, ModuleNotFoundError):
                pytest.skip(f"needs the extra 'train': {error.__cause__}", allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return None if HAS_TRAINING else _NeedsTraining.from_parent(parent, path=module_path)


@pytest.fixture(scope="session", autouse=True)
def _malloc_stays_as_it_is():
    """Training sets malloc for good, but some of the tests that come later ask for gigabytes that nobody touches.

    Of the session, so that it comes before every fixture that trains; a test in a process of its own may set malloc.
    """
    if not HAS_TRAINING:
        yield
        return
    from orientd_training.fit import devices

    with pytest.MonkeyPatch.context() as patch:
        if "TEST_ALONE" not in os.environ:
            patch.setattr(devices, "keep_memory", lambda: True)
        yield
