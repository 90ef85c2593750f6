"""The servers that a command may ask, by their names: only those that were configured, each greeted once."""

import os
from collections.abc import Callable, Sequence

from orientd import commands
from orientd.config import Config
from orientd.errors import OrientdError, Refused
from orientd.pipeline.immich import servers
from orientd.pipeline.immich.address import Server, address, name_of, read_key, warn_of
from orientd.pipeline.immich.client import READING, Client, Clock
from orientd.reasons import Reason
from orientd.records import Notify

Connect = Callable[[Server], Client]


def configured(config: Config) -> Server | None:
    """The server of the configuration; None if it names none. Raises ConfigError for what is no address."""
    if not config.immich_url:
        return None
    url = address(config.immich_url)
    key_file, ca_file = (file and os.path.abspath(file) for file in (config.immich_key_file, config.immich_ca_file))
    return Server(config.immich_name or name_of(url), url, key_file, ca_file)


class Connections:
    """Opens a client when its server is asked for first. `close` closes them all."""

    def __init__(self, config: Config, clock: Clock, notify: Notify, needed: Sequence[str] = READING) -> None:
        """`needed` are the permissions that a key must have."""
        self._config, self._clock, self._notify, self._needed = config, clock, notify, needed
        self._open: dict[str, Client | OrientdError] = {}

    def __call__(self, name: str) -> Client:
        """The client of a server that was scanned before, or is configured, by its name.

        Raises:
            Refused: there is none of that name, and a key goes nowhere else.
            OrientdError: it cannot be used now.
        """
        if name not in self._open:
            try:
                client = self.connect(self._known(name))
                self._open[name] = client
                client.greet(self._needed)
            except OrientdError as error:
                self._close(name)
                self._open[name] = error
        found = self._open[name]
        if isinstance(found, OrientdError):
            raise found
        return found

    def connect(self, server: Server) -> Client:
        """A client that is not greeted. Raises OrientdError for a key or a file of certificates that cannot be used.

        The credential of systemd is the key of the configured server, and goes to no other that was scanned before.
        """
        warn_of(server.url, self._notify)
        here = configured(self._config)
        environment = os.environ if here and here.url == server.url else {}
        return Client(server, read_key(server, self._notify, environment), self._clock)

    def close(self) -> None:
        for name in list(self._open):
            self._close(name)

    def _known(self, name: str) -> Server:
        here = configured(self._config)
        known = servers.known(self._config.state_dir)
        if here and here.name == name and (name not in known or known[name].url == here.url):
            return here
        if name not in known:
            scan = commands.line("immich", "scan", "--name", name) + " --url ADDRESS"
            raise Refused(
                Reason.NOT_ALLOWED, f"no server {name!r} is known here, and a key goes to none else; to get it known: {scan}"
            )
        return known[name]

    def _close(self, name: str) -> None:
        found = self._open.get(name)
        if isinstance(found, Client):
            found.close()
