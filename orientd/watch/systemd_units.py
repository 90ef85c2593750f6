"""The systemd units of orientd: installs, checks and removes them.

The units themselves are copied unchanged. Everything that depends on this machine is in one drop-in for each: the program, its
user, the folders it watches and those that it may write by the configuration it will read.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from orientd import commands
from orientd.config import Config, config_directory, load
from orientd.errors import ConfigError, OrientdError
from orientd.library.paths import below
from orientd.pipeline.immich.address import Server
from orientd.pipeline.immich.connections import configured
from orientd.report.text import printable
from orientd.watch import grants, unit_files

_DROP_IN: Final = "orientd.service.d/install.conf"
_INSTANCES: Final = "orientd@.service.d/install.conf"
_NIGHTLY: Final = "orientd-scan.service.d/install.conf"
_OF_SERVER: Final = "orientd-immich.service.d/install.conf"
_SERVING: Final = "orientd-serve.service.d/install.conf"
_DROP_INS: Final = (_DROP_IN, _INSTANCES, _NIGHTLY, _OF_SERVER, _SERVING)
_OF_MACHINE: Final = (
    "orientd.service",
    "orientd@.service",
    "orientd-scan.service",
    "orientd-scan.timer",
    "orientd-serve.service",
)
_MACHINE: Final = {name: name for name in _OF_MACHINE}
_USER: Final = {"orientd.service": "orientd-user.service"}
_UNITS_OF_SERVER: Final = ("orientd-immich.service", "orientd-immich.timer")
_BY_NIGHT: Final = ("--quiet", "--unattended")
_REPORTS: Final = "--report ${STATE_DIRECTORY} --html ${STATE_DIRECTORY}"
_OR_SERVER: Final = "; or, for a photo server alone, a user with --as, and the server in /etc/orientd/orientd.yaml (immich_url)"
_LISTEN: Final = "127.0.0.1:8765"
_TRIAL: Final = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service manager looks for units.

    units: the file to copy for each name. environment: the variables that the manager sets for the service. hidden: the folders
    that the service sees its own versions of (PrivateTmp=).
    """

    folder: Path
    manager: tuple[str, ...]
    units: dict[str, str]
    environment: Mapping[str, str]
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, user: bool) -> Self:
        """The user's manager, or the machine's (see systemd.unit(5), unit file load path)."""
        if user:
            environment = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME") if name in os.environ}
            return cls(Path(config_directory(os.environ), "systemd", "user"), ("systemctl", "--user"), _USER, environment)
        environment = {"CONFIGURATION_DIRECTORY": "/etc/orientd", "STATE_DIRECTORY": "/var/lib/orientd"}
        return cls(Path("/etc/systemd/system"), ("systemctl",), _MACHINE, environment, ("/tmp", "/var/tmp"))

    @property
    def is_users(self) -> bool:
        return "--user" in self.manager

    @property
    def of_server(self) -> list[str]:
        """The units for a photo server that are in place."""
        return [name for name in _UNITS_OF_SERVER if not self.is_users and (self.folder / name).exists()]


def install(place: Place, folders: Sequence[str], fix: bool, owner: str | None) -> Iterator[str]:
    """Put the units in place, for real folders, for the photo server that the configuration names, or for both; yields what was
    done and what is to be done next, a line each.

    Raises:
        ConfigError: there is neither, or no such user, or it is root, or cannot run orientd; the configuration has mistakes or
            contradicts `fix`; or a service cannot be given such a folder, or would not see it.
        OrientdError: there is no systemd here, or a file cannot be written.
    """
    if not shutil.which("systemctl"):
        raise OrientdError(
            f"there is no systemd here (no systemctl): have whatever starts services run {commands.line('watch')} PATH…"
        )
    if place.is_users and owner:
        raise ConfigError("the service of a user runs as that user: leave out --as, or --user")
    user = None if place.is_users else _owner(folders, owner)
    config = load(None, {**place.environment, **({"HOME": user.pw_dir} if user else {})}, {"fix": fix or None})
    server = configured(config) if user else None
    if not folders and not server:
        raise ConfigError(f"name the folders to look after{_OR_SERVER if user else ''}")
    _check(config)
    _check_seen(place, config, folders)
    if user:
        _check_runs(place, user)
    for name, text in _files(place, config, folders, ["--fix"] if fix else [], user.pw_name if user else "", server).items():
        yield unit_files.put(place.folder / name, text)
    yield from _reload(place)
    yield from _to_know(config, folders, user)
    if server:
        yield from grants.missing_for_server(place.environment["CONFIGURATION_DIRECTORY"], config)
        yield f"Have {server.url} looked at every night: {' '.join(place.manager)} enable --now orientd-immich.timer"
    if folders:
        yield from _start(place)


