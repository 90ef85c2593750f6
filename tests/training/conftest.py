"""Training sets malloc for good, which must not reach the tests that come later: some ask for gigabytes that nobody touches."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _malloc_stays_as_it_is(request, monkeypatch):
    devices = sys.modules.get("orientd_training.fit.devices")
    if devices and not request.node.get_closest_marker("alone"):
        monkeypatch.setattr(devices, "keep_memory", lambda: True)
