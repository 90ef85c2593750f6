"""A measurement as one HTML page that needs nothing else: tables, plots and the photos a model gets wrong."""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from orientd.orientation import TURNS
from orientd_training.evaluate.metrics import LOOKS
from orientd_training.evaluate.mistakes import Case, Worst
from orientd_training.report import plots

_STYLE: Final = """
:root { color-scheme: light dark; --page: #fbfbfd; --card: #fff; --ink: #1b1b1f; --muted: #6d6d78; --grid: #e4e4ea;
  --one: #c96a09; --two: #2a6fdb; --mark: #14835a; --bad: #b42335; --shade: 42, 111, 219; }
@media (prefers-color-scheme: dark) { :root { --page: #131316; --card: #1c1c21; --ink: #ececf1; --muted: #9a9aa6;
  --grid: #33333b; --one: #f0a050; --two: #74a9ff; --mark: #4fc993; --bad: #ff7d8c; --shade: 116, 169, 255; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.2rem 1.2rem 4rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; } p { max-width: 60rem; }
.muted, small, caption, figcaption { color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; margin: 1.4rem 0; }
.tile, .card { background: var(--card); border: 1px solid var(--grid); border-radius: .6rem; padding: .9rem 1rem; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.25; } .tile span { display: block; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem; align-items: start; }
.card svg { display: block; width: 100%; height: auto; font-family: inherit; } .card + .card { margin-top: 1rem; }
.two .card + .card { margin-top: 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: .2rem 0 .5rem; }
th, td { padding: .28rem .6rem; text-align: right; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; } td small { margin-left: .2em; font-size: .76em; }
.photos { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .8rem; }
.photos figure { margin: 0; } .photos img { width: 100%; display: block; border-radius: .35rem; }
.photos figcaption { font-size: .78rem; line-height: 1.35; overflow-wrap: anywhere; padding-top: .2rem; }
.bad { color: var(--bad); font-weight: 600; } details > summary { cursor: pointer; margin: .6rem 0; }
"""

_ABOVE: Final = (
    "A photo left alone because upright is likeliest counts as answered, however likely, and wrongly if it is shown wrong: so "
    "the policy lies above the curves. Such an error leaves the photo as it was."
)
_PAIRED: Final = "Paired by photo, at the shipped policy; p is that of the exact sign test (McNemar) on the photos that differ."

_TWO: Final = "{:.2f}"

Row = Sequence[str]


def page(figures: dict[str, Any], worst: Worst, pictures: dict[Case, bytes], measured: str) -> str:
    """The whole page. `pictures` has the JPEG of every case in `worst`, `measured` says when and on what it was measured."""
    model = figures["model"]
    parts = [
        f"<h1>{_text(model['name'])}</h1>",
        f'<p class="muted">{_text(measured)} · {model["input_size"]} px · {model["bytes"] / 1e6:.1f} MB · '
        f"SHA-256 {_text(model['sha256'][:16])}…</p>",
        *(f'<p class="bad">{_text(warning)}</p>' for warning in figures.get("warnings", [])),
        _tiles(figures),
        _accuracy(figures),
        _policy(figures),
        *_comparisons(figures),
        _calibration(figures),
        _confusion(figures),
        _groups(figures),
        *_photos(worst, pictures),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_text(model["name"])}</title>'
    return f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{"".join(parts)}</body></html>\n'


def _tiles(figures: dict[str, Any]) -> str:
    shipped, eight, rare = figures["shipped"], figures["accuracy_eight_views"], figures["base_rate"][1]
    false, mended = shipped["false_per_1000"], shipped["mended"]
    return _div(
        "tiles",
        _tile(f"{false:.2f}", "false turns per 1,000 upright photos", _range(shipped["false_interval"], 1, _TWO)),
        _tile(_percent(mended), "of wrongly shown photos mended", _range(_widest(shipped, "mended_"))),
        _tile(_percent(eight["mean"]), "right with eight views", _range(_widest(eight))),
        _tile(f"{figures['calibration_error_eight_views']:.4f}", "calibration error, eight views", "should be below 0.01"),
        _tile(_percent(rare["turns_wrong"]), "of turns made are wrong if 1 photo in 300 is", _range(rare["interval"])),
    )


