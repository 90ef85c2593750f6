"""The whole way from photos to a measured model: prepare, fit, export, calibrate, evaluate, describe; for pages a shorter one.

Whatever was stopped goes on where it was, as each step leaves its result in its folder and finds it there again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Final

from orientd.errors import ConfigError
from orientd.infer.spec import ModelSpec
from orientd_training.config import Source, TrainConfig
from orientd_training.data import photoset, prepare
from orientd_training.data.near_duplicates import Split
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate.calibrate import Search
from orientd_training.export.onnx_file import export
from orientd_training.export.quantise import in_words, quantise
from orientd_training.files import replacing
from orientd_training.fit import checkpoint, loop, tracking
from orientd_training.report import evaluation, model_card, testing

CACHE, VALIDATION, RUN, REPORT, CARD = "photos", "validation", "run", "report", "README.md"
_COMPARED: Final = 64
Say = Callable[[str], object]


def run(
    config: TrainConfig,
    out: Path,
    *,
    photos: Sequence[Path] = (),
    validation: Sequence[Path] = (),
    share: float = 0.1,
    false_per_1000: float = 1.0,
    int8: bool = False,
    sections: model_card.Sections | None = None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Make NAME.onnx, its report and its card in the folder `out`; returns the figures (see `measure`).

    Args:
        photos: folders or zips of upright photos; none to use the caches that the recipe names.
        validation: photos that are not trained on; without them `share` (0–1) of `photos` is held out, by whole groups.
        false_per_1000: how many false turns per 1,000 upright photos the policy printed may make.
        int8: also try the model in 8-bit integers, and keep it if it judges as well.

    Raises:
        OrientdError: as the steps do; the results of the steps before stay.
    """
    if config.skew:
        raise ConfigError("this recipe learns skew: give it to orientd-train skew")
    config = _supplied(config, out, photos, validation, share, say)
    run, model, size = out / RUN, out / f"{config.name}.onnx", config.phases[-1].size
    held_out = photoset.load(config.held_out.path, config.held_out.split or None)
    if held_out.size != size:
        raise ConfigError(f"validation: {config.held_out.path} holds photos of {held_out.size} px, the model takes {size}")
    say(f"trained: {100 * loop.fit(config, run, resume=(run / checkpoint.LAST).exists()):.2f} % right with one view")
    _, network = checkpoint.load(run)
    worst = export(network, ModelSpec(config.name, size), model, held_out.pixels[:_COMPARED])
    say(f"exported: {model}, probabilities differ from torch's by at most {worst:.1e}")
    found = evaluation.calibrate(model, [held_out], false_per_1000, Search(), out / REPORT)
    its = found.policy
    say(
        f"calibrated: min_confidence {its.min_confidence:g} and min_agreement {its.min_agreement} would fix "
        f"{100 * found.score.mended:.1f} % for {found.score.false_per_1000:.2f} false turns per 1,000"
    )
    if int8:
        say(f"in integers: {in_words(quantise(model, out / f'{config.name}.int8.onnx', _learnt(config), held_out))}")
    figures = evaluation.evaluate([model], [held_out], out / REPORT)[0]
    with replacing(out / CARD) as partial:
        partial.write_text(model_card.describe(model, out / REPORT / evaluation.MEASURE, run, sections), encoding="utf-8")
    return figures


def learn(
    config: TrainConfig,
    run: Path,
    *,
    pages: Sequence[Path] = (),
    validation: Sequence[Path] = (),
    share: float = 0.1,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Train a model for pages in the run folder `run`, make NAME.onnx of it there, and test it; returns figures (see `testing`).

    Args:
        pages: folders or zips of upright, straight pages; none for the caches that the recipe names.
        validation: such ones that train nothing; without them `share` (0–1) of `pages` is kept apart, by whole groups.

    Raises:
        OrientdError: as the steps do; what is done stays.
    """
    config = _supplied(config, run, pages, validation, share, say)
    resume = (run / checkpoint.LAST).exists()
    say(f"trained: {loop.fit(config, run, resume):.2%} of the pages to validate on are right with one view")
    held_out, model = photoset.load(config.held_out.path, config.held_out.split or None), run / f"{config.name}.onnx"
    worst = testing.export(run, held_out, model)
    say(f"exported: {model}, probabilities differ from torch's by at most {worst:.1e}")
    figures = testing.test(model, [held_out], run / REPORT)
    say(
        tracking.keep(
            run, [model, *(run / REPORT / name for name in (testing.PAGE, testing.FIGURES))], REPORT, testing.scalars(figures)
        )
    )
    return figures


def _supplied(
    config: TrainConfig, out: Path, photos: Sequence[Path], validation: Sequence[Path], share: float, say: Say
) -> TrainConfig:
    """The recipe with the photos given in place of its caches, prepared at the size that will be served.

    Of pages whose skew is learned so much more that the part which is seen has that size.
    """
    if not photos:
        return config
    part, cache = config.skew.part if config.skew else 1.0, out / CACHE
    prepared = partial(_prepared, size=ceil(config.phases[-1].size / part), middle=bool(config.skew), say=say)
    prepared(photos, cache, Split() if validation else Split(share))
    if not validation:
        return replace(config, train=cache, validation=cache)
    prepared(validation, out / VALIDATION, Split())
    return replace(config, train=cache, validation=out / VALIDATION)


def _prepared(sources: Sequence[Path], out: Path, split: Split, size: int, middle: bool, say: Say) -> None:
    done, dropped = prepare.prepare(sources, out, size, split=split, middle=middle, say=say)
    say(f"prepared: {done:,} photos in {out}; left out: {prepare.in_words(dropped)}")


def _learnt(config: TrainConfig) -> PhotoSet:
    source: Source = config.sources[0]
    return photoset.load(source.path, source.split or None)
