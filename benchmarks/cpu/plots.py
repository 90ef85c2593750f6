"""The plots of the CPU path as SVG, out of what `benchmarks.cpu.run` found.

python -m benchmarks.cpu.plots benchmarks/results/cpu.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {
    "floor": "#b0b0b0",
    "decode": "#4477aa",
    "open, convert": "#66ccee",
    "resize": "#44bb99",
    "look": "#ee6677",
    "second look": "#cc3311",
    "read": "#ccbb44",
    "sha256": "#aa8844",
    "rest": "#999999",
}
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "orientd", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
Bars = dict[str, dict[str, float]]


def bars(found: dict[str, Any]) -> Bars:
    """Milliseconds by stage of each bar, the first at the top; small stages are part of the rest."""
    result: Bars = {}
    for kind, stages in found["stages"].items():
        small = sum(value for name, value in stages.items() if name not in COLOURS and name not in ("start-up", "total"))
        result[kind] = {**{name: stages[name] for name in COLOURS if name in stages}, "rest": stages["rest"] + small}
        result[f"{kind}: floor"] = {"floor": found["floor"][kind]["floor ms"]}
        if isinstance(plain := found.get("plain", {}).get(kind), dict):
            result[f"{kind}: the plain way"] = {name: plain[name] for name in ("decode", "resize", "look")}
    return result


def stages(found: dict[str, Any], path: Path) -> None:
    """Stacked bars of processor time by stage: orientd, the floor and the plain way, for each kind of photo."""
    table = bars(found)
    figure = Figure(figsize=(8, 0.28 * len(table) + 1), layout="constrained")
    axes = figure.add_subplot()
    left = dict.fromkeys(table, 0.0)
    for stage, colour in COLOURS.items():
        widths = [each.get(stage, 0.0) for each in table.values()]
        axes.barh(list(table), widths, left=list(left.values()), color=colour, label=stage)
        left = {name: before + width for (name, before), width in zip(left.items(), widths, strict=True)}
    axes.invert_yaxis()
    axes.set_xlabel("ms of processor time a photo, without start-up")
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, metadata={"Date": None})


def cores(found: dict[str, Any], path: Path) -> None:
    """Photos a second against workers, and the same if every core brought as much as the first."""
    rates = {
        int(key.split()[0]): value["photos a second"] for key, value in found["workers"].items() if key.endswith("in one process")
    }
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        list(rates), [rates[1] * number for number in rates], "--", color=COLOURS["floor"], label="the first core times cores"
    )
    axes.plot(list(rates), list(rates.values()), "o-", color=COLOURS["decode"], label="orientd scan")
    axes.set(xlabel="workers, a core each", ylabel="photos of 12 MP a second", xticks=list(rates), ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    source = Path(sys.argv[1])
    found = json.loads(source.read_text())
    with mpl.rc_context(_STYLE):
        stages(found, source.with_name("stages.svg"))
        cores(found, source.with_name("cores.svg"))


if __name__ == "__main__":
    main()
