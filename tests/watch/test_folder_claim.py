"""Who watches what, among real processes: other folders, other users, sudden deaths."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from orientd.errors import StateError
from orientd.watch import folder_claim
from orientd.watch.folder_claim import Claim

NOBODY = 65534
CHILD = """
import os, signal, sys
from orientd.watch.folder_claim import Claim
from orientd.errors import StateError

signal.alarm(600)  # whatever happens, nobody waits for it for ever
os.setuid(int(sys.argv.pop(1)))
sys.stdin.readline()
try:
    claim = Claim(sys.argv[1:])
except StateError as error:
    print(error, flush=True)
else:
    print("claimed", flush=True)
    sys.stdin.read()
"""


@contextmanager
def child(*roots, user=None):
    """A process that claims `roots` once it is told a line, and keeps them until its input ends."""
    command = [sys.executable, "-c", CHILD, str(user or os.getuid()), *map(str, roots)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def claimed(*roots, user=None):
    with child(*roots, user=user) as process:
        process.stdin.write("\n")
        assert process.stdout.readline() == "claimed\n"
        yield process


@pytest.fixture
def tree(tmp_path):
    for name in ("photos/2024/may", "photos/2023", "photos 2"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "photos" / "2024")
    return tmp_path


@pytest.mark.parametrize(
    ("mine", "told"),
    [
        ("photos/2024", "photos/2024"),
        ("photos/2024/", "photos/2024"),
        ("link", "photos/2024"),
        ("link/may", "photos/2024"),
        ("photos/2024/may", "photos/2024"),
        ("photos/2024/none/yet", "photos/2024"),
        ("photos", "a folder below {}/photos"),
        ("", "a folder below {}"),
        ("photos/2023", None),
        ("photos 2", None),
        ("photos/2024 2", None),
        ("photos/none", None),
    ],
)
def test_a_folder_is_watched_by_one_process(tree, mine, told):
    with claimed(tree / "photos" / "2024") as other:
        for roots in ([f"{tree}/{mine}"], [str(tree / "photos 2"), f"{tree}/{mine}"]):
            if told is None:
                Claim(roots).close()
                continue
            where = told.format(tree) if "{}" in told else f"{tree}/{told}"
            with pytest.raises(StateError) as refused:
                Claim(roots)
            assert str(refused.value).startswith(f"another orientd is watching {where} (process {other.pid}): stop it")
            assert [pid for _, _, pid in folder_claim._claims()].count(str(os.getpid())) == 0, "nothing is left of it"


def test_a_folder_named_by_a_link_or_not_there_yet_is_known_by_its_place(tree):
    with claimed(tree / "link", tree / "photos" / "none"):
        for path in ("photos/2024", "photos/none/a"):
            with pytest.raises(StateError):
                Claim([str(tree / path)])


def test_folders_of_one_process_may_lie_in_each_other(tree):
    roots = [str(tree / name) for name in ("photos", "photos/2024", "link", "photos")]
    with Claim(roots), child(*roots) as other:
        other.stdin.write("\n")
        assert f"(process {os.getpid()})" in other.stdout.readline()


@pytest.mark.parametrize("end", ["close", "kill"])
def test_a_claim_ends_with_its_process_however_that_ends(tree, end):
    with claimed(tree / "photos") as other:
        if end == "kill":
            other.kill()
        else:
            other.stdin.close()
        other.wait(600)
        with Claim([str(tree / "photos")]):
            assert [pid for _, _, pid in folder_claim._claims()].count(str(os.getpid())) == 1 + len(tree.parts)


def test_of_many_that_start_at_once_never_do_two_go_on(tree):
    with claimed(tree / "photos 2"), child(tree / "photos") as one, child(tree / "photos") as two, child(tree) as three:
        for each in (one, two, three):
            each.stdin.write("\n")
        answers = [each.stdout.readline() for each in (one, two, three)]
        assert "claimed\n" not in answers[2:]
        assert answers.count("claimed\n") <= 1
        assert all(answer.startswith(("claimed", "another orientd is watching")) for answer in answers)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_other_users_are_noticed(tree):
    with claimed(tree / "photos", user=NOBODY) as other, pytest.raises(StateError, match=f"process {other.pid}"):
        Claim([str(tree / "photos")])
    with Claim([str(tree / "photos")]), child(tree / "photos" / "2024", user=NOBODY) as other:
        other.stdin.write("\n")
        assert f"(process {os.getpid()})" in other.stdout.readline()


def test_nothing_is_written_and_nothing_kept_open_in_the_library(tree):
    def state():
        found = [(path, os.lstat(path)) for path in sorted(tree.rglob("*"))]
        return [(path, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found]

    before = state()
    with Claim([str(tree / "photos")]):
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        opened = [os.readlink(link) for link in links if os.path.lexists(link)]
        assert [path for path in opened if path.startswith(str(tree))] == [], "its disk can be unmounted"
        assert state() == before


def test_another_tree_of_folders_is_another_library(tree, monkeypatch):
    """A container that shares the network of the machine, and has a folder of the same name."""
    with claimed(tree / "photos"):
        with pytest.raises(StateError):
            Claim([str(tree / "photos")])
        elsewhere = os.stat(tree)
        monkeypatch.setattr(folder_claim, "_tree", lambda: (elsewhere.st_dev, elsewhere.st_ino))
        Claim([str(tree / "photos")]).close()


def test_without_proc_it_goes_on_and_without_sockets_it_says_so(tree, monkeypatch):
    with claimed(tree / "photos"):
        monkeypatch.setattr(folder_claim, "_LISTED", str(tree / "none"))
        Claim([str(tree / "photos")]).close()

    def refuse(*_):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(folder_claim.socket, "socket", refuse)
    with pytest.raises(StateError, match="not supported"):
        Claim([str(tree / "photos")])