def _files(
    place: Place, config: Config, folders: Sequence[str], flags: Sequence[str], user: str, server: Server | None
) -> dict[str, str]:
    """All that is put in place: name → text, the units before their drop-ins."""
    units, drop_ins = dict[str, str](), dict[str, str]()
    if folders:
        units |= place.units
        drop_ins |= _drop_ins(place, config, folders, flags, user)
    if server:
        units |= {name: name for name in _UNITS_OF_SERVER}
        drop_ins[_OF_SERVER] = _drop_in_of_server(place, config, server, user)
    return {name: unit_files.text_of(source) for name, source in units.items()} | drop_ins


def _to_know(config: Config, folders: Sequence[str], user: pwd.struct_passwd | None) -> Iterator[str]:
    if folders:
        yield _promise(config)
    if user:
        yield from _shut(user, folders, config.fix)
        yield from _shut_to_hooks(user, config)
        yield from grants.remarks(config)
        if folders:
            yield from grants.unseen_by_serving(_program()[0], config)
        yield "After a change of fix, plan, state_dir, metrics, hooks or immich_url in the configuration, install it again."


def _start(place: Place) -> Iterator[str]:
    yield f"Start it, now and with every start of the machine: {' '.join(place.manager)} enable --now orientd"
    if place.is_users:
        yield "Let it run while you are not logged in: loginctl enable-linger"
    if _asked(place, "is-active", "orientd.service") == "active":
        yield f"It still runs as it was installed before; to end that: {' '.join(place.manager)} restart orientd"


def uninstall(place: Place) -> Iterator[str]:
    """Stop the service and take away what `install` put in place; yields what was done, a line each."""
    if shutil.which("systemctl"):
        units = [*place.units, *place.of_server]
        for command in ("stop", [name.replace("@", "@*") for name in units]), ("disable", units):
            subprocess.run([*place.manager, command[0], *command[1]], capture_output=True, check=False)
    removed = False
    for file in (place.folder / name for name in (*place.units, *place.of_server, *_DROP_INS)):
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
    for name in (*place.units, *place.of_server):
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
    places |= {name: (path, os.path.dirname(path)) for name, path in grants.files_of_server(config).items()}
    for name, (path, folder) in places.items():
        if path and (not os.path.isabs(path) or folder == "/"):
            raise ConfigError(f"{name}: a service needs its whole path, in a folder of its own, such as /srv/orientd/{name}")


