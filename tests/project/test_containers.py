"""The container files and the guides: what they say is there, their commands are those of orientd, and do what the guides say."""

import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
import yaml
from support import docker_stand_in as docker
from support import sky_library

from orientd.cli.main import cli

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "containers"
COMPOSE = sorted(FOLDER.glob("*.yaml"))
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
CONTAINERFILE = (FOLDER / "Containerfile").read_text(encoding="utf-8")
OURS = [(file, name) for file in COMPOSE for name, each in docker.services([file], {}).items() if each.get("image") == "orientd"]
each_service = pytest.mark.parametrize(("file", "name"), OURS, ids=lambda value: value if isinstance(value, str) else value.stem)


def parsed(words):
    """The command that these words call, as click understands it, and its values.

    Raises:
        click.UsageError: there is no such command, or no such option.
    """
    command, context = cli, None
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found, words
        command, words = found, words[1:]
    context = click.Context(command)
    command.parse_args(context, list(words))
    return command.name, context.params


def commands(service):
    """The words of every orientd that it runs, without the program."""
    if "entrypoint" not in service:
        return [service["command"]]
    (script,) = service["command"]
    return [shlex.split(line)[1:] for line in script.splitlines() if line.strip().startswith("orientd ")]


def fields(text, name):
    """What stands behind a word at the beginning of a line of a Containerfile."""
    return re.findall(rf"^{name} (.+)$", text, re.MULTILINE)


@each_service
def test_the_commands_are_orientds(file, name):
    service = docker.services([file], {})[name]
    assert commands(service)
    for words in commands(service):
        parsed(words)


def test_a_wrong_option_is_noticed():
    with pytest.raises(click.UsageError):
        parsed(["scan", "/photos", "--no-such-option"])
    assert parsed(["immich", "scan", "--report", "/state"])[0] == "scan"


@each_service
def test_the_volumes_are_those_of_the_image_and_are_written_only_to_fix(file, name):
    raw = yaml.safe_load(file.read_text())
    service = docker.services([file], {})[name]
    volumes = [volume.split(":") for volume in service["volumes"]]
    assert {place for _, place, *_ in volumes} <= {"/photos", "/state"}
    named = {source for source, *_ in volumes if not source.startswith(("/", "."))}
    assert named == set(raw.get("volumes") or ())
    photos = [mode for _, place, *mode in volumes if place == "/photos"]
    (kind, values), *_ = map(parsed, commands(service))
    may_write = bool(values.get("fix")) or kind in ("review", "status")
    assert photos in ([[]] if may_write else [["ro"]], [])


@each_service
def test_nobody_has_more_rights_than_needed(file, name):
    service = docker.services([file], {})[name]
    assert service["user"] == "1000:1000"
    assert (service["read_only"], service["tmpfs"], service["cap_drop"], service["init"]) == (True, ["/tmp"], ["ALL"], True)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    needs_network = "ORIENTD_IMMICH_URL" in service["environment"] or "ports" in service
    assert needs_network or service["network_mode"] == "none"


