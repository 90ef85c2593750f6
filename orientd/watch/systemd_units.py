"""The systemd units of orientd: put in place, looked after, taken away.

The units themselves are copied as they are. What depends on this machine stands in one drop-in beside each: the program, its
user, the folders it watches and, by the configuration it will read, may write.
"""

import os
import pwd
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from orientd import commands
from orientd.config import Config, config_directory, load
from orientd.errors import ConfigError, OrientdError
from orientd.library.paths import below
from orientd.report.text import printable
from orientd.watch import grants

_DROP_IN: Final = "orientd.service.d/install.conf"
_INSTANCES: Final = "orientd@.service.d/install.conf"
_NIGHTLY: Final = "orientd-scan.service.d/install.conf"
_DROP_INS: Final = (_DROP_IN, _INSTANCES, _NIGHTLY)
_WRITTEN: Final = "# Written by orientd service install, and removed by orientd service uninstall.\n[Service]\nExecStart=\n"
_MACHINE: Final = {name: name for name in ("orientd.service", "orientd@.service", "orientd-scan.service", "orientd-scan.timer")}
_USER: Final = {"orientd.service": "orientd-user.service"}
_TRIAL: Final = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service manager looks for units.

    units: the file to copy for each name. told: what the manager says to the service in its environment. hidden: the folders of
    which the service sees others (PrivateTmp=).
    """

    folder: Path
    manager: tuple[str, ...]
    units: dict[str, str]
    told: Mapping[str, str]
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, user: bool) -> Self:
        """The user's manager, or the machine's (see systemd.unit(5), unit file load path)."""
        if user:
            told = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME") if name in os.environ}
            return cls(Path(config_directory(os.environ), "systemd", "user"), ("systemctl", "--user"), _USER, told)
        told = {"CONFIGURATION_DIRECTORY": "/etc/orientd", "STATE_DIRECTORY": "/var/lib/orientd"}
        return cls(Path("/etc/systemd/system"), ("systemctl",), _MACHINE, told, ("/tmp", "/var/tmp"))

    @property
    def is_users(self) -> bool:
        return "--user" in self.manager


def install(place: Place, folders: Sequence[str], fix: bool, owner: str | None) -> Iterator[str]:
    """Put the units in place, for real folders; yields what was done and what is to be done next, a line each.

    Raises:
        ConfigError: there is no such user, or it is root, or cannot run orientd; the configuration has mistakes or contradicts
            `fix`; or a service cannot be given such a folder, or would not see it.
        OrientdError: there is no systemd here, or a file cannot be written.
    """
    if not shutil.which("systemctl"):
        raise OrientdError(
            f"there is no systemd here (no systemctl): have whatever starts services run {commands.line('watch')} PATH…"
        )
    if place.is_users and owner:
        raise ConfigError("the service of a user runs as that user: leave out --as, or --user")
    user = None if place.is_users else _owner(folders[0], owner)
    config = load(None, {**place.told, **({"HOME": user.pw_dir} if user else {})}, {"fix": fix or None})
    _check(config)
    _check_seen(place, config, folders)
    if user:
        _check_runs(place, user)
    drop_ins = _drop_ins(place, config, folders, ["--fix"] if fix else [], user.pw_name if user else "")
    for name, source in place.units.items():
        yield _put(place.folder / name, (_source() / source).read_text(encoding="utf-8"))
    for name, text in drop_ins.items():
        yield _put(place.folder / name, text)
    yield from _reload(place)
    yield _promise(config)
    if user:
        yield from _shut(user, folders, config.fix)
        yield from _shut_to_hooks(user, config)
        yield from grants.remarks(config)
        yield "After a change of fix, plan, state_dir, metrics or hooks in the configuration, install it again."
    yield f"Start it, now and with every start of the machine: {' '.join(place.manager)} enable --now orientd"
    if place.is_users:
        yield "Let it run while you are not logged in: loginctl enable-linger"
    if _asked(place, "is-active", "orientd.service") == "active":
        yield f"It still runs as it was installed before; to end that: {' '.join(place.manager)} restart orientd"


def uninstall(place: Place) -> Iterator[str]:
    """Stop the service and take away what `install` put in place; yields what was done, a line each."""
    if shutil.which("systemctl"):
        for command in ("stop", [name.replace("@", "@*") for name in place.units]), ("disable", list(place.units)):
            subprocess.run([*place.manager, command[0], *command[1]], capture_output=True, check=False)
    removed = False
    for file in (place.folder / name for name in (*place.units, *_DROP_INS)):
        try:
            file.unlink()
            removed = True
            yield f"{file}: removed"
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OrientdError(f"{file} cannot be removed: {error.strerror}") from error
    for folder in ((place.folder / name).parent for name in _DROP_INS):
        with suppress(OSError):  # not there, or somebody else's drop-ins are left in it
            folder.rmdir()
    if not removed:
        yield f"Nothing of it is installed in {place.folder}."
        return
    yield from _reload(place)


def status(place: Place) -> Iterator[str]:
    """Which units are in place, and what the service manager says of them, a line each."""
    for name in place.units:
        if not (place.folder / name).exists():
            yield f"{name}: not installed"
        elif "@" in name:
            yield f"{name}: installed"
        else:
            active = _asked(place, "is-active", name)
            log = f" (journalctl{' --user' * place.is_users} -u {name})" if active in ("activating", "failed") else ""
            yield f"{name}: installed, {_asked(place, 'is-enabled', name)}, {active}{log}"


def _check(config: Config) -> None:
    plan, state = config.plan, config.state_dir
    if config.fix and plan:
        raise ConfigError(
            f"fix and plan exclude each other, and the configuration says plan: {printable(plan)}. Take it out there to put"
            " photos right at once; or leave fix out, to collect them in the plan"
        )
    textfile, token = config.metrics_textfile, config.metrics_token_file
    places = {"plan": (plan, os.path.dirname(plan)), "state_dir": (state, state)}
    places |= {"metrics_textfile": (textfile, os.path.dirname(textfile)), "metrics_token_file": (token, os.path.dirname(token))}
    for name, (path, folder) in places.items():
        if path and (not os.path.isabs(path) or folder == "/"):
            raise ConfigError(f"{name}: a service needs its whole path, in a folder of its own, such as /srv/orientd/{name}")


def _check_seen(place: Place, config: Config, folders: Sequence[str]) -> None:
    """Refuse what lies where the service sees other folders."""
    named = {"the folder": folders, "orientd itself, in": [os.path.dirname(_program()[0])], "state_dir,": [config.state_dir]}
    named |= {"plan,": [config.plan], "model,": [config.model] if os.path.isabs(config.model) else []}
    named |= {"metrics_textfile,": [config.metrics_textfile], "metrics_token_file,": [config.metrics_token_file]}
    named |= {f"{name},": [program] if os.path.isabs(program) else [] for name, program in grants.programs(config)}
    for what, paths in named.items():
        for path in filter(None, paths):
            for hidden in place.hidden:
                if below(os.path.realpath(path), [os.path.realpath(hidden)]):
                    raise ConfigError(
                        f"a service of the machine cannot see {what} {printable(path)}: it has a {hidden} of its own"
                        " (PrivateTmp), so that no other program's files are its business. Move it, to /srv for example, or"
                        " install the service with --user"
                    )


def _check_runs(place: Place, user: pwd.struct_passwd) -> None:
    """Refuse a user who cannot run orientd, or cannot read its configuration: the service would never start."""
    program, settings = _program(), os.path.join(place.told["CONFIGURATION_DIRECTORY"], "orientd.yaml")
    if not _succeeds(user, *program, "--version"):
        raise ConfigError(
            f"{user.pw_name} cannot run {printable(program[0])}: install orientd, and its Python, where everyone may read them,"
            " in /opt/orientd for example, not in a home"
        )
    if os.path.exists(settings) and not _succeeds(user, "test", "-r", settings):
        raise ConfigError(f"{user.pw_name} cannot read {settings}: check its permissions")


def _shut(user: pwd.struct_passwd, folders: Sequence[str], fix: bool) -> Iterator[str]:
    for folder in folders:
        rights = {"read": ["-r", folder, "-a", "-x", folder], **({"write": ["-w", folder]} if fix else {})}
        for right, test in rights.items():
            if not _succeeds(user, "test", *test):
                yield f"But {user.pw_name} cannot {right} {printable(folder)}: check its permissions, or name another with --as."


def _shut_to_hooks(user: pwd.struct_passwd, config: Config) -> Iterator[str]:
    tests = {f"run {program}, which {name} names": ["-x", program] for name, program in grants.programs(config) if "/" in program}
    if config.metrics_token_file:
        tests[f"read {config.metrics_token_file}, which metrics_token_file names"] = ["-r", config.metrics_token_file]
    if folder := grants.folder_of_textfile(config):
        tests[f"write {folder}, for metrics_textfile"] = ["-w", folder]
    for what, test in tests.items():
        if not _succeeds(user, "test", *test):
            yield f"But {user.pw_name} cannot {printable(what)}: check its permissions."


def _succeeds(user: pwd.struct_passwd, *command: str) -> bool:
    """Whether a command comes to a good end as that user; taken for granted where only root could try."""
    if os.geteuid() != 0:
        return True
    try:
        ran = subprocess.run(
            command,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=os.getgrouplist(user.pw_name, user.pw_gid),
            cwd="/",
            env={"HOME": user.pw_dir, "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def _drop_ins(place: Place, config: Config, folders: Sequence[str], flags: Sequence[str], user: str) -> dict[str, str]:
    """Name → text; without a user, for a manager that is a user's: what the service may write needs not be said there."""
    watch = _quoted(*_program(), "watch", *flags, *folders)
    if not user:
        return {_DROP_IN: _drop_in(watch, more=grants.network_of_user(config))}
    begin = f"{_quoted(*_program(), 'scan', '--quiet', '--unattended')} --report ${{STATE_DIRECTORY}} --html ${{STATE_DIRECTORY}}"
    scan = f"{begin} {_quoted(*folders)}"
    state, plan = _elsewhere(place, config.state_dir), _elsewhere(place, os.path.dirname(config.plan))
    textfile = _elsewhere(place, grants.folder_of_textfile(config))
    open_to_watch = grants.network(config, grants.OF_WATCHER, serves=True)
    return {
        _DROP_IN: _drop_in(watch, user, [*(folders if config.fix else []), *plan, *state], open_to_watch),
        _INSTANCES: _drop_in(_quoted(*_program(), "watch"), user),
        _NIGHTLY: _drop_in(scan, user, [*state, *textfile], grants.network(config, grants.OF_SCAN, serves=False)),
    }


