"""Settings: `options` says which there are, `loading` merges what files, the environment and flags give for them."""

from orientd.config.loading import ENVIRONMENT_PREFIX, TOKEN_VARIABLE, check_modes, load, origins
from orientd.config.options import HELP, HOOKS, HOURS, OF_MODEL, OPTIONS, PATHS, Config
from orientd.config.places import cache_directory, config_directory, data_directory, usual_state_directory

__all__ = [
    "ENVIRONMENT_PREFIX",
    "HELP",
    "HOOKS",
    "HOURS",
    "OF_MODEL",
    "OPTIONS",
    "PATHS",
    "TOKEN_VARIABLE",
    "Config",
    "cache_directory",
    "check_modes",
    "config_directory",
    "data_directory",
    "load",
    "origins",
    "usual_state_directory",
]
