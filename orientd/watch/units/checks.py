"""What could never work as a service, which is refused, and what its user may not do, which is said."""

import os
import pwd
import subprocess
from collections.abc import Iterator, Sequence
from typing import Final

from orientd.config import Config
from orientd.errors import ConfigError
from orientd.library.paths import below
from orientd.report.text import printable
from orientd.watch.units import grants, unit_files
from orientd.watch.units.manager import ServiceManager

_TRIAL_SECONDS: Final = 60.0


def check_settings(config: Config) -> None:
    """Refuse settings that contradict each other, and paths that a service, which starts nowhere in particular, cannot resolve.

    Raises:
        ConfigError: there is such a setting.
    """
    plan, state = config.plan, config.state_dir
    if config.fix and plan:
        raise ConfigError(
            f"fix and plan exclude each other, and the configuration says plan: {printable(plan)}. Take it out there to fix"
            " photos at once; or leave fix out, to collect them in the plan"
        )
    textfile, token = config.metrics_textfile, config.metrics_token_file
    places = {"plan": (plan, os.path.dirname(plan)), "state_dir": (state, state)}
    places |= {"metrics_textfile": (textfile, os.path.dirname(textfile)), "metrics_token_file": (token, os.path.dirname(token))}
    places |= {name: (path, os.path.dirname(path)) for name, path in grants.files_of_server(config).items()}
    for name, (path, folder) in places.items():
        if path and (not os.path.isabs(path) or folder == "/"):
            raise ConfigError(f"{name}: a service needs its whole path, in a folder of its own, such as /srv/orientd/{name}")


def check_visible(manager: ServiceManager, config: Config, folders: Sequence[str]) -> None:
    """Refuse what is where the service sees other folders.

    Raises:
        ConfigError: a photo folder, a file of the configuration or orientd itself is there.
    """
    named = {"the folder": folders, "orientd itself, in": [os.path.dirname(unit_files.program()[0])]}
    named |= {"state_dir,": [config.state_dir], "plan,": [config.plan]}
    named |= {"model,": [config.model] if os.path.isabs(config.model) else []}
    named |= {"metrics_textfile,": [config.metrics_textfile], "metrics_token_file,": [config.metrics_token_file]}
    named |= {f"{name},": [program] if os.path.isabs(program) else [] for name, program in grants.programs(config)}
    named |= {f"{name},": [path] for name, path in grants.files_of_server(config).items()}
    for what, paths in named.items():
        for path in filter(None, paths):
            for hidden in manager.hidden:
                if below(os.path.realpath(path), [os.path.realpath(hidden)]):
                    raise ConfigError(
                        f"a service of the machine cannot see {what} {printable(path)}: it has a {hidden} of its own"
                        " (PrivateTmp), so that no other program's files are its business. Move it, to /srv for example, or"
                        " install the service with --user"
                    )


def check_user(manager: ServiceManager, user: pwd.struct_passwd) -> None:
    """Refuse a user as whom the service would never start.

    Raises:
        ConfigError: the user cannot run orientd, or cannot read its configuration.
    """
    program, settings = unit_files.program(), os.path.join(manager.environment["CONFIGURATION_DIRECTORY"], "orientd.yaml")
    if not succeeds(user, *program, "--version"):
        raise ConfigError(
            f"{user.pw_name} cannot run {printable(program[0])}: install orientd, and its Python, where everyone may read them,"
            " in /opt/orientd for example, not in a home"
        )
    if os.path.exists(settings) and not succeeds(user, "test", "-r", settings):
        raise ConfigError(f"{user.pw_name} cannot read {settings}: check its permissions")


def forbidden_folders(user: pwd.struct_passwd, folders: Sequence[str], fix: bool) -> Iterator[str]:
    """Which folders the user cannot read or, to `fix`, write: a line each, as permissions may still be given."""
    for folder in folders:
        rights = {"read": ["-r", folder, "-a", "-x", folder], **({"write": ["-w", folder]} if fix else {})}
        for right, test in rights.items():
            if not succeeds(user, "test", *test):
                yield f"But {user.pw_name} cannot {right} {printable(folder)}: check its permissions, or name another with --as."


def forbidden_files(user: pwd.struct_passwd, config: Config) -> Iterator[str]:
    """Which files and programs of the configuration the user cannot use, a line each."""
    tests = {f"run {program}, which {name} names": ["-x", program] for name, program in grants.programs(config) if "/" in program}
    for name, path in grants.files_of_server(config).items():
        tests[f"read {path}, which {name} names"] = ["-r", path]
    if config.metrics_token_file:
        tests[f"read {config.metrics_token_file}, which metrics_token_file names"] = ["-r", config.metrics_token_file]
    if folder := grants.folder_of_textfile(config):
        tests[f"write {folder}, for metrics_textfile"] = ["-w", folder]
    for what, test in tests.items():
        if not succeeds(user, "test", *test):
            yield f"But {user.pw_name} cannot {printable(what)}: check its permissions."


def succeeds(user: pwd.struct_passwd, *command: str) -> bool:
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
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0
