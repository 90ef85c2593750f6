"""The tables of results/pages.md from FOLDER/truth.csv, ours.csv and, where it is there, rivals.csv.

python -m benchmarks.pages.table /dev/shm/pages
"""

import argparse
import csv
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

CLOSE = 0.5
"""Degrees within which an angle is right."""
TEN_WORDS = 10

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wrong", action="store_true", help="name the pages that are answered wrong, or not")
    given = parser.parse_args()
    truth = {row["file"]: row for row in _read(given.folder / "truth.csv")}
    ours = {row["file"]: row for row in _read(given.folder / "ours.csv")}
    pages = [(truth[name], row) for name, row in ours.items()]
    print("| pages | number | within 0.5° | mean error of these | way right | way wrong | unsure or no angle | ms a page |")
    print("|---|---|---|---|---|---|---|---|")
    for name, chosen in (("all", pages), *_groups(pages)):
        print(_line(name, chosen))
    if given.wrong:
        for page, row in pages:
            if not _said(row) or _off(page, row) > CLOSE:
                print(page, row)
    if (given.folder / "rivals.csv").exists():
        _compared(truth, ours, _read(given.folder / "rivals.csv"))


def _read(path: Path) -> list[Row]:
    with path.open() as file:
        return list(csv.DictReader(file))


def _groups(pages: list[tuple[Row, Row]]) -> Iterable[tuple[str, list[tuple[Row, Row]]]]:
    many = [pair for pair in pages if int(pair[0]["words"]) >= TEN_WORDS]
    yield "ten words or more", many
    yield "fewer", [pair for pair in pages if int(pair[0]["words"]) < TEN_WORDS]
    for repository in sorted({page["repository"] for page, _ in pages}):
        yield f"{repository}, ten words or more", [pair for pair in many if pair[0]["repository"] == repository]


def _said(row: Row) -> bool:
    return row["decision"] in ("copy", "keep")


def _off(page: Row, row: Row) -> float:
    """Degrees by which angle + turn is off; 180 without an answer."""
    if not row["turn"]:
        return 180.0
    return abs((float(row["angle"]) + int(row["turn"]) - float(page["turn"]) + 180) % 360 - 180)


def _line(name: str, pages: list[tuple[Row, Row]]) -> str:
    said = [_off(page, row) for page, row in pages if _said(row)]
    right = [off for off in said if off <= CLOSE]
    number, of = len(pages), lambda some: f"{some} ({100 * some / max(1, len(pages)):.1f} %)"
    error = f"{statistics.mean(right):.3f}°" if right else ""
    wrong = sum(off > 45 for off in said)
    spent = statistics.mean(float(row["ms"]) for _, row in pages) if pages else 0.0
    upright = sum(off <= 45 for off in said)
    cells = (name, number, of(len(right)), error, of(upright), of(wrong), of(number - len(said)), f"{spent:.0f}")
    return f"| {' | '.join(map(str, cells))} |"


def _compared(truth: dict[str, Row], ours: dict[str, Row], rivals: list[Row]) -> None:
    """Skew alone, modulo 180°, on the pages that the rivals saw, whatever way is up."""
    found: dict[str, list[tuple[float, float | None, float]]] = defaultdict(list)
    seen = {row["file"] for row in rivals}
    for name in sorted(seen):
        row, turn = ours[name], float(truth[name]["turn"])
        found["orientd, its skew alone"].append((turn, float(row["skew"]) if row["skew"] else None, float(row["ms"])))
        angle = float(row["angle"]) + int(row["turn"]) if row["angle"] else None
        found["orientd, angle + turn of certain angles"].append((turn, angle, float(row["ms"])))
    for row in rivals:
        angle = float(row["angle"]) if row["angle"] else None
        found[row["by"]].append((float(truth[row["file"]]["turn"]), angle, float(row["ms"])))
    print()
    print(f"| {len(seen)} pages | within 0.5° modulo 90° | modulo 180° | mean error of these | F1 of 0.5° classes | ms a page |")
    print("|---|---|---|---|---|---|")
    for name, answers in found.items():
        print(_rival_line(name, answers))


def _rival_line(name: str, answers: list[tuple[float, float | None, float]]) -> str:
    quarter = [abs((angle - turn + 45) % 90 - 45) for turn, angle, _ in answers if angle is not None]
    half = [abs((angle - turn + 90) % 180 - 90) for turn, angle, _ in answers if angle is not None]
    close = [off for off in half if off <= CLOSE]
    share = [f"{100 * sum(off <= CLOSE for off in offs) / len(answers):.1f} %" for offs in (quarter, half)]
    error = statistics.mean(close) if close else float("nan")
    spent = statistics.mean(ms for *_, ms in answers)
    return f"| {name} | {share[0]} | {share[1]} | {error:.3f}° | {f1(answers):.3f} | {spent:.0f} |"


def f1(answers: list[tuple[float, float | None, float]]) -> float:
    """Weighted F1 over the classes of 0.5° within ±89°."""
    pairs = [(_class(turn), None if angle is None else _class(angle)) for turn, angle, _ in answers]
    pairs = [pair for pair in pairs if abs(pair[0]) <= 2 * 89]
    total = 0.0
    for wanted in {true for true, _ in pairs}:
        hits = sum(true == wanted == given for true, given in pairs)
        true_number, given_number = (sum(pair[place] == wanted for pair in pairs) for place in (0, 1))
        total += true_number * 2 * hits / (true_number + given_number)
    return total / len(pairs)


def _class(angle: float) -> int:
    return round(2 * ((angle + 90) % 180 - 90))


if __name__ == "__main__":
    main()
