"""What a service of the machine needs beyond its unit, by what its configuration names; a drop-in says so to systemd.

The units give no network but this machine's own, and write nothing but their state: see systemd/orientd.service.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Final

from orientd import commands
from orientd.config import Config
from orientd.config.address import is_of_this_machine, split_address
from orientd.config.hook import host, is_address
from orientd.library.paths import below
from orientd.report.text import printable

HIDDEN_FROM_SERVING: Final = ("/home", "/root", "/run/user", "/srv", "/mnt", "/media", "/var/lib/orientd")
"""By ProtectHome=yes and InaccessiblePaths= of orientd-serve.service."""
OF_WATCHER: Final = ("on_found", "on_error")
OF_SCAN: Final = ("on_finish", "on_found", "on_error")
_KEY: Final = "immich.key"
"""The file of the key below /etc/orientd that orientd-immich.service names."""


def network(config: Config, hooks: Sequence[str], *, serves: bool, server: str = "") -> list[str]:
    """The lines that open the network for these hooks, for who asks for metrics if it `serves` them, and for the address of a
    `server`; none without need.

    A host that is named may have any address, and so may who asks: then all are open.
    """
    asked = [hook for name in hooks if is_address(hook := getattr(config, name))] + ([(server,)] if server else [])
    hosts = [host(address) for address in asked]
    addresses = [_address(name) for name in hosts]
    if serves and config.metrics and not is_of_this_machine(config.metrics):
        addresses.append("any")
    wanted = list(dict.fromkeys(filter(None, addresses)))
    families = ["RestrictAddressFamilies=AF_INET6"] if _speaks_6(config, hosts, serves=serves) else []
    return families + ([f"IPAddressAllow={'any' if 'any' in wanted else ' '.join(wanted)}"] if wanted else [])


def network_of_user(config: Config) -> list[str]:
    """The same for the service of a user, whose unit knows no addresses, only their families."""
    return [line for line in network(config, OF_WATCHER, serves=True) if line.startswith("RestrictAddressFamilies")]


def programs(config: Config) -> Iterator[tuple[str, str]]:
    """(name of the option, program) of the hooks that are programs."""
    for name in OF_SCAN:
        hook = getattr(config, name)
        if hook and not is_address(hook):
            yield name, hook[0]


def limits_of_hooks(config: Config) -> Iterator[str]:
    """What to know of the hooks of a service of the machine, a line each."""
    for name, program in programs(config):
        yield (
            f"{name} runs {printable(program)} within the limits of the service: it may read, and write where the service may; it"
            " has no network but this machine's own, no sudo or sendmail, and no other program's /tmp. What needs more is given"
            " by systemctl edit."
        )


def folder_of_textfile(config: Config) -> str:
    return os.path.dirname(config.metrics_textfile)


def files_of_server(config: Config) -> dict[str, str]:
    """The files that the service for a photo server reads itself, by the names of their options."""
    named = {"immich_key_file": config.immich_key_file, "immich_ca_file": config.immich_ca_file}
    return {name: path for name, path in named.items() if path and config.immich_url}


def unseen_by_serving(program: str, config: Config) -> Iterator[str]:
    """What orientd-serve.service, whose sandbox is stricter than the watcher's, needs and could not see, a line each."""
    named = {"orientd": program, "its Python": sys.executable, "model": config.model if os.path.isabs(config.model) else ""}
    for what, path in named.items():
        if path and below(os.path.realpath(path), HIDDEN_FROM_SERVING):
            yield (
                f"orientd-serve could not see {what}, which is {printable(path)}: it has no homes and none of these folders"
                f" ({', '.join(HIDDEN_FROM_SERVING)}). Move it, to /opt for example, before you start that service."
            )


def missing_for_server(folder: str, config: Config) -> Iterator[str]:
    """What that service lacks, a line each; `folder` is that of the configuration."""
    file = os.path.join(folder, _KEY)
    if not config.immich_key_file and not os.path.exists(file):
        yield f"But {file} is not there: put the API key of Immich into it, for root alone: install -m 600 /dev/stdin {file}"
    if not find_spec("httpx"):
        yield f"But httpx is not installed, which asks Immich: {commands.adding('immich')}"


def _address(host: str) -> str:
    """As IPAddressAllow= wants it; "" where the unit allows it anyway."""
    try:
        found = ip_address(host)
    except ValueError:
        return "" if host == "localhost" else "any"
    return "" if found.is_loopback else str(found)


def _speaks_6(config: Config, hosts: Sequence[str], *, serves: bool) -> bool:
    """True if a host may have an address of IPv6: all have that are not numbers of IPv4."""
    listening = split_address(config.metrics)[0] if serves and config.metrics else ""
    return ":" in listening or any(":" in one or _address(one) == "any" for one in hosts)
