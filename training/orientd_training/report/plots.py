"""The plots of a report as SVG text that takes its colours from the page. Sole owner of matplotlib."""

import re
from collections.abc import Callable, Sequence
from functools import wraps
from io import StringIO
from typing import Any, Final

from orientd_training.evaluate.statistics import wilson

# Stand-ins that no plot would use, exchanged for the page's variables so that a plot follows its light or dark scheme.
_INK, _MUTED, _GRID, _ONE, _TWO, _MARK = (f"#00000{i}" for i in range(1, 7))
_VARIABLES: Final = {_INK: "ink", _MUTED: "muted", _GRID: "grid", _ONE: "one", _TWO: "two", _MARK: "mark"}
_STYLE: Final = {
    "svg.fonttype": "none",
    "font.size": 9.5,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "text.color": _INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.transparent": True,
}
_NAMES: Final = {"one_view": "one view", "eight_views": "eight views"}


def _styled(draw: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], str]:
    """Draw within the style above, whatever the settings of the person who draws."""

    @wraps(draw)
    def styled(figures: dict[str, Any]) -> str:
        from matplotlib import rc_context, rcdefaults

        with rc_context():
            rcdefaults()
            with rc_context(_STYLE):
                return draw(figures)

    return styled


@_styled
def reliability(figures: dict[str, Any]) -> str:
    """Accuracy against confidence, for one view and for eight; the bars below show how many answers are of that confidence."""
    figure, axes = _figure(10.6, 3.9, columns=2, sharey=True)
    for panel, (look, name), colour in zip(axes, _NAMES.items(), (_ONE, _TWO), strict=True):
        bins = figures["reliability"][look]
        total = sum(count for *_, count in bins)
        panel.plot([0.2, 1], [0.2, 1], color=_MUTED, linewidth=1, linestyle=(0, (4, 3)))
        panel.bar([c for c, *_ in bins], [0.5 * n / total for *_, n in bins], 0.045, color=colour, alpha=0.22)
        bounds = [(share - low, high - share) for _, share, n in bins for low, high in [wilson(share, n)]]
        panel.errorbar(
            [c for c, *_ in bins],
            [share for _, share, _ in bins],
            [[max(b[i], 0) for b in bounds] for i in (0, 1)],
            color=colour,
            marker="o",
            markersize=4,
            elinewidth=1,
        )
        panel.set(title=f"{name}: calibration error {figures[f'calibration_error_{look}']:.4f}", xlabel="confidence")
        panel.set(xlim=(0.2, 1.03), ylim=(0, 1.03))
    axes[0].set_ylabel("share right")
    return _svg(figure, "reliability")


@_styled
def risk_coverage(figures: dict[str, Any]) -> str:
    """Share of wrong answers among the most confident ones."""
    figure, (axes,) = _figure(5.6, 3.9)
    for (look, name), colour in zip(_NAMES.items(), (_ONE, _TWO), strict=True):
        axes.plot(*_columns(figures["risk_coverage"][look], 100), color=colour, label=name)
    coverage, risk = figures["risk_coverage"]["shipped"]
    axes.plot([100 * coverage], [100 * risk], "D", color=_MARK, label="default policy, all but unsure")
    axes.set(xlabel="answered, % of photos in all four turns", ylabel="wrong among these, %", xlim=(0, 102), ylim=(0, None))
    axes.legend(loc="upper left")
    return _svg(figure, "risk-coverage")


@_styled
def false_mended(figures: dict[str, Any]) -> str:
    """What each false turn buys, on a logarithmic scale; no false turn at all is at the left edge."""
    figure, (axes,) = _figure(5.6, 3.9)
    edge, shipped = 500 / figures["photos"], figures["shipped"]
    agreement = str(figures["policy"]["min_agreement"])
    curves = figures["false_mended"]
    for name in [key for key in curves if key not in ("one_view", agreement)]:
        axes.plot(*_steps(curves[name], edge), color=_MUTED, linewidth=0.9, alpha=0.75, drawstyle="steps-post")
    axes.plot([], [], color=_MUTED, linewidth=0.9, label="eight views, 5 to 8 agreeing")
    axes.plot(*_steps(curves["one_view"], edge), color=_ONE, label="one view alone", drawstyle="steps-post")
    axes.plot(*_steps(curves[agreement], edge), color=_TWO, label=f"eight views, {agreement} agreeing", drawstyle="steps-post")
    x, y = max(shipped["false_per_1000"], edge), 100 * shipped["mended"]
    low, high = (max(bound, edge) for bound in shipped["false_interval"])
    up, down = (shipped["mended_group_interval"] or shipped["mended_interval"])[::-1]
    spread = {"xerr": [[x - low], [max(high - x, 0)]], "yerr": [[max(y - 100 * down, 0)], [max(100 * up - y, 0)]]}
    axes.errorbar([x], [y], **spread, fmt="D", color=_MARK, elinewidth=1.1, capsize=3, zorder=9, label="default policy")
    axes.set(xscale="log", xlabel="false turns per 1,000 upright photos", ylabel="wrongly turned photos fixed, %", ylim=(0, 102))
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if tick > 1.25 * edge]
    axes.set_xticks([edge, *ticks], ["none", *(f"{tick:g}" for tick in ticks)])
    axes.minorticks_off()
    axes.set_xlim(edge / 1.15, max(20.0, 2 * high))
    axes.legend(loc="lower right")
    return _svg(figure, "false-mended")


