"""The systemd units of orientd: put in place, looked after, taken away.

The units themselves are copied as they are. What depends on this machine stands in one drop-in beside them: the program, its
user, the folders it watches and may write.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from orientd.config import config_directory
from orientd.errors import ConfigError, OrientdError

_DROP_IN: Final = "orientd.service.d/install.conf"
_NIGHTLY: Final = "orientd-scan.service.d/install.conf"
_WRITTEN: Final = "# Written by orientd service install, and removed by orientd service uninstall.\n[Service]\nExecStart=\n"
_MACHINE: Final = {name: name for name in ("orientd.service", "orientd@.service", "orientd-scan.service", "orientd-scan.timer")}
_USER: Final = {"orientd.service": "orientd-user.service"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service manager looks for units. `units` gives the file to copy for each name."""

    folder: Path
    manager: tuple[str, ...]
    units: dict[str, str]

    @classmethod
    def of(cls, user: bool) -> Self:
        """The user's manager, or the machine's (see systemd.unit(5), unit file load path)."""
        if user:
            return cls(Path(config_directory(os.environ), "systemd", "user"), ("systemctl", "--user"), _USER)
        return cls(Path("/etc/systemd/system"), ("systemctl",), _MACHINE)

    @property
    def is_users(self) -> bool:
        return "--user" in self.manager


def install(place: Place, folders: Sequence[str], fix: bool, owner: str | None) -> Iterator[str]:
    """Put the units in place, for real folders; yields what was done and what is to be done next, a line each.

    Raises:
        ConfigError: there is no such user, or it is root.
        OrientdError: a file cannot be written.
    """
    drop_ins = {_DROP_IN: _watching(place, folders, fix, owner)}
    if not place.is_users:
        drop_ins[_NIGHTLY] = _nightly(folders, owner)
    for name, source in place.units.items():
        yield _put(place.folder / name, (_source() / source).read_text(encoding="utf-8"))
    for name, text in drop_ins.items():
        yield _put(place.folder / name, text)
    yield from _reload(place)
    yield f"Start it, now and with every start of the machine: {' '.join(place.manager)} enable --now orientd"
    if place.is_users:
        yield "Let it run while you are not logged in: loginctl enable-linger"


def uninstall(place: Place) -> Iterator[str]:
    """Stop the service and take away what `install` put in place; yields what was done, a line each."""
    names = [name for name in place.units if "@" not in name]
    if shutil.which("systemctl"):
        subprocess.run([*place.manager, "disable", "--now", *names], capture_output=True, check=False)
    for file in (place.folder / name for name in (*place.units, _DROP_IN, _NIGHTLY)):
        try:
            file.unlink()
            yield f"{file}: removed"
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OrientdError(f"{file} cannot be removed: {error.strerror}") from error
    for folder in {(place.folder / name).parent for name in (_DROP_IN, _NIGHTLY)}:
        with suppress(OSError):  # not there, or somebody else's drop-ins are left in it
            folder.rmdir()
    yield from _reload(place)


def status(place: Place) -> Iterator[str]:
    """Which units are in place, and what the service manager says of them, a line each."""
    for name in place.units:
        if not (place.folder / name).exists():
            yield f"{name}: not installed"
        elif "@" in name:
            yield f"{name}: installed"
        else:
            yield f"{name}: installed, {_asked(place, 'is-enabled', name)}, {_asked(place, 'is-active', name)}"


def _watching(place: Place, folders: Sequence[str], fix: bool, owner: str | None) -> str:
    lines = [f"ExecStart={_quoted(*_program(), 'watch', *(['--fix'] if fix else []), *folders)}"]
    if not place.is_users:
        lines.append(f"User={_owner(folders[0], owner)}")
        if fix:
            lines.append(f"ReadWritePaths={_quoted(*folders, dollars=False)}")
    return _WRITTEN + "\n".join(lines) + "\n"


def _nightly(folders: Sequence[str], owner: str | None) -> str:
    scan = f"{_quoted(*_program(), 'scan', '--quiet', '--report')} ${{STATE_DIRECTORY}}/nightly.csv {_quoted(*folders)}"
    return f"{_WRITTEN}ExecStart={scan}\nUser={_owner(folders[0], owner)}\n"


def _owner(folder: str, wanted: str | None) -> str:
    try:
        found = pwd.getpwnam(wanted) if wanted else pwd.getpwuid(os.stat(folder).st_uid)
    except KeyError as error:
        raise ConfigError(f"there is no user {wanted or os.stat(folder).st_uid}: name one with --as") from error
    if found.pw_uid == 0:
        raise ConfigError("the service shall not run as root: name the user who owns the photos with --as")
    return found.pw_name


def _program() -> list[str]:
    beside = Path(sys.executable).with_name("orientd")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "orientd"]


def _quoted(*words: str, dollars: bool = True) -> str:
    """Words as a unit file wants them, see systemd.syntax(7) and systemd.service(5)."""
    escapes = {"\\": "\\\\", '"': '\\"', "%": "%%", "\n": "\\n"} | ({"$": "$$"} if dollars else {})
    return " ".join('"' + "".join(escapes.get(char, char) for char in word) + '"' for word in words)


def _source() -> Path:
    """The folder of the units: within the installed package, or beside it where that is worked on."""
    packaged = Path(__file__).parent / "systemd"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "systemd"


def _put(file: Path, text: str) -> str:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        file.chmod(0o644)
    except OSError as error:
        advice = (
            "run it as root, or with --user" if isinstance(error, PermissionError) else "see to its rights and the space left"
        )
        raise OrientdError(f"{file} cannot be written ({error.strerror}): {advice}") from error
    return f"{file}: installed"


def _reload(place: Place) -> Iterator[str]:
    if shutil.which("systemctl"):
        ran = subprocess.run([*place.manager, "daemon-reload"], capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            return
    yield f"The service manager could not be told; once it runs: {' '.join(place.manager)} daemon-reload"


def _asked(place: Place, question: str, name: str) -> str:
    if not shutil.which("systemctl"):
        return "no systemctl here"
    ran = subprocess.run([*place.manager, question, name], capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "the service manager does not answer"
