"""Which files two checkouts plan different changes for: only these need a new survey, as everything else is the same.

    python -m benchmarks.refusals.planned FOLDER --before CHECKOUT --after CHECKOUT --out changed.txt
    python -m benchmarks.refusals.run FOLDER --only changed.txt …

A change is planned for a quarter and for half a turn; what is compared is the file that each leads to, to the byte, or why it is
refused, with what is read before (format and stored orientation). Writes the hashes of files.tsv, one a line. How a plan is
proved and reaches the disk is not compared: a checkout that changes that is surveyed whole.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT
from benchmarks.refusals.files import fitting, read_list


def planned(data: bytes) -> list[Any]:
    """What the orientd that is imported reads of a file, and for each turn the hash of what it would become, or the reason."""
    from orientd import formats, orientation

    kind = formats.sniff(data)
    stored = formats.stored_orientation(kind, data)
    said: list[Any] = [str(kind), stored]
    for turn in (90, 180):
        try:
            changed = formats.plan(kind, data, orientation.turned(stored, turn)).apply(data)
            said.append(hashlib.sha256(changed).hexdigest())
        except Exception as error:  # a parser's bug is a difference, too
            said.append(f"{type(error).__name__}: {error}")
    return said


def answers(folder: Path) -> dict[str, list[Any]]:
    """By hash."""
    return {each.blob: planned(each.place(folder).read_bytes()) for each in fitting(read_list(), folder)}


def _asked(checkout: Path, folder: Path) -> dict[str, list[Any]]:
    """What the orientd of a checkout answers, in a process of its own that has this script's list."""
    script = (
        f"import sys, json; from pathlib import Path; sys.path.insert(0, {str(checkout)!r}); import orientd.formats;"
        f"sys.path[0] = {str(ROOT)!r}; from benchmarks.refusals.planned import answers;"
        f"print(json.dumps(answers(Path({str(folder)!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd="/")
    found: dict[str, list[Any]] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--after", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    folder = options.files.resolve()
    before, after = (_asked(each.resolve(), folder) for each in (options.before, options.after))
    changed = [each for each in read_list() if before.get(each.blob) != after.get(each.blob)]
    options.out.write_text("".join(f"{each.blob}\n" for each in changed))
    for each in changed:
        print(f"{each.repository} {each.path}: {before[each.blob][2:]} → {after[each.blob][2:]}")
    print(f"{len(changed)} of {len(before)} files")


if __name__ == "__main__":
    main()
