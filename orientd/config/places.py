"""Where the configuration, the state and the other files of orientd are, by what the environment says."""

import os
from collections.abc import Mapping
from pathlib import Path


def default_file(environment: Mapping[str, str]) -> str:
    """Where systemd says (ConfigurationDirectory=, see systemd.exec(5); the first of several), else the user's own."""
    service = environment.get("CONFIGURATION_DIRECTORY", "").split(":")[0]
    return os.path.join(service or os.path.join(config_directory(environment), "orientd"), "orientd.yaml")


def state_directory(environment: Mapping[str, str]) -> str:
    """Where systemd says (StateDirectory=, see systemd.exec(5); the first of several), else the user's own."""
    return environment.get("STATE_DIRECTORY", "").split(":")[0] or usual_state_directory(environment)


def usual_state_directory(environment: Mapping[str, str]) -> str:
    """The user's own folder for the journal and the memory of photos: $XDG_STATE_HOME/orientd."""
    return os.path.join(_base(environment, "XDG_STATE_HOME", ".local/state"), "orientd")


def config_directory(environment: Mapping[str, str]) -> str:
    """The user's own folder for the configuration of all programs: $XDG_CONFIG_HOME."""
    return _base(environment, "XDG_CONFIG_HOME", ".config")


def data_directory(environment: Mapping[str, str]) -> str:
    """The user's own folder for what orientd was given to keep, such as models: $XDG_DATA_HOME/orientd."""
    return os.path.join(_base(environment, "XDG_DATA_HOME", ".local/share"), "orientd")


def at_home(path: str, environment: Mapping[str, str]) -> str:
    """The path; where it begins with ~, below the home that the environment names."""
    home = environment.get("HOME", "")
    return home + path[1:] if home and (path + "/").startswith("~/") else os.path.expanduser(path)


def cache_directory(environment: Mapping[str, str]) -> str:
    """Where systemd says (CacheDirectory=, see systemd.exec(5); the first of several), else $XDG_CACHE_HOME/orientd."""
    service = environment.get("CACHE_DIRECTORY", "").split(":")[0]
    return service or os.path.join(_base(environment, "XDG_CACHE_HOME", ".cache"), "orientd")


def _base(environment: Mapping[str, str], variable: str, below_home: str) -> str:
    """A folder of the XDG Base Directory Specification, which says that a relative path counts as not given."""
    folder = environment.get(variable, "")
    return folder if os.path.isabs(folder) else os.path.join(environment.get("HOME") or Path.home(), below_home)
