"""Faults on a real Immich, after a trial (`benchmarks.immich.trial`): each photo must end as planned all the same.

    python -m benchmarks.immich.faults --url http://127.0.0.1:2283 --key-file admin.key --out FOLDER --kill ... --start ...

FOLDER is that of the trial. orientd is killed before and after every call of a write; the server by the shell command --kill, and
started again by --start; a key is withdrawn; a photo is deleted and one cropped after the scan; two commands run at once. At the
end all is undone, and compared with before. A line that begins with FAULT is one.
"""

import argparse
import csv
import subprocess
import threading
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

import httpx

from benchmarks.immich.gate import Gate
from benchmarks.immich.talk import Talk
from benchmarks.immich.trial import Done, command, faults_of_undo, orientd, planned, show_faults

_LISTED = ("--taken-after", "2100-01-01")  # nothing: the scan is there to name the server
_CROP = {"action": "crop", "parameters": {"x": 10, "y": 10, "width": 300, "height": 200}}


class Bench:
    """The library of a trial behind a gate; each scenario takes planned photos of its own from it."""

    def __init__(self, url: str, out: Path, gate: Gate) -> None:
        self.url, self.out, self.gate = url, out, gate
        self.user = Talk(url, (out / "user.key").read_text())
        self.turns = planned(out / "plan.csv")
        self.keys: dict[str, str] = {}
        """The id of the key of each state folder, by its name."""
        self.applied: list[tuple[Path, Path]] = []
        self._left, self._plans = iter(self.turns), count(1)

    def state(self, name: str, url: str = "") -> Path:
        """A state folder that knows the server."""
        key = self.out / f"{name}.key"
        key.unlink(missing_ok=True)
        self.keys[name] = self.user.key_file(key)
        given = ["--url", url or self.gate.url, "--key-file", key, "--name", "trial", *_LISTED]
        orientd(self.out / f"state-{name}", "immich", "scan", *given, "--overwrite", "--report", self.out / "none.csv")
        return self.out / f"state-{name}"

    def take(self, state: Path, number: int) -> tuple[Path, dict[str, int]]:
        """A plan for so many photos, and their turns by id; it is undone at the end."""
        chosen = {photo: self.turns[photo] for photo in islice(self._left, number)}
        plan = self.out / f"plan-{next(self._plans)}.csv"
        with (self.out / "plan.csv").open() as read, plan.open("w") as written:
            rows = csv.DictReader(read)
            writer = csv.DictWriter(written, rows.fieldnames or [])
            writer.writeheader()
            writer.writerows(row for row in rows if row["path"].split("/")[1] in chosen)
        self.applied.append((state, plan))
        return plan, chosen

    def faults(self, state: Path, turns: dict[str, int]) -> Iterator[str]:
        """Photos that are not turned just as planned, by their edits and by the journal."""
        for photo, turn in turns.items():
            if (edits := self.user.edits(photo)) != (("rotate", f"[('angle', {turn})]"),):
                yield f"{photo}: planned {turn}, has {edits}"
        verified = orientd(state, "verify", ends=range(256))
        if verified.code:
            yield f"verify: {verified.lines[-3:]} {verified.said}"

    def is_there(self, photo: str) -> bool:
        try:
            return bool(self.user.ask("GET", f"assets/{photo}"))
        except httpx.HTTPStatusError:
            return False

    def undo(self) -> None:
        """Take back all that was applied."""
        for state, plan in self.applied:
            for row in csv.DictReader(plan.open()):
                orientd(state, "undo", "--yes", "--file", row["path"], ends=range(256))


def die(process: "subprocess.Popen[bytes]") -> None:
    """End a process in the middle of a call, of which it gets no answer."""
    process.kill()
    process.wait()
    raise ConnectionAbortedError


def calls_of_a_write(bench: Bench, state: Path) -> Iterator[str]:
    """Kill orientd before and after each of them."""
    plan, turns = bench.take(state, 1)
    bench.gate.forget()
    orientd(state, "apply", plan)
    asked = [(number, call) for number, call in enumerate(bench.gate.calls, 1) if "/assets/" in call]
    print("calls of a write:", ", ".join(f"{call.split()[0]} {'/'.join(call.split('/')[4:])}".strip() for _, call in asked))
    yield from bench.faults(state, turns)
    for number in range(asked[0][0], asked[-1][0] + 1):
        for when in ("before", "after"):
            plan, turns = bench.take(state, 1)
            bench.gate.forget()
            running: list[subprocess.Popen[bytes]] = []

            def deed(here: int, call: str, number: int = number, running: list[subprocess.Popen[bytes]] = running) -> None:
                if here == number:
                    die(running[0])

            setattr(bench.gate, when, deed)
            running.append(subprocess.Popen(command(state, "apply", plan), cwd=state, stdout=subprocess.DEVNULL))
            ended = running[0].wait(300)
            there = bool(bench.user.edits(*turns))
            bench.gate.forget()
            again = orientd(state, "apply", plan)
            print(f"killed {when} call {number} ({ended}): turned {there}; then {dict(again.outcomes)}", flush=True)
            yield from bench.faults(state, turns)


def server_killed(bench: Bench, state: Path, when: str, kill: str, start: str) -> Iterator[str]:
    """The server is killed before or after it got the third write, and started again."""
    plan, turns = bench.take(state, 4)
    puts = count(1)

    def deed(_: int, call: str) -> None:
        if call.startswith("PUT") and next(puts) == 3:
            subprocess.run(kill, shell=True, check=True)
            subprocess.run(start, shell=True, check=True)
            raise ConnectionAbortedError

    bench.gate.forget()
    setattr(bench.gate, when, deed)
    yield from again(bench, state, plan, turns, orientd(state, "apply", plan, ends=range(256)))


