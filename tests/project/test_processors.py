"""`workers` defaults to the processors that this process may use, not to those of the machine."""

import os

import pytest

from orientd.config import processors


@pytest.fixture
def group(tmp_path, monkeypatch):
    """(own, root) of a process in the control group a/b on 16 processors, and a function that sets the quota of a group."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    own, root = tmp_path / "cgroup", tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    own.write_text("0::/a/b\n")
    return own, root, lambda name, quota: (root / name / "cpu.max").write_text(quota)


def test_without_a_quota_the_affinity_decides(group):
    own, root, limit = group
    limit("a/b", "max 100000\n")
    assert processors.available(own, root) == 16


@pytest.mark.parametrize(
    ("name", "quota", "expected"),
    [("a/b", "400000 100000\n", 4), ("a", "150000 100000\n", 2), (".", "20000 100000\n", 1), ("a/b", "9900000 100000\n", 16)],
)
def test_the_least_quota_of_the_group_and_those_above_it_decides(group, name, quota, expected):
    own, root, limit = group
    limit(name, quota)
    assert processors.available(own, root) == expected


def test_a_file_above_the_mount_limits_nothing(group, tmp_path):
    own, root, _ = group
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert processors.available(own, root) == 16


@pytest.mark.parametrize("content", ["", "rubbish\n", "max\n", "100000 0\n", "-1 100000\n"])
def test_what_cannot_be_read_limits_nothing(group, content):
    own, root, limit = group
    limit("a/b", content)
    assert processors.available(own, root) == 16


def test_without_control_groups_of_version_2(group, tmp_path):
    assert processors.available(tmp_path / "none", tmp_path) == 16


def test_of_this_process():
    assert 1 <= processors.available() <= len(os.sched_getaffinity(0))
