"""Files of systemd as they are written: units that come with orientd, and drop-ins."""

import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from orientd.errors import ConfigError, OrientdError
from orientd.report.text import printable

_WRITTEN: Final = "# Written by orientd service install, and removed by orientd service uninstall.\n[Service]\nExecStart=\n"


def drop_in(start: str, user: str = "", written: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """A drop-in that has a service start `start`, written by `quoted`, as `user`, write the folders `written`, and do `more`.

    `written` need not be there when the service starts (-): a disk that is mounted there later can be written, too.
    """
    lines = [f"ExecStart={start}", *([f"User={user.replace('%', '%%')}"] if user else [])]
    if written:
        lines.append(f"ReadWritePaths={quoted(*(f'-{folder}' for folder in written), dollars=False)}")
    return _WRITTEN + "\n".join([*lines, *more]) + "\n"


def quoted(*words: str, dollars: bool = True) -> str:
    """Words as a unit file wants them, see systemd.syntax(7) and systemd.service(5).

    Raises:
        ConfigError: a word has a character that no line of a unit file can hold, such as a line break.
    """
    if odd := [word for word in words if any(unicodedata.category(char) in ("Cc", "Cs") for char in word)]:
        raise ConfigError(f"a service cannot be given {printable(odd[0])}: rename it, or name a folder above it")
    escapes = {"\\": "\\\\", '"': '\\"', "%": "%%"} | ({"$": "$$"} if dollars else {})
    return " ".join('"' + "".join(escapes.get(char, char) for char in word) + '"' for word in words)


def program() -> list[str]:
    """What starts orientd, by whole paths.

    Raises:
        ConfigError: its path holds a dollar sign, which systemd takes for a variable everywhere but there.
    """
    sibling = Path(sys.executable).with_name("orientd")
    words = [str(sibling)] if sibling.exists() else [sys.executable, "-m", "orientd"]
    if "$" in words[0]:
        raise ConfigError(f"a service cannot start {printable(words[0])}: install orientd where no folder has a $ in its name")
    return words


def text_of(unit: str) -> str:
    """A unit as it comes with orientd: within the installed package, or next to it in a checkout."""
    packaged = Path(__file__).parents[2] / "systemd"
    folder = packaged if packaged.is_dir() else Path(__file__).parents[3] / "systemd"
    return (folder / unit).read_text(encoding="utf-8")


def put(file: Path, text: str) -> str:
    """Write a file; what was done, in a line. Raises OrientdError if it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        file.chmod(0o644)
    except OSError as error:
        advice = (
            "run it as root, or with --user" if isinstance(error, PermissionError) else "check its permissions and the space left"
        )
        raise OrientdError(f"{file} cannot be written ({error.strerror}): {advice}") from error
    return f"{file}: installed"
