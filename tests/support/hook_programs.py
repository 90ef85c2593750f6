"""Programs for hooks, each noting what it was given."""

import json
import sys
from pathlib import Path

_NOTING = """#!{python}
import json, os, sys
given = sys.stdin.read()
with open({notes!r}, "a") as notes:
    print(json.dumps({{"arguments": sys.argv[1:], "given": given, "folder": os.getcwd()}}), file=notes)
print("all is well")
"""


def noting(folder, name="tell"):
    """A program that notes its arguments and its standard input; and the file of its notes."""
    program, notes = Path(folder, name), Path(folder, f"{name}.notes")
    program.write_text(_NOTING.format(python=sys.executable, notes=str(notes)))
    program.chmod(0o755)
    return program, notes


def shell(folder, text, name="hook.sh"):
    program = Path(folder, name)
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def noted(notes):
    """What was noted, call by call; `facts` is what it was given, read as JSON."""
    if not notes.exists():
        return []
    calls = [json.loads(line) for line in notes.read_text().splitlines()]
    return [call | {"facts": json.loads(call["given"])} for call in calls]
