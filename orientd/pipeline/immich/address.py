"""Where a server of Immich is: its address, the short name that paths of its photos begin with, and the key to it."""

import ipaddress
import os
import re
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from orientd.errors import ConfigError
from orientd.records import Notify

CREDENTIAL: Final = "immich-key"
"""The name of the key among the credentials of systemd (`LoadCredential=immich-key:FILE`)."""
SCHEME: Final = "immich:"
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:\[\]_-]{0,80}")
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY: Final = re.compile(r"[!-~]{8,512}")


class Key:
    """A secret that no message, log or traceback shows."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Key(…)"


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it is kept: never its key, only where that is. `key_file` is empty for the credential of the service."""

    name: str
    url: str
    key_file: str = ""
    ca_file: str = ""


def path_of(server: str, photo: str, name: str) -> str:
    """The path of a photo in reports and in the journal; a slash in its name would look like a folder."""
    shown = "".join(letter if letter.isprintable() and letter != "/" else "_" for letter in name)
    return f"{SCHEME}{server}/{photo}/{shown if shown.strip('.') else '_'}"


def parts_of(path: str) -> tuple[str, str]:
    """The name of the server and the id of the photo.

    Raises:
        ValueError: it is no path of a photo in Immich.
    """
    server, photo, *_ = [*path.removeprefix(SCHEME).split("/", 2), ""]
    if not path.startswith(SCHEME) or not NAME.fullmatch(server) or not _ID.fullmatch(photo):
        raise ValueError(f"{path!r:.120} is no path of a photo in Immich")
    return server, photo


def address(text: str) -> str:
    """The address of a server as its pages have it, or its API, without the end `/api`.

    Raises:
        ConfigError: it is no address.
    """
    wrong = ConfigError(f"{text!r:.120} is no address of an Immich server: give one such as https://photos.example.com")
    try:
        found = urlsplit(text.strip())
        port = found.port
    except ValueError as error:
        raise wrong from error
    bare = found.scheme in ("http", "https") and found.hostname and not (found.query or found.fragment)
    if not bare or found.username is not None or found.password is not None:
        raise wrong
    host = f"[{found.hostname}]" if ":" in str(found.hostname) else found.hostname
    place = found.path.rstrip("/").removesuffix("/api").rstrip("/")
    return f"{found.scheme}://{host}" + (f":{port}" if port else "") + place


def name_of(url: str) -> str:
    """The name that a server has where it is given none: its host, and its port where that is not the usual one."""
    return urlsplit(url).netloc.replace("[", "").replace("]", "").lstrip(":")


def warn_of(url: str, notify: Notify, resolve: Callable[[str], list[str]] | None = None) -> None:
    """Warn where the key goes unencrypted over a network of others."""
    found = urlsplit(url)
    host = found.hostname or ""
    if found.scheme == "http" and any(map(_is_public, (resolve or _addresses)(host))):
        notify(f"{url} is not encrypted and no private network: whoever sees the traffic gets the key; use https")


def read_key(server: Server, notify: Notify, environment: Mapping[str, str] = os.environ) -> Key:
    """The key of a server, from its file or from the credential of the service.

    Raises:
        ConfigError: there is none, or it is none.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY", "")
    file = server.key_file or (os.path.join(folder, CREDENTIAL) if folder else "")
    if not file:
        also = f"; the credential {CREDENTIAL} is that of the configured server (immich_url)"
        raise ConfigError(f"where is the key of {server.url}? Name its file: --key-file FILE, or immich_key_file{also}")
    try:
        with open(file, encoding="ascii") as opened:
            open_to_all = bool(server.key_file and os.fstat(opened.fileno()).st_mode & stat.S_IROTH)
            text = opened.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{file} cannot be read: {why}: is it the file of the key of Immich?") from None
    if not _KEY.fullmatch(text):
        raise ConfigError(f"{file} holds no key of Immich: it must hold one line, as Immich shows it once, and no more")
    if open_to_all:
        notify(f"every user of this machine can read {file}, and so the photos that the key is for: chmod 600 it")
    return Key(text)


def _addresses(host: str) -> list[str]:
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)]
    except OSError:  # connecting will report that
        return []


def _is_public(text: str) -> bool:
    return ipaddress.ip_address(text.split("%")[0]).is_global