def _check_seen(place: Place, config: Config, folders: Sequence[str]) -> None:
    """Refuse what is where the service sees other folders."""
    named = {"the folder": folders, "orientd itself, in": [os.path.dirname(_program()[0])], "state_dir,": [config.state_dir]}
    named |= {"plan,": [config.plan], "model,": [config.model] if os.path.isabs(config.model) else []}
    named |= {"metrics_textfile,": [config.metrics_textfile], "metrics_token_file,": [config.metrics_token_file]}
    named |= {f"{name},": [program] if os.path.isabs(program) else [] for name, program in grants.programs(config)}
    named |= {f"{name},": [path] for name, path in grants.files_of_server(config).items()}
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
    program, settings = _program(), os.path.join(place.environment["CONFIGURATION_DIRECTORY"], "orientd.yaml")
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
    for name, path in grants.files_of_server(config).items():
        tests[f"read {path}, which {name} names"] = ["-r", path]
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
    watch = unit_files.quoted(*_program(), "watch", *flags, *folders)
    if not user:
        return {_DROP_IN: unit_files.drop_in(watch, more=grants.network_of_user(config))}
    scan = f"{unit_files.quoted(*_program(), 'scan', *_BY_NIGHT)} {_REPORTS} {unit_files.quoted(*folders)}"
    state, plan = _elsewhere(place, config.state_dir), _elsewhere(place, os.path.dirname(config.plan))
    textfile = _elsewhere(place, grants.folder_of_textfile(config))
    open_to_watch = grants.network(config, grants.OF_WATCHER, serves=True)
    return {
        _DROP_IN: unit_files.drop_in(watch, user, [*(folders if config.fix else []), *plan, *state], open_to_watch),
        _INSTANCES: unit_files.drop_in(unit_files.quoted(*_program(), "watch"), user),
        _NIGHTLY: unit_files.drop_in(scan, user, [*state, *textfile], grants.network(config, grants.OF_SCAN, serves=False)),
        _SERVING: unit_files.drop_in(unit_files.quoted(*_program(), "serve", "--listen", _LISTEN)),
    }


def _drop_in_of_server(place: Place, config: Config, server: Server, user: str) -> str:
    """A key file that the configuration names is read by the service itself, which then needs no credential to start."""
    start = f"{unit_files.quoted(*_program(), 'immich', 'scan', *_BY_NIGHT)} {_REPORTS}"
    more = grants.network(config, grants.OF_SCAN, serves=False, server=server.url)
    if config.immich_key_file:
        more.append("LoadCredential=")
    return unit_files.drop_in(start, user, _elsewhere(place, config.state_dir), more)


def _elsewhere(place: Place, folder: str) -> list[str]:
    """The folder, if there is one and the service may not write it anyway.

    Raises:
        ConfigError: it is not there: made later, it could not be written.
    """
    if not folder or below(folder, [place.environment["STATE_DIRECTORY"]]):
        return []
    if not os.path.isdir(folder):
        raise ConfigError(f"the configuration names {printable(folder)}, which is no folder: make it, for the service's user")
    return [os.path.realpath(folder)]


def _promise(config: Config) -> str:
    if config.fix:
        return "It will fix photos that are sideways or upside down."
    if config.plan:
        command = commands.line("apply", config.plan, "--state-dir", config.state_dir)
        return f"It will collect what it would fix in {printable(config.plan)}, to be carried out by: {command}"
    return "It will only log photos that are sideways or upside down: to have them fixed, install it with --fix."


def _owner(folders: Sequence[str], wanted: str | None) -> pwd.struct_passwd:
    if not folders and not wanted:
        raise ConfigError(f"name the folders to look after{_OR_SERVER}")
    try:
        found = pwd.getpwnam(wanted) if wanted else pwd.getpwuid(os.stat(folders[0]).st_uid)
    except KeyError as error:
        raise ConfigError(f"there is no user {wanted or os.stat(folders[0]).st_uid}: name one with --as") from error
    if found.pw_uid == 0:
        raise ConfigError("the service must not run as root: name the user who owns the photos with --as")
    return found


def _program() -> list[str]:
    """What starts orientd, by whole paths.

    Raises:
        ConfigError: its path holds a dollar sign, which systemd takes for a variable everywhere but there.
    """
    sibling = Path(sys.executable).with_name("orientd")
    program = [str(sibling)] if sibling.exists() else [sys.executable, "-m", "orientd"]
    if "$" in program[0]:
        raise ConfigError(f"a service cannot start {printable(program[0])}: install orientd where no folder has a $ in its name")
    return program


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