@each_service
def test_only_a_watcher_is_asked_for_its_health(file, name):
    service = docker.services([file], {})[name]
    ((check, words),) = re.findall(r"^HEALTHCHECK (.*) CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)
    image = dict(option.lstrip("-").replace("-", "_").split("=") for option in check.split())
    watches = any(words[0] == "watch" for words in commands(service))
    assert service["healthcheck"] == ({"test": ["CMD", *yaml.safe_load(words)], **image} if watches else {"disable": True})
    parsed(yaml.safe_load(words)[1:])


def test_the_image_has_what_the_package_is_built_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [*wheel["packages"], *wheel["force-include"], *wheel["shared-data"], project["project"]["readme"], "LICENSE"]
    copied = [source for line in fields(CONTAINERFILE, "COPY") if "--from" not in line for source in line.split()[:-1]]
    assert all((ROOT / source).exists() for source in copied)
    assert [path for path in needed if not any(path == each or path.startswith(each + "/") for each in copied)] == []
    extras = fields(CONTAINERFILE, "ARG EXTRAS=cpu,web,immich,pages") or CONTAINERFILE.partition("ARG EXTRAS=")[2].split()[:1]
    assert set(extras[0].split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_image_is_run_by_nobody_special_and_names_no_processor():
    assert fields(CONTAINERFILE, "USER") == ["1000:1000"]
    assert fields(CONTAINERFILE, "FROM") == ["${BASE} AS build", "${BASE}"]
    assert not re.search(r"amd64|x86_64|--platform", CONTAINERFILE)
    words = [*yaml.safe_load(fields(CONTAINERFILE, "ENTRYPOINT")[0]), *yaml.safe_load(fields(CONTAINERFILE, "CMD")[0])]
    assert words == ["orientd", "watch", "/photos"]


def test_the_image_for_a_card_differs_in_the_extra_and_the_environment_alone():
    cuda = (FOLDER / "Containerfile.cuda").read_text(encoding="utf-8")
    plain, other = ([line for line in text.splitlines() if not line.startswith("#")] for text in (CONTAINERFILE, cuda))
    changes = [line for line in difflib.ndiff(plain, other) if line[0] in "+-"]
    assert [line.split("=")[0].strip() for line in changes] == [
        "- ARG EXTRAS",
        "+ ARG EXTRAS",
        "+     ORIENTD_PROVIDER",
        "+     NVIDIA_VISIBLE_DEVICES",
        "+     NVIDIA_DRIVER_CAPABILITIES",
    ]


def test_the_template_for_unraid():
    found = ElementTree.parse(FOLDER / "unraid.xml").getroot()
    kind, values = parsed(shlex.split(found.findtext("PostArgs")))
    modes = {each.get("Target"): each.get("Mode") for each in found.iter("Config") if each.get("Type") == "Path"}
    assert (kind, values["fix"], modes) == ("watch", None, {"/photos": "ro", "/state": "rw"})
    assert "--user 99:100" in found.findtext("ExtraParams")


@pytest.fixture
def home(tmp_path, model, monkeypatch):
    """A home with photos, the source in ~/orientd, `orientd` and a stand-in for docker on the path; runs what is typed."""
    folder = tmp_path / "home"
    programs = {
        "orientd": "from orientd.cli.main import main\nmain()\n",
        "docker": f"sys.path[:0] = [{str(ROOT / 'tests')!r}]\nfrom support.docker_stand_in import main\nmain(sys.argv[1:])\n",
    }
    (folder / "bin").mkdir(parents=True)
    for name, text in programs.items():
        (folder / "bin" / name).write_text(f"#!{sys.executable}\nimport sys\n{text}")
        (folder / "bin" / name).chmod(0o755)
    for seed, turn in enumerate((90, 0, 180, 0, 270)):
        sky_library.draw(folder / "Pictures" / f"{seed}.jpg", turn, by_tag=seed % 2 == 0, seed=seed)
    shutil.copytree(FOLDER, folder / "orientd" / "containers", ignore=shutil.ignore_patterns(".env"))
    (folder / "immich").mkdir()
    (folder / "immich" / "docker-compose.yml").write_text("services: {immich-server: {image: immich}}\n")
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    for name, value in {**environment, "ORIENTD_MODEL": str(model)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ORIENTD_STATE_DIR", raising=False)

    def typed(text, place="orientd"):
        done = subprocess.run(["bash", "-ec", text], cwd=folder / place, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, (text, done.stdout, done.stderr)
        return done.stdout

    typed.folder = folder
    return typed


def fences(guide):
    """The commands of a guide, fence by fence, but for those that a comment before the fence says are not run."""
    text = guide.read_text(encoding="utf-8")
    found = re.findall(r"^(<!-- not run: .+ -->\n)?```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [typed for left_out, typed in found if not left_out]


@pytest.mark.parametrize("guide", [guide for guide in GUIDES if fences(guide)], ids=lambda guide: guide.stem)
def test_the_commands_of_a_guide_work_as_typed(home, guide):
    text, pictures = guide.read_text(encoding="utf-8"), home.folder / "Pictures"
    before = [path.read_bytes() for path in sorted(pictures.glob("*.jpg"))]
    said = "".join(home(each, "immich" if "docker-compose.yml" in each else "orientd") for each in fences(guide))
    assert (home.folder / "orientd-state" / "plan.html").exists() == ("run --rm scan" in text)
    if "undo --yes" in text:
        assert "3 photos have their old bytes back." in said
    if "orientd apply" in text and "undo --yes" not in text:
        assert {sky_library.shown_turned(path) for path in pictures.glob("*.jpg")} == {0}
    else:
        assert [path.read_bytes() for path in sorted(pictures.glob("*.jpg"))] == before


def test_there_are_guides_with_commands():
    """So that the tests above cannot pass by finding nothing."""
    assert {"containers", "immich-library", "photoprism"} <= {guide.stem for guide in GUIDES if fences(guide)}
    assert len(OURS) >= 9


def test_the_nightly_scan(home, monkeypatch):
    state = home.folder / "state"
    state.mkdir()
    known = {"PHOTOS": str(home.folder / "Pictures"), "STATE": str(state)}
    service = docker.services([FOLDER / "compose.yaml"], known)["night"]
    (script,) = service["command"]
    once = f'sleep() {{ [ "$1" -gt 0 ] && [ "$1" -le 97200 ] || exit 9; [ ! -e slept ] || exit 7; touch slept; }}\n{script}'
    old = state / "orientd-20200101-030000.csv"
    old.touch()
    os.utime(old, (0, 0))
    assert docker.run(service, [once]).returncode == 7
    assert not old.exists()
    assert len(list(state.glob("orientd-*.html"))) == len(list(state.glob("orientd-*.csv"))) == 1