def _elsewhere(place: Place, folder: str) -> list[str]:
    """The folder, if there is one and the service may not write it anyway.

    Raises:
        ConfigError: it is not there: made later, it could not be written.
    """
    if not folder or below(folder, [place.told["STATE_DIRECTORY"]]):
        return []
    if not os.path.isdir(folder):
        raise ConfigError(f"the configuration names {printable(folder)}, which is no folder: make it, for the service's user")
    return [os.path.realpath(folder)]


def _drop_in(start: str, user: str = "", written: Sequence[str] = (), more: Sequence[str] = ()) -> str:
    """`written` need not be there when the service starts (-): a disk that is mounted there later can be written, too."""
    lines = [f"ExecStart={start}", *([f"User={user.replace('%', '%%')}"] if user else [])]
    if written:
        lines.append(f"ReadWritePaths={_quoted(*(f'-{folder}' for folder in written), dollars=False)}")
    return _WRITTEN + "\n".join([*lines, *more]) + "\n"


def _promise(config: Config) -> str:
    if config.fix:
        return "It will fix photos that are sideways or upside down."
    if config.plan:
        command = commands.line("apply", config.plan, "--state-dir", config.state_dir)
        return f"It will collect what it would fix in {printable(config.plan)}, to be carried out by: {command}"
    return "It will only log photos that are sideways or upside down: to have them fixed, install it with --fix."


