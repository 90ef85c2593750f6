"""The configuration of a program that embeds orientd: its defaults and what is passed, whatever files and variables say."""

import os

from orientd.config import ENVIRONMENT_PREFIX, Config, load


def settings(**given: object) -> Config:
    """Raises ConfigError, with the name of each option that cannot have its value."""
    places = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    return load(os.devnull, places, given)
