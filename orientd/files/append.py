"""Lines added to a file that others read at the same time, and folders synced."""

import os


def append_lines(file: int, lines: bytes, header: bytes = b"") -> bool:
    """Add whole lines to a file that is open for reading and appending, and sync it; an empty file gets the `header` first.

    It is one write, so that a reader sees whole lines at any time. A last line that a crash has cut off is ended before.

    Returns:
        True if the file was empty.

    Raises:
        OSError: the disk says no; nothing is added.
    """
    size = os.fstat(file).st_size
    if not size:
        lines = header + lines
    elif os.pread(file, 1, size - 1) != b"\n":
        lines = b"\n" + lines
    if os.write(file, lines) < len(lines):
        os.ftruncate(file, size)
        raise OSError(None, "no space is left on its file system")
    os.fsync(file)
    return not size


def sync_folder_at(path: str) -> None:
    """Sync a folder: a new file in it survives a power cut then. Raises OSError."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
