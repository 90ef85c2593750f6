"""What must be true of photos and journal after a power cut, before and after the next command."""

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from power.victims import DRAWN_NS, TEMP, Folders, Worker, orientd, put_in

from orientd.config import Config
from orientd.errors import OrientdError
from orientd.state.journal import Journal
from orientd.state.seen import Seen
from orientd.write.writer import Writer

SHIFTED_NS = DRAWN_NS + 2 * 10**9


@dataclass
class Judge:
    """Finds what is wrong; `old` and `new` are the bytes of each file, none of one that is not there.

    `told`: the journal must agree; it need not where it was taken back to another moment. `torn`: the disk wrote no whole pages,
    so a page may hold some old and some new bytes until the next command has mended it.
    """

    folders: Folders
    work: Worker
    old: dict[str, bytes]
    new: dict[str, bytes]
    told: bool
    torn: bool
    problems: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def judge(self, step: int, idle: bool, to_the_end: bool) -> None:
        """Collect what is wrong, and what kind of cut it was, after so many steps; `idle`: the next one has not begun."""
        if "torn" in self.held("before", self.torn).values():
            self.seen.append("torn page")
        if self._rows("SELECT 1 FROM writes WHERE status = 'intended'"):
            self.seen.append("within a write")
        self.recover()
        held, done = self.held("after"), "new" if step % 2 else "old"
        self._note(idle and self.told, "lost what was done", {name for name in held if held[name] not in (done, "same")})
        self.check_settled(held)
        if to_the_end and not self.problems:
            self.seen.append("to the end")
            self.go_on(step)

    def held(self, when: str, torn: bool = False) -> dict[str, str]:
        """What each file holds: "old", "new", "torn" if that may be, "same" if it is never written. One to come may lack."""
        now, found = {path.name: path.read_bytes() for path in self._files()}, {}
        for name in sorted({*self.old, *self.new, *now} if not self.work.watches else now):
            data, *either = (version.get(name, b"") for version in (now, self.old, self.new))
            kinds = ("same",) * 2 if either[0] == either[1] else ("old", "new")
            found[name] = dict(zip(either, kinds, strict=True)).get(data, "torn" if torn and _mixed(data, *either) else "neither")
        self._note(True, f"{when}: neither old nor new", {name for name in found if found[name] == "neither"})
        return found

    def recover(self) -> None:
        """What every command that writes begins with."""
        state, notes = self.folders.state, []
        try:
            with Seen(state, "", lambda _: None) as seen, Writer(_config(state), seen, "", lambda: False, notes.append):
                pass
        except OrientdError as error:
            self.problems.append(f"the next run is refused: {error}")
        self.problems += [note for note in notes if "damaged" in note]

    def check_settled(self, held: dict[str, str]) -> None:
        """The journal knows what became of everything, dates tell of each change, and nothing is left behind."""
        known = self._journalled()
        self._note(True, "not settled", {name for name, state in known.items() if state == "intended"})
        left = {path.name for path in self.folders.photos.iterdir() if path.name.startswith(TEMP)}
        self._note(self.told, "left behind", left - {f"{TEMP}copied"})
        wrong = {name for name in held if held[name] not in ("same", known.get(name, "old"))}
        self._note(self.told, "otherwise in the journal", wrong)
        dates = {"new": (SHIFTED_NS,), "same": (DRAWN_NS,), "old": (DRAWN_NS, SHIFTED_NS)[: 1 if self.told else 2]}
        found = {path.name: path.lstat().st_mtime_ns for path in self._files() if path.suffix != ".xmp"}
        self._note(self.told, "dates", {name for name in found if found[name] not in dates.get(held[name], ())})

    def go_on(self, step: int) -> None:
        """The command that was cut off comes to its end, and then everything is taken back."""
        unused = {f".{name}.tmp" for name in self._originals()} & self._unneeded()
        if self.work.watches:
            put_in(self.folders)
        name = self.work.steps[min(step, len(self.work.steps) - 1)]
        if name != "undo":
            self.run(*self.work.command("scan" if name == "watch" else name, self.folders))
            held = self.held("at the end")
            self._note(self.told, "not fixed at the end", {name for name in held if held[name] == "old"})
        while not self.problems and (run := self._undoable()):
            self.run(*self.work.command("undo", self.folders), run)
        held = self.held("at last")
        self._note(self.told, "not undone", {name for name in held if held[name] == "new"})
        self.check_settled(held)
        self._note(self.told, "originals left", {f".{name}.tmp" for name in self._originals()} - unused)

    def run(self, *arguments: object) -> None:
        code = orientd(*arguments)
        self._note(code not in ((0,) if self.told else (0, 3)), f"exit code {code}", {str(arguments[0])})

    def _note(self, counts: bool, what: str, names: set[str]) -> None:
        if counts and names:
            self.problems.append(f"{what}: {', '.join(sorted(names))}")

    def _files(self) -> list[Path]:
        return [path for path in self.folders.photos.iterdir() if not path.name.startswith(TEMP)]

    def _journalled(self) -> dict[str, str]:
        """What each photo holds by the journal; one whose write is not settled is "intended"."""
        found = {}
        for path, status, undoes in self._rows("SELECT path, status, undoes FROM writes ORDER BY id"):
            if status in ("fixed", "undone", "intended"):
                name = os.path.basename(os.fsdecode(path))
                found[name] = "intended" if status == "intended" else "old" if undoes or status == "undone" else "new"
        return found

    def _originals(self) -> list[str]:
        folder = self.folders.state / "originals"
        return os.listdir(folder) if folder.is_dir() else []

    def _unneeded(self) -> set[str]:
        """What is no longer needed for an undo: on some disks a power cut brings back what was deleted, which costs room only."""
        return {temp for (temp,) in self._rows("SELECT temp FROM writes WHERE status NOT IN ('fixed', 'intended')")}

    def _undoable(self) -> int | None:
        with Journal(self.folders.state) as journal:
            return next(iter(journal.undoable()), None)

    def _rows(self, query: str) -> list[tuple]:
        """Rows of a copy of the journal, so that orientd is the first to open the journal itself."""
        with TemporaryDirectory(dir=self.folders.ram) as folder:
            for path in self.folders.state.glob("journal.db*"):
                if path.name in ("journal.db", "journal.db-wal"):
                    shutil.copy(path, folder)
            try:
                with closing(sqlite3.connect(Path(folder, "journal.db"))) as db:
                    made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'writes'").fetchone()
                    return db.execute(query).fetchall() if made else []
            except sqlite3.DatabaseError as error:
                self.problems.append(f"journal: {error}")
                return []


def _mixed(data: bytes, old: bytes, new: bytes) -> bool:
    return len(data) == len(old) == len(new) and all(byte in either for byte, *either in zip(data, old, new, strict=True))


def _config(state: Path) -> Config:
    return Config(state_dir=str(state))
