"""Whole photos as they were before their pixels were turned, kept so that an undo can give back every byte.

A turn by pixels cannot be computed backwards to the byte, as the new file has other Huffman tables. So the old file is copied to
the folder `originals` of the state directory, one copy per write, synced before the photo is touched. A copy is dropped when its
write is taken back or came to nothing, or when its owner asks for that.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256

from orientd.errors import ReadError, Refused, WriteError
from orientd.files.read import read_whole
from orientd.files.syscalls import DISK, Disk, code_of
from orientd.reasons import Reason
from orientd.records import Method, Patch, Splice
from orientd.state.journal_rows import Intent


class Originals:
    """The copies in a state directory. A copy goes by the name of its write's temporary file (`Intent.temp`)."""

    def __init__(self, state_dir: str | os.PathLike[str], disk: Disk = DISK) -> None:
        self.folder = os.path.join(state_dir, "originals")
        self._disk = disk

    def keep(self, temp: str, data: bytes) -> None:
        """Copy a whole photo and sync the copy.

        Raises:
            WriteError: it cannot be kept, so the photo must not be written.
        """
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            with self._opened(self._path(temp), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW) as file:
                done = 0
                while done < len(data):
                    done += self._disk.pwrite(file, memoryview(data)[done:], done)
                self._disk.fsync(file)
            for folder in (self.folder, os.path.dirname(self.folder)):
                with self._opened(folder, os.O_RDONLY | os.O_DIRECTORY) as opened:
                    self._disk.fsync(opened)
        except OSError as error:
            self.drop(temp)  # at once: on a full disk the journal needs the room to say what happened
            advice = f"free some space there, name another folder with --state-dir, or use --method tag ({self.folder})"
            raise WriteError(
                code_of(error), f"its original could not be kept for an undo ({error.strerror}): {advice}"
            ) from error

    def get(self, temp: str) -> bytes:
        """The whole photo.

        Raises:
            ReadError: the copy is not there any more, or cannot be read.
        """
        path = self._path(temp)
        if not self.has(temp):
            raise ReadError(
                Reason.ORIGINAL_LOST, f"the copy of its original was deleted ({path}): bring the photo back from a backup"
            )
        try:
            return read_whole(path, disk=self._disk)[0]
        except ReadError as error:
            raise ReadError(Reason.ORIGINAL_LOST, f"the copy of its original cannot be read ({path}): {error}") from error

    def back(self, done: Intent, data: bytes) -> Patch:
        """The patch that takes back a write which left `data`.

        Raises:
            ReadError: the original of a photo whose pixels were turned is not there any more.
            Refused: it is there and is not what was kept.
        """
        if done.method != Method.ROTATE:
            back = done.patch.inverse()
            original = _applied(back, data)
        else:
            original = self.get(done.temp)
            back = Patch((Splice(0, data, original),))
        if original is None or sha256(original).hexdigest() != done.old_sha256:
            kept = "the copy of its original" if done.method == Method.ROTATE else "what the journal holds of it"
            raise Refused(Reason.ORIGINAL_LOST, f"{kept} was changed or damaged: left alone")
        return back

    def has(self, temp: str) -> bool:
        """True if there is such a copy."""
        return os.path.lexists(self._path(temp))

    def size(self, temp: str) -> int:
        """The bytes of a copy; 0 if there is none."""
        with suppress(OSError):
            return self._disk.stat(self._path(temp), follow_symlinks=False).st_size
        return 0

    def where(self, temp: str) -> str:
        """Words that say where a copy is, for the end of a message; empty if there is none."""
        return f" (as it was before that, it is kept in {self._path(temp)})" if self.has(temp) else ""

    def drop(self, temp: str) -> int:
        """Delete a copy, if there is one; the bytes that frees."""
        with suppress(OSError):  # it is gone, or a later `orientd forget` tries again
            path = self._path(temp)
            size = self._disk.stat(path, follow_symlinks=False).st_size
            self._disk.unlink(path)
            return size
        return 0

    def sizes(self) -> list[int]:
        """The bytes of each copy."""
        with suppress(FileNotFoundError), os.scandir(self.folder) as found:
            return [entry.stat(follow_symlinks=False).st_size for entry in found]
        return []

    def _path(self, temp: str) -> str:
        return os.path.join(self.folder, os.path.basename(temp).removeprefix(".").removesuffix(".tmp"))

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        file = self._disk.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            yield file
        finally:
            with suppress(OSError):
                self._disk.close(file)


def _applied(patch: Patch, data: bytes) -> bytes | None:
    try:
        return patch.apply(data)
    except ValueError:
        return None
