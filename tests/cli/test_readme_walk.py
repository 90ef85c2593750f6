"""The commands of the README run as typed, in a home of their own and from another folder, and print what it shows."""

import re
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support import sky_library

from orientd.cli.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
HOME = "/home/me"


def walk(text):
    """The commands of the section, each with the lines that it prints."""
    section = text.partition("\n## A first walk\n")[2].partition("\n## ")[0]
    steps = []
    for line in "".join(re.findall(r"^```console\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)).splitlines():
        if line.startswith("$ "):
            steps.append((line.removeprefix("$ "), []))
        else:
            steps[-1][1].append(line)
    return steps


README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = walk(README)
COMMANDS = [command for command, _ in STEPS]
TO_BE_TYPED = re.findall(r"^```sh\n(.+)\n```$", README, re.MULTILINE)
(ON_THE_PATH,) = (command for command in TO_BE_TYPED if command.startswith("export PATH="))
(UNINSTALL,) = (command for command in TO_BE_TYPED if command.startswith("rm -r "))


def comparable(lines):
    """Lines without what differs from run to run: numbers, dates, and how wide a column is."""
    return [re.sub(r"\s+", " ", re.sub(r"\d(?:[\d,.-]*\d)?", "#", line)).strip() for line in lines]


@pytest.fixture
def home(tmp_path):
    """A person's, who has installed orientd as the README says, and photos, three of them as in the walk."""
    folder = tmp_path / "home"
    script = folder / ".orientd" / "bin" / "orientd"
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{sys.executable}\nfrom orientd.cli.main import main\nmain()\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (folder / "elsewhere").mkdir()
    wrong = {"2023/harbor": 90, "2023/island": 180, "2024/summit": 270}
    for seed, (name, turn) in enumerate([*wrong.items(), *((f"2024/{number}", 0) for number in range(9))]):
        sky_library.draw(folder / "Pictures" / f"{name}.jpg", turn, by_tag=seed % 2 == 0, seed=seed)
    return folder


def run(home, model, typed):
    """What a person types in a shell of that home, in another folder."""
    return subprocess.run(
        ["bash", "-c", f"{ON_THE_PATH}\n{typed}"],
        cwd=home / "elsewhere",
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "ORIENTD_MODEL": str(model), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.mark.parametrize("option", ["", "--state-dir"])
def test_the_walk_works_as_typed_and_prints_what_the_readme_shows(home, model, tmp_path, option):
    more = f" {option} {shlex.quote(str(tmp_path / 'the state'))}" if option else ""
    before = sky_library.snapshot(home / "Pictures")
    for command, shown in STEPS:
        typed = re.sub(r"^orientd \w+", lambda words: words[0] + more, command)
        done = run(home, model, typed)
        assert (done.returncode, done.stderr) == (0, ""), typed
        printed = done.stdout.replace(more, "").replace(str(home), HOME).splitlines()
        assert comparable(printed) == comparable(shown), typed
        if command.startswith("orientd apply"):
            assert {sky_library.shown_turned(path) for path in (home / "Pictures").rglob("*.jpg")} == {0}
    assert {path: entry[0] for path, entry in sky_library.snapshot(home / "Pictures").items()} == {
        path: entry[0] for path, entry in before.items()
    }
    assert (home / ".local" / "state" / "orientd").exists() != bool(option)


def test_it_is_a_walk():
    """So that the test above cannot pass by finding nothing."""
    verbs = [command.split()[1] if command.startswith("orientd") else command.split()[0] for command in COMMANDS]
    assert verbs == ["scan", "grep", "apply", "verify", "undo"]
    assert all(shown for _, shown in STEPS)


def test_other_words_are_noticed():
    assert comparable([" 1,234  not   sure ", "orientd-20261129-183012.csv"]) == ["# not sure", "orientd-#.csv"]
    assert comparable(["3 photos are sideways or upside down."]) != comparable(["3 photos were sideways or upside down."])


def test_uninstalling_leaves_photos_and_what_undo_needs(home, model):
    before = sky_library.snapshot(home / "Pictures")
    assert run(home, model, "orientd history").returncode == 0
    done = run(home, model, UNINSTALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(home, model, "orientd history").returncode == 127
    assert sky_library.snapshot(home / "Pictures") == before
    assert (home / ".local" / "state" / "orientd").exists()


def test_the_first_command_installs_where_the_others_look():
    assert "python3 -m venv ~/.orientd && ~/.orientd/bin/pip install" in TO_BE_TYPED[0]
    assert ON_THE_PATH == 'export PATH="$HOME/.orientd/bin:$PATH"'


NOT_RUN = (
    "review",  # it serves until it is stopped: tests/web
    "serve",  # so does it: tests/web/service
    "watch",  # it watches until it is stopped: tests/watch
    "service",  # it changes the machine: tests/watch
    "immich",  # it needs a server: tests/immich
    "completion",  # its script is for the shell that sources it
)
NOT_DONE = {"undo": 2, "doctor --provider cuda": 1, "status --check": 12}  # nobody to ask, no such card, no watcher


def test_every_example_works_as_typed(home, model):
    shutil.copy(home / "Pictures" / "2023" / "harbor.jpg", home / "elsewhere" / "photo.jpg")
    shutil.copy(model, home / "elsewhere" / "mine.onnx")
    for part in ("1", "2"):
        assert run(home, model, f"orientd scan ~/Pictures --shard {part}/2 --report part{part}.csv").returncode == 0
    for command in ("orientd scan ~/Pictures --fix", "orientd undo --yes"):
        assert run(home, model, command).returncode == 0
    (home / "Scans").mkdir()
    (home / ".config" / "orientd").mkdir(parents=True)
    (home / ".config" / "orientd" / "orientd.yaml").write_text("workers: 1\n")
    codes = {}
    for line, _ in (example for examples in EXAMPLES.values() for example in examples):
        if line.split()[0] not in NOT_RUN:
            codes[line] = run(home, model, f"orientd {line}").returncode
    assert {line: code for line, code in codes.items() if code} == NOT_DONE
