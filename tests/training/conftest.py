"""Training sets malloc for good, which must not reach the tests that come later: some ask for gigabytes that nobody touches."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def _malloc_stays_as_it_is():
    """Of the session, so that it comes before every fixture that trains; a test in a process of its own may set malloc."""
    try:
        from orientd_training.fit import devices
    except ImportError:  # without the extra `train` nothing is trained
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        if "TEST_ALONE" not in os.environ:
            patch.setattr(devices, "keep_memory", lambda: True)
        yield