@_styled
def groups(figures: dict[str, Any]) -> str:
    """Accuracy and share fixed of every group with its interval, the most accurate group at the top."""
    its = sorted(figures["groups"].items(), key=lambda item: item[1]["accuracy_eight_views"]["mean"])
    figure, axes = _figure(10.6, 1.1 + 0.2 * len(its), columns=2, sharey=True)
    rows = range(len(its))
    for panel, colour, title, overall, pick in (
        (axes[0], _TWO, "accuracy with eight views, %", figures["accuracy_eight_views"]["mean"], _accuracy),
        (axes[1], _MARK, "wrongly turned photos fixed, %", figures["shipped"]["mended"], _mended),
    ):
        shares = [pick(group) for _, group in its]
        panel.axvline(100 * overall, color=_MUTED, linewidth=1, linestyle=(0, (4, 3)))
        panel.hlines(rows, *([100 * share[i] for share in shares] for i in (1, 2)), color=colour, linewidth=1.2, alpha=0.6)
        panel.plot([100 * share[0] for share in shares], rows, "o", color=colour, markersize=4)
        panel.set_title(title)
    axes[0].set_yticks(rows, [f"{_plain(name)} ({group['photos']:,})" for name, group in its], fontsize=8)
    axes[0].set_ylim(-0.7, len(its) - 0.3)
    return _svg(figure, "groups")


@_styled
def skew_errors(answers: dict[str, Any]) -> str:
    """Error against the angle wanted, and how many answers are how far off, on a logarithmic scale."""
    off = (answers["found"] - answers["wanted"] + 90) % 180 - 90
    figure, (left, right) = _figure(10.6, 3.9, columns=2)
    left.plot((answers["wanted"] + 90) % 180 - 90, off, ".", color=_TWO, markersize=3, alpha=0.5)
    left.set(xlabel="angle wanted, °", ylabel="error, °", xlim=(-92, 92), yscale="symlog", ylim=(-100, 100))
    off = sorted(abs(each) for each in off.tolist())
    right.plot([max(each, 0.01) for each in off], [100 * (i + 1) / len(off) for i in range(len(off))], color=_ONE)
    right.set(xlabel="error of at most, °", ylabel="answers, %", xscale="log", xlim=(0.01, 90), ylim=(0, 102))
    return _svg(figure, "skew-errors")


def _accuracy(group: dict[str, Any]) -> tuple[float, ...]:
    return group["accuracy_eight_views"]["mean"], *group["accuracy_eight_views"]["interval"]


def _mended(group: dict[str, Any]) -> tuple[float, ...]:
    return group["mended"], *group["mended_interval"]


def _figure(width: float, height: float, columns: int = 1, **options: Any) -> tuple[Any, Sequence[Any]]:
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, **options)[0]


def _svg(figure: Any, name: str) -> str:
    """The same bytes for the same figures; names inside begin with `name`, as they must differ within a page."""
    from matplotlib import rc_context

    file = StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = file.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r'<svg ([^>]*?)(?:width|height)="[^"]*"([^>]*?)(?:width|height)="[^"]*"', r"<svg \1\2", drawn, count=1)
    drawn = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", drawn)
    drawn = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", drawn)
    return re.sub("#00000[1-6]", lambda found: f"var(--{_VARIABLES[found[0]]})", drawn)


def _columns(points: Sequence[Sequence[float]], scale: float) -> tuple[list[float], list[float]]:
    return [scale * x for x, _ in points], [scale * y for _, y in points]


def _steps(points: Sequence[Sequence[float]], edge: float) -> tuple[list[float], list[float]]:
    return [max(x, edge) for x, _ in points], [100 * y for _, y in points]


def _plain(name: str) -> str:
    """A name as text: no formula, no half of a character."""
    return name.encode("utf-8", "backslashreplace").decode().replace("$", r"\$")
