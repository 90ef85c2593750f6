"""What orientd prints to be run works as printed: the same program, the same journal, the same rules."""

import ast
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support import sky_library

from orientd import commands
from orientd.cli.invocation import program
from orientd.cli.main import cli

ROOT = Path(__file__).parents[2]
ODD = 'it\'s a "state" of $HOME'
WAYS = {
    "by name": "orientd",
    "by path": "'./my tools/orientd'",
    "by a whole path": "{tmp}/elsewhere/orientd",
    "by module": "{python} -m orientd",
}


class Shell:
    """A shell in a home of its own, to whom `orientd` is known."""

    def __init__(self, folder, model, way):
        self.folder, self.orientd = folder, way.format(tmp=folder, python=sys.executable)
        for place in ("bin", "my tools", "elsewhere"):
            script = folder / place / "orientd"
            script.parent.mkdir()
            script.write_text(f"#!{sys.executable}\nfrom orientd.cli.main import main\nmain()\n")
            script.chmod(script.stat().st_mode | stat.S_IXUSR)
        path = f"{folder}/bin:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(folder), "ORIENTD_MODEL": str(model), "PYTHONPATH": str(ROOT)}
        self.code = 0

    def run(self, line):
        """All that it prints."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True, errors="surrogateescape"
        )
        self.code = done.returncode
        return done.stdout + done.stderr

    def printed(self, text):
        """The commands in a text: from the name of the program to the end of the line.

        Click's summary of the arguments of one, which may go on in a second line, is none.
        """
        lines = [line for line in text.splitlines() if self.orientd + " " in line and not line.startswith("Usage: ")]
        return [line[line.index(self.orientd + " ") :] for line in lines]


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def shell(request, tmp_path, model):
    return Shell(tmp_path, model, request.param)


def test_apply_and_undo_as_printed_keep_to_their_library_and_their_rules(shell, tmp_path, photos):
    """A first library was put right by the usual journal, which no printed command of the second may touch."""
    first, photo = tmp_path / "first", photos / "a.jpg"
    sky_library.draw(first / "a.jpg", 90)
    sky_library.draw(photo, 90)
    os.link(photo, tmp_path / "another name.jpg")
    before = sky_library.snapshot(photos)
    shell.run(f"{shell.orientd} scan first --fix --report first.csv")
    kept = sky_library.snapshot(first)
    options = f"--state-dir {commands.quoted(ODD)} --hard-links --mtime keep"
    (apply,) = shell.printed(shell.run(f"{shell.orientd} scan photos --report {commands.quoted('-its plan.csv')} {options}"))
    (undo,) = shell.printed(shell.run(apply))
    assert (shell.code, sky_library.shown_turned(photo)) == (0, 0)
    assert sky_library.snapshot(photos)[str(photo)][1] == before[str(photo)][1], "--mtime keep"
    assert re.search(r"undo 1\b", undo)
    shell.run(undo)
    assert (shell.code, sky_library.snapshot(photos)) == (0, before)
    assert sky_library.snapshot(first) == kept


SITUATIONS = {
    "no run named": "undo",
    "no such run": "undo 99",
    "not taken back": "redo 1",
    "nothing of it": "undo 1 --file elsewhere.jpg",
    "a copy for each": "scan photos/b.png --fix --method rotate --report r.csv",
    "copies kept": "status",
    "nothing to offer": "offer 1",
    "the copies to delete": "forget",
    "none to delete": "forget 99",
    "a folder": "inspect photos",
    "no such model": "models remove nowhere",
    "no such option": "undo --wrong",
}


@pytest.mark.parametrize("shell", ["{python} -m orientd"], indirect=True)
def test_every_command_runs_as_printed(shell, photos, tmp_path):
    sky_library.draw(photos / "a.jpg", 90)
    sky_library.draw(photos / "b.png", 90, by_tag=False, kind="PNG")
    (tmp_path / "odd.yaml").write_text("workers: 1\n")
    options = f"--config odd.yaml --state-dir {commands.quoted(ODD)}"
    shell.run(f"{shell.orientd} scan photos/a.jpg --fix --report 1.csv {options}")
    found = set()
    for situation in SITUATIONS.values():
        found.update(shell.printed(shell.run(f"{shell.orientd} {situation} {options if 'wrong' not in situation else ''}")))
    tails = {command.removeprefix(shell.orientd + " ").split(" --state-dir")[0] for command in found}
    assert tails >= {"history", "undo 2", "forget 2", "scan photos", "models"}, tails
    for command in sorted(found, reverse=True):  # undo before forget
        told = shell.run(command.partition("'")[0] if "--help" in command else command)
        if "no terminal to ask on" in told:
            (command,) = shell.printed(told)
            shell.run(command)
        assert shell.code == 0, command
    assert not (tmp_path / ".local/state").exists(), "the usual journal has nothing to do with it"


def test_a_state_folder_that_the_environment_named_is_named_in_what_is_printed(orientd, photos, tmp_path, monkeypatch, capsys):
    """The shell it is typed into does not have the environment of a service."""
    sky_library.draw(photos / "a.jpg", 90)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert orientd("scan", photos, "--fix", "--report", tmp_path / "1.csv") == 0
    assert f"  orientd undo 1 --state-dir {tmp_path / 'state'}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("name", ["a b", "it's", "$HOME", "tab\there", "line\nbreak", "caf\udce9", "\u202eback\\slash'", "-x"])
def test_a_word_comes_through_a_shell_and_can_be_shown(name):
    word = commands.quoted(name)
    assert word.isprintable()
    echoed = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True).stdout
    assert echoed == os.fsencode(name)


def test_the_program_is_named_as_it_was_called(tmp_path, monkeypatch):
    (tmp_path / "orientd").write_text("#!/bin/sh\n")
    (tmp_path / "orientd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program([f"{tmp_path}/orientd"], []) == ["orientd"]
    assert program([f"{tmp_path}/other/orientd"], []) == [f"{tmp_path}/other/orientd"]
    assert program(["/lib/orientd/__main__.py", "scan"], ["python3", "-m", "orientd", "scan"]) == ["python3", "-m", "orientd"]


def test_without_a_command_line_it_is_a_bare_name():
    assert commands.line("undo", 3) == "orientd undo 3"


def told(source):
    """The texts of a module, but for documentation: docstrings, and what explains options and commands in the help."""
    tree = ast.parse(source)
    skipped = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped
    ]


def test_no_text_names_a_command_by_itself():
    """All come from `orientd.commands`. The help texts of the options tell of commands, and are none."""
    known = re.compile(rf"\borientd ({'|'.join(cli.commands)})\b")
    help_texts, comment = ROOT / "orientd" / "config" / "options.py", "# Written by"
    found = [
        f"{file}: {text}"
        for file in sorted((ROOT / "orientd").rglob("*.py"))
        if file != help_texts
        for text in told(file.read_text(encoding="utf-8"))
        if known.search(text) and not text.startswith(comment)
    ]
    assert found == []
    assert known.search("to undo it: orientd undo")
