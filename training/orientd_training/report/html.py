"""A measurement as one HTML page that needs nothing else: tables, plots and the photos a model gets wrong."""

from collections.abc import Iterator
from typing import Any, Final

from orientd.orientation import TURNS
from orientd_training.evaluate.mistakes import Case, Worst
from orientd_training.report import plots
from orientd_training.report.rendering import encoded, rendered

_PLOTS: Final = (plots.false_mended, plots.risk_coverage, plots.reliability)


def page(figures: dict[str, Any], worst: Worst, pictures: dict[Case, bytes], measured: str) -> str:
    """The whole page. `pictures` has the JPEG of every case in `worst`, `measured` says when and on what it was measured."""
    several = [plots.groups] if len(figures["groups"]) > 1 else []
    return rendered(
        "report.html.j2",
        figures=figures,
        measured=measured,
        turns=TURNS,
        plots={draw.__name__: draw(figures) for draw in [*_PLOTS, *several]},
        comparisons={name: list(_pairs(other)) for name, other in figures["against"].items()},
        worst=worst,
        pictures={case: encoded(picture) for case, picture in pictures.items()},
    )


def _pairs(other: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], int, str]]:
    """(title, figures of both models, scale, unit) of every line of a comparison."""
    yield "accuracy, one view", other["accuracy_one_view"], 100, "points"
    yield "accuracy, eight views", other["accuracy_eight_views"], 100, "points"
    yield "false turns per 1,000", other["false_per_1000"], 1, ""
    yield "mended", other["mended"], 100, "points"
    yield "turned to another wrong side", other["worse"], 100, "points"
    yield from ((f"one view, {turn}° needed", pair, 100, "points") for turn, pair in other["by_turn"].items())
