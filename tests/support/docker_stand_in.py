"""Stands in for docker where none can run: what a compose file says is checked and run without a container.

`docker compose -f FILE… build`, `up -d` and `run --rm SERVICE [WORDS…]` are what it understands. A service runs as a process that
sees, in place of the folders in the container, those that are mounted there; one that is to stay is only checked.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::-([^}]*))?\})")


def variables(folder):
    """The environment with the lines of `.env` in the folder of the first compose file."""
    file = folder / ".env"
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines if line) | dict(os.environ)


def filled(value, known):
    """A value of a compose file with its variables, ${NAME} and ${NAME:-default}; $$ is a dollar sign."""
    if isinstance(value, dict):
        return {key: filled(each, known) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, known) for each in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: (known.get(found[1]) or found[2] or "") if found[1] else "$", value)


def services(files, known):
    """The services of compose files by name, with their variables filled in; what several say of one is merged."""
    found = {}
    for file in files:
        for name, service in filled(yaml.safe_load(Path(file).read_text()), known)["services"].items():
            found[name] = found.get(name, {}) | service
    return found


def mounted(service):
    """What lies where in the container: {"/photos": "/srv/photos", …}."""
    return {place: source for source, place, *_ in (volume.split(":") for volume in service.get("volumes", []))}


def words_of(service, words=None):
    """What runs: the entry point and the command, or `words` in its place."""
    return [*service.get("entrypoint", ["orientd"]), *(words or service["command"])]


def elsewhere(word, places):
    """A word in which paths of the container are those of this machine."""
    for place, source in places.items():
        word = re.sub(rf"(?<![\w.]){re.escape(place)}(?=[/\s'\"]|$)", lambda _, source=source: source, word)
    return word


def run(service, words=None, **more):
    """Run it here, as its process would run there."""
    places = mounted(service)
    environment = os.environ | {"STATE_DIRECTORY": places["/state"]} | service.get("environment", {})
    typed = [elsewhere(word, places) for word in words_of(service, words)]
    return subprocess.run(typed, cwd=places["/state"], env=environment, check=False, **more)


def main(words):
    if words[0] != "compose":
        sys.exit(f"docker {shlex.join(words)}: not understood")
    files, words = [], words[1:]
    while words[0] in ("-f", "--profile"):
        files += [Path(words[1])] if words[0] == "-f" else []
        words = words[2:]
    found = services(files, variables(files[0].resolve().parent))
    if words[0] == "run":
        assert words[1] == "--rm"
        sys.exit(run(found[words[2]], words[3:]).returncode)
    assert words in (["build"], ["up", "-d"]), words
    for service in found.values():
        build = service.get("build")
        assert not build or (files[0].parent / build["context"] / build["dockerfile"]).is_file(), build


if __name__ == "__main__":
    main(sys.argv[1:])
