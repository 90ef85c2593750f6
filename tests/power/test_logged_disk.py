"""What the trial of power cuts (`run_cuts`) rests on, as far as it needs no root: the log, the disks made of it, the judge."""

import errno
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest
from power.judge import SHIFTED_NS, Judge
from power.logged_disk import FLUSH, MARK, Entry, LoggedDisks, read_log
from power.run_cuts import Cut, write_after
from power.victims import DRAWN_NS, TEMP, WORKS, Folders

from orientd.state.journal import Journal

DISK, LOOKUP, READ, WRITE, FSYNC, MARKS = 3, 1, 15, 16, 20, 2


@pytest.mark.parametrize("command", [["run_cuts.py"], ["victims.py", ""]], ids=["run_cuts", "victims"])
def test_the_scripts_start_wherever_and_with_no_path_set(command, tmp_path):
    script, *arguments = command
    others = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    call = [sys.executable, str(Path(__file__).with_name(script)), *arguments, "--help"]
    ran = subprocess.run(call, cwd=tmp_path, env=others, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.casefold().startswith("usage: ")


def ask(kernel, code, node, body=b""):
    """Send a request as the kernel does; the error and the answer."""
    kernel.send(struct.pack("<IIQQIIII", 40 + len(body), code, 7, node, 0, 0, 0, 0) + body)
    size, failed, unique = struct.unpack_from("<IiQ", answer := kernel.recv(2**16))
    assert (size, unique) == (len(answer), 7)
    return failed, answer[16:]


def written(data, offset):
    return struct.pack("<QQIIQII", 0, offset, len(data), 0, 0, 0, 0) + data


def test_writes_flushes_and_marks_are_logged_in_their_order(tmp_path):
    kernel, device = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with kernel, device, (tmp_path / "image").open("w+b") as image, (tmp_path / "log").open("wb") as log:
        image.truncate(8192)
        server = Thread(target=LoggedDisks(log, [image]).serve, args=[device.fileno()])
        server.start()
        assert ask(kernel, LOOKUP, 1, b"disk0\0")[0] == 0
        assert ask(kernel, LOOKUP, 1, b"disk1\0")[0] == -errno.ENOENT
        assert ask(kernel, WRITE, DISK, written(b"abc", 4096)) == (0, struct.pack("<II", 3, 0))
        assert ask(kernel, FSYNC, DISK)[0] == 0
        assert ask(kernel, WRITE, MARKS, written(b"done", 0))[0] == 0
        assert ask(kernel, READ, DISK, struct.pack("<QQI", 0, 4095, 5)) == (0, b"\0abc\0")
        kernel.shutdown(socket.SHUT_WR)
        server.join()
    assert list(read_log(str(tmp_path / "log"))) == [Entry(0, 4096, b"abc"), Entry(0, FLUSH, b""), Entry(MARK, 0, b"done")]


@pytest.mark.parametrize(("mode", "unit"), [("all", 4096), ("none", 4096), ("pages", 4096), ("sectors", 512)])
def test_what_was_flushed_is_there_and_of_the_rest_any_part(tmp_path, mode, unit):
    image, found = tmp_path / "image", set()
    entries = list(enumerate([Entry(0, 0, b"a" * 8192), Entry(0, FLUSH, b""), Entry(0, 4096, b"b" * 8192)]))
    for seed in range(30):
        image.write_bytes(bytes(12288))
        write_after(Cut(3, mode, seed), entries, image)
        data = image.read_bytes()
        assert data[:4096] == b"a" * 4096
        units = [data[at : at + unit] for at in range(4096, 12288, unit)]
        assert {one[:1] * unit for one in units} == set(units)
        found.add("".join(one[:1].decode() for one in units))
    wanted = {"all": {"bb"}, "none": {"a\0"}, "pages": {"a\0", "ab", "b\0", "bb"}}
    assert found == wanted.get(mode, found)
    assert (len(found) > 4) == (mode == "sectors")


class TestJudge:
    OLD, NEW = {"a.jpg": b"old" * 9, "b.txt": b"same"}, {"a.jpg": b"new" * 9, "b.txt": b"same"}

    @pytest.fixture
    def folders(self, tmp_path):
        folders = Folders(*(tmp_path / name for name in Folders._fields))
        for folder in folders:
            folder.mkdir()
        self.put(folders, self.OLD)
        with Journal(folders.state):
            return folders

    def put(self, folders, held, date=DRAWN_NS):
        for name, data in held.items():
            (folders.photos / name).write_bytes(data)
            os.utime(folders.photos / name, ns=(date, date if name == "a.jpg" else DRAWN_NS))

    def problems(self, folders, torn=False, step=0, idle=True):
        judge = Judge(folders, WORKS["tag"], self.OLD, self.NEW, True, torn)
        judge.judge(step, idle, False)
        return [problem.split(":")[0] for problem in judge.problems]

    def test_nothing_is_wrong_with_what_was_not_touched(self, folders):
        assert self.problems(folders) == []

    def test_what_was_done_must_not_be_lost(self, folders):
        assert self.problems(folders, step=1) == ["lost what was done"]

    def test_a_photo_is_old_or_new_and_the_journal_says_which(self, folders):
        self.put(folders, self.NEW, SHIFTED_NS)
        assert self.problems(folders, idle=False) == ["otherwise in the journal"]
        self.put(folders, {"a.jpg": b"old" * 8 + b"new"})
        assert self.problems(folders, idle=False)[:2] == ["before", "after"]
        assert self.problems(folders, idle=False, torn=True)[:1] == ["after"]
        self.put(folders, {"a.jpg": b"old" * 8 + b"???"})
        assert self.problems(folders, idle=False, torn=True)[:2] == ["before", "after"]

    def test_dates_other_files_and_leftovers_count(self, folders):
        self.put(folders, self.OLD, SHIFTED_NS)
        assert self.problems(folders) == ["dates"]
        self.put(folders, self.OLD | {"b.txt": b"other"})
        (folders.photos / f"{TEMP}1.tmp").touch()
        assert {"before", "left behind"} <= set(self.problems(folders))

    def test_a_journal_that_is_damaged_counts(self, folders):
        (folders.state / "journal.db").write_bytes(b"SQLite format 3\0" + b"?" * 8192)
        found = self.problems(folders)
        assert "journal" in found
        assert [problem for problem in found if problem.startswith("the journal was damaged")]