def _accuracy(figures: dict[str, Any]) -> str:
    rows = []
    for look, name in zip(LOOKS, ("one view", "eight views"), strict=True):
        its = figures[f"accuracy_{look}"]
        turns = [_share(its[str(turn)], its["intervals"][str(turn)]) for turn in TURNS]
        error, f1 = figures[f"calibration_error_{look}"], figures["macro_f1"][look]
        rows.append([name, _share(its["mean"], _widest(its)), *turns, f"{f1:.4f}", f"{error:.4f}"])
    table = _table(["", "mean", *(f"{turn}°" for turn in TURNS), "macro F1", "calibration error"], rows)
    its = figures["one_against_eight"]
    gain = (
        f"Eight views against one: {-100 * its['difference']:+.2f} points; {its['lower']} photos are right in more turns, "
        f"{its['higher']} in fewer (exact sign test, p {_p(its['p'], '= ')})."
    )
    note = "The brackets hold 95 % intervals: by drawing whole groups anew for the mean, by photos (Wilson) for each turn."
    return f"<h2>Which turn is found</h2>{_div('card wide', table)}<p>{gain} {_muted(note)}</p>"


def _policy(figures: dict[str, Any]) -> str:
    policy, shipped, photos = figures["policy"], figures["shipped"], figures["photos"]
    rows: list[Row] = [
        ["false turns per 1,000 upright photos", f"{shipped['false_per_1000']:.2f}", f"{shipped['false']} of {photos:,}"],
        ["… 95 % interval by photos (Poisson), by groups", _range(shipped["false_interval"], 1, _TWO), _groupwise(shipped)],
        ["wrongly shown photos mended", _percent(shipped["mended"]), _range(_widest(shipped, "mended_"))],
        ["wrongly shown photos turned to another wrong side", f"{shipped['worse']}", f"of {3 * photos:,}"],
        ["upright photos that need a second look", _percent(shipped["second"]), ""],
        *map(_harm, figures["base_rate"]),
        _crossed(figures["cross_fitted"]),
    ]
    said = ", ".join(f"{key} {value:g}" for key, value in policy.items())
    drawn = _div("two", _card(plots.false_mended(figures)), _card(plots.risk_coverage(figures)))
    note = _muted(_ABOVE)
    return f"<h2>What the shipped policy does</h2><p>{said}</p>{_div('card wide', _table([], rows))}<p></p>{drawn}<p>{note}</p>"


def _harm(its: dict[str, Any]) -> Row:
    title = f"turns made that are wrong, if 1 photo in {its['wrong_in']:,} is shown wrong"
    said = f"of 1,000 photos {its['mended_per_1000']:.2f} mended, {its['spoiled_per_1000']:.2f} spoiled"
    return title, _percent(its["turns_wrong"]), f"{_range(its['interval'])}; {said}"


def _crossed(crossed: dict[str, Any] | None) -> Row:
    if crossed is None:
        return ["policy chosen on one half of the groups, judged on the other", "left out", "there is only one group"]
    said = f"{crossed['false_per_1000']:.2f} per 1,000", f"{_percent(crossed['mended'])} mended"
    asked = f"policy chosen on one half of the groups for {crossed['asked_false_per_1000']:g} per 1,000, judged on the other"
    return [asked, said[0], f"{_range(crossed['interval'], 1, _TWO)}, {said[1]}"]


def _comparisons(figures: dict[str, Any]) -> Iterable[str]:
    rows = (
        ("accuracy, one view", "accuracy_one_view", 100, "points"),
        ("accuracy, eight views", "accuracy_eight_views", 100, "points"),
        ("false turns per 1,000", "false_per_1000", 1, ""),
        ("mended", "mended", 100, "points"),
        ("turned to another wrong side", "worse", 100, "points"),
    )
    for name, its in figures["against"].items():
        pairs = [(title, its[key], scale, unit) for title, key, scale, unit in rows]
        pairs += [(f"one view, {turn}° needed", pair, 100, "points") for turn, pair in its["by_turn"].items()]
        table = _table(
            ["", "this model", _text(name), "difference", "95 % by groups", "photos higher", "lower", "p"],
            [
                [
                    title,
                    f"{scale * pair['a']:.2f}",
                    f"{scale * pair['b']:.2f}",
                    f"{scale * pair['difference']:+.2f} {unit}".replace("-", "−"),
                    _range(pair["interval"], scale, "{:+.2f}").replace("-", "−"),
                    f"{pair['higher']:,}",
                    f"{pair['lower']:,}",
                    _p(pair["p"]),
                ]
                for title, pair, scale, unit in pairs
            ],
        )
        yield f"<h2>Against {_text(name)}</h2>{_div('card wide', table)}"
        yield f"<p>{_muted(_PAIRED)}</p>"


def _calibration(figures: dict[str, Any]) -> str:
    return f"<h2>Can its confidence be believed?</h2>{_card(plots.reliability(figures))}"