def server_killed_unseen(bench: Bench, kill: str, start: str) -> Iterator[str]:
    """The same without a gate: once two photos are edited."""
    state = bench.state("direct", bench.url)
    plan, turns = bench.take(state, 4)
    process = subprocess.Popen(command(state, "apply", plan), cwd=state, stdout=subprocess.DEVNULL)
    bench.user.until(lambda: sum(bool(bench.user.edits(photo)) for photo in turns) >= 2)
    subprocess.run(kill, shell=True, check=True)
    subprocess.run(start, shell=True, check=True)
    print(f"ended with {process.wait(600)}")
    bench.user.until(lambda: answers(bench.user), 120)
    yield from again(bench, state, plan, turns, orientd(state, "apply", plan, ends=range(256)))


def answers(user: Talk) -> bool:
    try:
        return bool(user.ask("GET", "users/me"))
    except httpx.HTTPError:
        return False


def again(bench: Bench, state: Path, plan: Path, turns: dict[str, int], first: Done) -> Iterator[str]:
    """Apply a plan once more after trouble."""
    print(f"apply: {first.code}, {dict(first.outcomes)}, {first.seconds:.0f} s {first.said.strip()}")
    print(*{one["reason"] for one in first.lines if one.get("reason")}, sep="\n")
    bench.gate.forget()
    print(f"then: {dict(orientd(state, 'apply', plan).outcomes)}", flush=True)
    yield from bench.faults(state, turns)


def key_withdrawn(bench: Bench) -> Iterator[str]:
    """While a plan is carried out; then there is a new one."""
    state, puts = bench.state("withdrawn"), count(1)
    plan, turns = bench.take(state, 4)

    def deed(_: int, call: str) -> None:
        if call.startswith("PUT") and next(puts) == 3:
            bench.user.ask("DELETE", f"api-keys/{bench.keys['withdrawn']}")

    bench.gate.forget()
    bench.gate.after = deed
    first = orientd(state, "apply", plan, ends=range(256))
    bench.user.key_file(bench.out / "withdrawn.key")
    yield from again(bench, state, plan, turns, first)


def changed_meanwhile(bench: Bench, state: Path) -> Iterator[str]:
    """One photo was cropped by hand after the scan, and one deleted."""
    plan, turns = bench.take(state, 4)
    cropped, deleted, *others = turns
    bench.user.ask("PUT", f"assets/{cropped}/edits", {"edits": [_CROP]})
    edits = bench.user.edits(cropped)
    bench.user.ask("DELETE", "assets", {"ids": [deleted], "force": True})
    done = orientd(state, "apply", plan, ends=(3,))
    print(*(f"{one['outcome']}: {one['reason_code']}, {one['reason']}" for one in done.lines if "outcome" in one), sep="\n")
    if bench.user.edits(cropped) != edits:
        yield f"{cropped}: the crop is not as it was"
    yield from bench.faults(state, {photo: turns[photo] for photo in others})
    bench.user.ask("DELETE", f"assets/{cropped}/edits")


def two_at_once(bench: Bench, state: Path) -> Iterator[str]:
    """Two commands with one state folder, then two with a folder each, as on two machines."""
    for other in (state, bench.state("other")):
        plan, turns = bench.take(state, 3)
        bench.applied.append((other, plan))
        done: list[Done] = []
        with_it = threading.Thread(target=lambda: done.append(orientd(state, "apply", plan, ends=range(256))))  # noqa: B023
        with_it.start()
        other_run = orientd(other, "apply", plan, ends=range(256))
        with_it.join()
        print(*(f"{each.code}: {dict(each.outcomes)} {each.said.strip()}" for each in (*done, other_run)), sep="\n")
        for each in {state, other}:
            yield from bench.faults(each, turns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--key-file", type=Path, required=True, help="key of an administrator")
    parser.add_argument("--kill", default="")
    parser.add_argument("--start", default="")
    given = parser.parse_args()
    with Gate(given.url) as gate:
        bench = Bench(given.url, given.out.resolve(), gate)
        before = bench.user.all_shown(list(bench.turns))
        state = bench.state("faults")
        scenarios: dict[str, Callable[[], Iterator[str]]] = {
            "orientd killed": lambda: calls_of_a_write(bench, state),
            "key withdrawn": lambda: key_withdrawn(bench),
            "deleted and cropped": lambda: changed_meanwhile(bench, state),
            "two at once": lambda: two_at_once(bench, state),
            "server killed before a write": lambda: server_killed(bench, state, "before", given.kill, given.start),
            "server killed after a write": lambda: server_killed(bench, state, "after", given.kill, given.start),
            "server killed, nothing between": lambda: server_killed_unseen(bench, given.kill, given.start),
        }
        for name, scenario in scenarios.items():
            print(f"{name}:")
            show_faults(name, scenario())
        bench.undo()
        Talk(given.url, given.key_file.read_text().strip()).settled()
        left = [photo for photo in before if bench.is_there(photo)]
        show_faults(
            f"{len(left)} of {len(before)} photos are there: edits and previews as before",
            faults_of_undo(before, bench.user.all_shown(left)),
        )


if __name__ == "__main__":
    main()
