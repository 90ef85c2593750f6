"""The configuration of a program that embeds orientd: its defaults and what is passed, whatever files and variables say."""

import os
import re
from typing import Final

from orientd.config import ENVIRONMENT_PREFIX, Config, load
from orientd.errors import ConfigError

_FLAG: Final = re.compile(r"^--([a-z-]+)", re.MULTILINE)


def settings(**given: object) -> Config:
    """Raises ConfigError, with the name of each option that cannot have its value."""
    places = {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
    try:
        return load(os.devnull, places, given)
    except ConfigError as error:
        raise ConfigError(_FLAG.sub(lambda flag: flag[1].replace("-", "_"), str(error))) from error