def _confusion(figures: dict[str, Any]) -> str:
    head = "".join(f"<th>found {turn}°</th>" for turn in TURNS)
    tables = []
    for look, name in zip(LOOKS, ("one view", "eight views"), strict=True):
        rows = [
            f"<tr><th>needs {turn}°</th>{''.join(_shaded(count, count / max(sum(counts), 1)) for count in counts)}</tr>"
            for turn, counts in zip(TURNS, figures["confusion"][look], strict=True)
        ]
        tables.append(_div("card wide", f"<table><caption>{name}</caption><tr><th></th>{head}</tr>{''.join(rows)}</table>"))
    return f"<h2>What it takes for what</h2>{_div('two', *tables)}"


def _shaded(count: int, share: float) -> str:
    shade = f"background: rgba(var(--shade), {0.5 * share**0.5:.3f})"
    return f'<td style="{shade}">{count:,} <small>{100 * share:.1f} %</small></td>'


def _groups(figures: dict[str, Any]) -> str:
    if len(figures["groups"]) < 2:
        return ""
    rows = [
        [
            _text(name),
            f"{its['photos']:,}",
            _share(its["accuracy_one_view"]["mean"], its["accuracy_one_view"]["interval"]),
            _share(its["accuracy_eight_views"]["mean"], its["accuracy_eight_views"]["interval"]),
            f"{its['false']}",
            f"{its['false_per_1000']:.2f} {_small(_range(its['false_interval'], 1, _TWO))}",
            _share(its["mended"], its["mended_interval"]),
            f"{its['worse']}",
        ]
        for name, its in figures["groups"].items()
    ]
    head = ["group", "photos", "one view", "eight views", "false turns", "per 1,000", "mended", "other wrong side"]
    table = f"<details><summary>As a table</summary>{_div('card wide', _table(head, rows))}</details>"
    return f"<h2>By source</h2>{_card(plots.groups(figures))}{table}"


def _photos(worst: Worst, pictures: dict[Case, bytes]) -> Iterable[str]:
    yield "<h2>The photos it gets wrong</h2><p>As they were shown to the model, squeezed to a square.</p>"
    for title, cases in (
        ("Upright photos that it turned, then those that came nearest to it", worst.false),
        ("Most confident wrong answers on photos shown wrong: not noticed, or turned to another wrong side", worst.wrong),
        ("Photos it was most torn about, and left alone as unsure", worst.unsure),
    ):
        figures = "".join(_figure(case, pictures[case]) for case in cases)
        yield f"<h3>{title}</h3>" + (_div("photos", figures) if cases else f"<p>{_muted('None.')}</p>")


def _figure(case: Case, picture: bytes) -> str:
    harm = "bad" if case.what in ("false turn", "turned to another wrong side") else ""
    said = f'needs {case.shown}°, found {case.found}°<br><span class="{harm}">{case.what}</span>, {case.confidence:.3f}'
    source = f"data:image/jpeg;base64,{b64encode(picture).decode()}"
    return f'<figure><img loading="lazy" src="{source}" alt=""><figcaption>{_text(case.name)}<br>{said}</figcaption></figure>'


def _widest(figures: dict[str, Any], prefix: str = "") -> Sequence[float]:
    """The interval by groups, where there are any."""
    interval: Sequence[float] = figures[f"{prefix}group_interval"] or figures[f"{prefix}interval"]
    return interval


def _groupwise(shipped: dict[str, Any]) -> str:
    return _range(shipped["false_group_interval"], 1, _TWO) or "there is only one group"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(interval: Sequence[float] | None, scale: float = 100, form: str = "{:.1f}") -> str:
    return "" if interval is None else " to ".join(form.format(scale * bound) for bound in interval)


def _share(share: float, interval: Sequence[float]) -> str:
    return f"{_percent(share)} {_small(_range(interval))}"


def _p(value: float, equals: str = "") -> str:
    return "&lt; 0.0001" if value < 1e-4 else f"{equals}{value:.4f}"


def _table(head: Row, rows: Iterable[Row]) -> str:
    first = f"<tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>" if head else ""
    return f"<table>{first}{''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)}</table>"


def _tile(figure: str, about: str, range_: str) -> str:
    return _div("tile", f"<b>{figure}</b><span>{about}</span>{_small(range_)}")


def _card(inner: str) -> str:
    return _div("card", inner)


def _div(kind: str, *inner: str) -> str:
    return f'<div class="{kind}">{"".join(inner)}</div>'


def _small(text: str) -> str:
    return f"<small>({text})</small>" if text else ""


def _muted(text: str) -> str:
    return f'<span class="muted">{text}</span>'


def _text(value: object) -> str:
    """Safe in HTML; bytes of a name that are no UTF-8 are written as \\udcXX."""
    return escape(str(value).encode("utf-8", "backslashreplace").decode())