def _owner(folder: str, wanted: str | None) -> pwd.struct_passwd:
    try:
        found = pwd.getpwnam(wanted) if wanted else pwd.getpwuid(os.stat(folder).st_uid)
    except KeyError as error:
        raise ConfigError(f"there is no user {wanted or os.stat(folder).st_uid}: name one with --as") from error
    if found.pw_uid == 0:
        raise ConfigError("the service must not run as root: name the user who owns the photos with --as")
    return found


def _program() -> list[str]:
    """What starts orientd, by whole paths.

    Raises:
        ConfigError: its path holds a dollar sign, which systemd takes for a variable everywhere but there.
    """
    beside = Path(sys.executable).with_name("orientd")
    program = [str(beside)] if beside.exists() else [sys.executable, "-m", "orientd"]
    if "$" in program[0]:
        raise ConfigError(f"a service cannot start {printable(program[0])}: install orientd where no folder has a $ in its name")
    return program


def _quoted(*words: str, dollars: bool = True) -> str:
    """Words as a unit file wants them, see systemd.syntax(7) and systemd.service(5).

    Raises:
        ConfigError: a word has a character that no line of a unit file can hold, such as a line break.
    """
    if odd := [word for word in words if any(unicodedata.category(char) in ("Cc", "Cs") for char in word)]:
        raise ConfigError(f"a service cannot be given {printable(odd[0])}: rename it, or name a folder above it")
    escapes = {"\\": "\\\\", '"': '\\"', "%": "%%"} | ({"$": "$$"} if dollars else {})
    return " ".join('"' + "".join(escapes.get(char, char) for char in word) + '"' for word in words)


def _source() -> Path:
    """The folder of the units: within the installed package, or beside it where that is worked on."""
    packaged = Path(__file__).parents[1] / "systemd"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "systemd"


def _put(file: Path, text: str) -> str:
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


def _reload(place: Place) -> Iterator[str]:
    if not shutil.which("systemctl"):
        return
    ran = subprocess.run([*place.manager, "daemon-reload"], capture_output=True, check=False)
    if ran.returncode:
        yield f"The service manager could not be reached; once it runs: {' '.join(place.manager)} daemon-reload"


def _asked(place: Place, question: str, name: str) -> str:
    if not shutil.which("systemctl"):
        return "no systemctl here"
    ran = subprocess.run([*place.manager, question, name], capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "the service manager does not answer"
