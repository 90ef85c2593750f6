"""Tokens that who asks over the network must know: a word in a file, or as it was given."""

from pathlib import Path
from typing import Final

from orientd.errors import ConfigError

SHORTEST: Final = 16


def read(file: str, source: str) -> str:
    """The word in a file; `source` is the option that named it, for messages.

    Raises:
        ConfigError: it cannot be read, or holds anything else.
    """
    place = f"{source}: {file if file.isprintable() else ascii(file)}"
    try:
        text = Path(file).read_text(encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{place} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        text = ""
    return checked(text, place)


def checked(text: str, source: str) -> str:
    """The word that a text holds.

    Raises:
        ConfigError: it is none, or too short to keep anybody out.
    """
    token = text.strip()
    if len(token) < SHORTEST or not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError(
            f"{source} must hold one word of at least {SHORTEST} letters, digits or signs, such as openssl rand -hex 16 prints"
        )
    return token
