"""What a process has in hand is on disk, for the next one to find once it is dead and not before; what is left out stays so."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orientd.errors import StateError
from orientd.records import FileStat
from orientd.state import in_hand
from orientd.state.in_hand import DECODING, Hand, Held, named, read_hand, stat_of

PATHS = some.binary(min_size=1, max_size=4095).filter(lambda path: b"\0" not in path).map(os.fsdecode)
NUMBERS = some.integers(0, 2**64)

HOLDER = """
import os, signal, sys
from orientd.state.in_hand import Hand, Held
hand = Hand(sys.argv[1])
with hand.holding([Held("/done.jpg", 1, 2, 3)]):
    pass
files = [Held("/a.jpg", 1, 2, 3), Held("/b.jpg", 4, 5, 6, 90, "rotate")]
with hand.holding(files), hand.holding(files[:1], "decoding"):
    print("holds", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), int(sys.argv[2]))
"""


class Holder:
    """A process that has some files in hand until it dies of a signal."""

    def __init__(self, state, number):
        command = [sys.executable, "-c", HOLDER, str(state), str(int(number))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"holds\n"

    def die(self):
        self.process.communicate()
        return self.process.returncode


def left_behind(hand):
    with hand.left_behind() as found:
        return found


@given(PATHS, NUMBERS, NUMBERS, some.integers(-(2**63), 2**63), some.sampled_from([0, 90, 180, 270]), some.text("abc: ’é"))
def test_what_is_noted_is_read_again(path, inode, size, mtime_ns, turn, remark):
    held = Held(path, inode, size, mtime_ns, turn, "rotate")
    data = held.encoded(remark)
    assert Held.decoded(data + b"rest of what stood there\0before") == (held, remark)
    assert Held.decoded(b"\0" + data[1:]) is None, "taken away"


@given(some.binary(max_size=300), some.integers(0, 300))
def test_whatever_stands_there_is_read_without_a_fault(data, cut):
    for each in (data, Held("/a.jpg", 1, 2, 3).encoded()[:cut] + data):
        found = Held.decoded(each)
        assert found is None or found[0].path


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_what_a_process_has_in_hand_is_found_once_it_is_dead(tmp_path, number):
    holder = Holder(tmp_path, number)
    with Hand(tmp_path) as hand, hand.holding([Held("/mine.jpg", 1, 1, 1)]):
        assert left_behind(hand) == [], "it lives, and so does this one"
        assert holder.die() == -number
        first, *rest = left_behind(hand)
        assert first == (Held("/a.jpg", 1, 2, 3), DECODING)
        assert rest == [(Held("/a.jpg", 1, 2, 3), ""), (Held("/b.jpg", 4, 5, 6, 90, "rotate"), "")]
        assert left_behind(hand) == [], "once is enough"
    assert list((tmp_path / "in-hand").iterdir()) == []


def test_what_was_found_stays_if_it_could_not_be_dealt_with(tmp_path):
    Holder(tmp_path, signal.SIGKILL).die()
    with Hand(tmp_path) as hand:
        with pytest.raises(RuntimeError), hand.left_behind() as found:
            raise RuntimeError
        assert left_behind(hand) == found != []


def test_only_one_of_two_gets_what_was_left_behind(tmp_path):
    Holder(tmp_path, signal.SIGKILL).die()
    with Hand(tmp_path) as one, Hand(tmp_path) as other, one.left_behind() as found:
        assert found
        assert left_behind(other) == []


def test_the_file_stays_as_small_as_what_was_in_hand_at_the_same_time(tmp_path):
    files = [Held(f"/{number}.jpg", 1, 2, 3) for number in range(8)]
    with Hand(tmp_path) as hand, ThreadPoolExecutor(3) as pool:

        def work(_):
            with hand.holding(files):
                return {held.path for held, _ in read_hand(hand._file)} >= {held.path for held in files}

        assert all(pool.map(work, range(300)))
        assert hand.path.stat().st_size <= 3 * 8 * 8192
        assert read_hand(hand._file) == []


def test_a_file_that_another_process_has_just_begun_is_left_alone(tmp_path):
    with Hand(tmp_path) as hand:
        begun = tmp_path / "in-hand" / ".begun-1-abc"
        begun.touch()
        assert left_behind(hand) == []
        assert begun.exists()


def test_what_is_left_out_stays_so_until_it_changes(tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"photo")
    os.utime(photo, ns=(1, 1))
    with Hand(tmp_path / "state") as hand:
        hand.leave_out(Held.of(str(photo), stat_of(str(photo))), "because")
        assert hand.left_out(str(photo), stat_of(str(photo))) == "because"
    stat = stat_of(str(photo))
    for changed in (FileStat(0, stat.inode + 1, 5, 1), FileStat(0, stat.inode, 6, 1), FileStat(0, stat.inode, 5, 2)):
        with Hand(tmp_path / "state") as hand:
            assert (
                hand.left_out(str(photo), FileStat(9, *[getattr(stat, name) for name in ("inode", "size", "mtime_ns")]))
                == "because"
            )
            assert hand.left_out(f"{photo}2", stat) == ""
            assert [held.path for held in hand.all_left_out()] == [str(photo)]
            assert hand.left_out(str(photo), changed) == ""
            assert hand.left_out(str(photo), stat) == "", "it is no more"
            assert hand.all_left_out() == []
            hand.leave_out(Held.of(str(photo), stat), "because")
    with Hand(tmp_path / "state") as hand:
        hand.take_back(Held.of(str(photo), stat))
        assert hand.left_out(str(photo), stat) == ""


def test_a_state_folder_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match="--state-dir"):
        Hand(str(tmp_path / "state"))


def test_nothing_in_the_folders_makes_it_fall(tmp_path):
    with Hand(tmp_path) as hand:
        os.symlink("/etc/passwd", tmp_path / "in-hand" / "link")
        (tmp_path / "in-hand" / "folder").mkdir()
        (tmp_path / "in-hand" / "noise").write_bytes(os.urandom(20_000))
        assert all(isinstance(held, Held) for held, _ in left_behind(hand))
        Path(tmp_path, "left-out", "noise").write_bytes(b"\xff\0x\0")
        assert hand.all_left_out() == []


def test_what_was_in_hand_is_named_in_words():
    files = [(Held(f"/{name}.jpg", 1, 2, 3), "") for name in "abcde"]
    assert named(files) == "with /a.jpg, /b.jpg, /c.jpg and 2 more in hand"
    assert named([*files, (Held("/\x1b[2J.jpg", 1, 2, 3), DECODING)]) == "while it decoded /?[2J.jpg"
    assert in_hand._NAMED == 3
