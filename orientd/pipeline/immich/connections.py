"""The servers that a command may ask, by their names: only those that were configured, each greeted once."""

import os
import threading
from collections.abc import Sequence
from math import inf

from orientd import commands
from orientd.config import Config
from orientd.errors import OrientdError, PhotoError, Refused
from orientd.pipeline.immich import servers
from orientd.pipeline.immich.address import Server, address, name_of, read_key, warn_of
from orientd.pipeline.immich.client import PATIENCE, READING, Client, Clock
from orientd.reasons import Reason
from orientd.records import Notify


def configured(config: Config) -> Server | None:
    """The server of the configuration; None if it names none. Raises ConfigError for what is no address."""
    if not config.immich_url:
        return None
    url = address(config.immich_url)
    key_file, ca_file = (file and os.path.abspath(file) for file in (config.immich_key_file, config.immich_ca_file))
    return Server(config.immich_name or name_of(url), url, key_file, ca_file)


class Connections:
    """Opens a client when its server is asked for first, for several threads at once. `close` closes them all."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        notify: Notify,
        needed: Sequence[str] = READING,
        *,
        patience: float = PATIENCE,
        again_after: float = inf,
    ) -> None:
        """`needed` are the permissions that a key must have, `patience` is as `Client` has it. A server that could not be used is
        tried again after so many seconds."""
        self._config, self._clock, self._notify, self._needed = config, clock, notify, needed
        self._patience, self._again_after, self._lock = patience, again_after, threading.Lock()
        self._open: dict[str, Client] = {}
        self._failed: dict[str, tuple[float, OrientdError | PhotoError]] = {}
        self._greeted: set[str] = set()

    def __call__(self, name: str) -> Client:
        """The client of a server that was scanned before, or is configured, by its name.

        Raises:
            Refused: there is none of that name, and a key goes nowhere else.
            OrientdError: it cannot be used now.
        """
        with self._lock:
            if name not in self._greeted:
                self._greet(name)
            return self._open[name]

    def connect(self, server: Server) -> Client:
        """A client that is not greeted. Raises OrientdError for a key or a file of certificates that cannot be used.

        The credential of systemd is the key of the configured server, and goes to no other that was scanned before.
        """
        warn_of(server.url, self._notify)
        here = configured(self._config)
        environment = os.environ if here and here.url == server.url else {}
        return Client(server, read_key(server, self._notify, environment), self._clock, self._patience)

    def close(self) -> None:
        for client in list(self._open.values()):
            client.close()

    def _greet(self, name: str) -> None:
        failed_at, earlier = self._failed.get(name, (-inf, None))
        if earlier and self._clock.now() < failed_at + self._again_after:
            raise earlier
        try:
            if name not in self._open:
                self._open[name] = self.connect(self._known(name))
            self._open[name].greet(self._needed)
        except (OrientdError, PhotoError) as error:
            self._failed[name] = self._clock.now(), error
            raise
        self._greeted.add(name)

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
