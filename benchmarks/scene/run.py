"""What another scene network brings: alone, next to the bundled one, and in its place, with intervals.

    orientd-train export RUN --photos cache/val128 --out lite2-128.onnx        (and of other sizes: see results/scene.md)
    python -m benchmarks.scene.run orientd/models/orientd.onnx lite2-128.onnx lite2-192.onnx --integers lite2-int8.onnx \\
        --albums fit --albums judge --apart brunospunkt --apart einsou --apart jayavery --apart petrolysak \\
        --photos cache/val --out out

The albums are those of `orientd-train calibrate`. What everybody says of a photo is kept in --out, and the same command goes on
from there; `evidence.jsonl` there may be what calibrate kept of the first model. Weights are fitted on other owners than they are
judged on; temperatures of the other networks on --photos, which are resized to what each takes.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from orientd_training.data import albums, photoset
from orientd_training.data.photoset import PhotoSet
from orientd_training.evaluate.calibrate import calibrated
from orientd_training.evaluate.panel_table import FALSE
from orientd_training.evaluate.panel_trial import Heard, folds
from orientd_training.evaluate.predictions import Looks, collect, shown
from orientd_training.evaluate.testimony import collect as ask
from orientd_training.files import replacing
from orientd_training.report.panel import testimony

from benchmarks.scene.figures import Row, Way, alone, rows, together
from orientd.decode.resize import resized
from orientd.infer.engine import Engine, load_spec
from orientd.judge.panel import PanelSpec
from orientd.judge.policy import Policy

TABLE = "scene.md"
_ROUNDS = 20
_LARGER = "scene-288"
"""The witness that is the bundled network at a larger size: it goes where that network goes."""


class Seen(NamedTuple):
    """What networks say of the same photos, the bundled one first; with it are the other witnesses, if any can be heard."""

    bundled: Heard
    others: dict[str, Looks]
    integers: Looks | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundled", type=Path)
    parser.add_argument("others", type=Path, nargs="+")
    parser.add_argument("--integers", type=Path, help="the first of the others in 8-bit integers, for the first look")
    parser.add_argument("--albums", type=Path, action="append", required=True)
    parser.add_argument("--apart", action="append", default=[])
    parser.add_argument("--photos", type=Path, required=True, help="prepared photos, at least as large as any network takes")
    parser.add_argument("--every", type=int, default=1, help="look at every so many of --photos alone")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    spec = PanelSpec.from_json(load_spec(given.bundled).panel or {})
    small = small_photos(given)
    whole = whole_photos(given, small)
    text = "\n".join(
        [*page("whole photos of albums", whole, spec.policy), *page("prepared photos", small, spec.policy), *costs(given)]
    )
    with replacing(given.out / TABLE) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    print(text)


def small_photos(given: argparse.Namespace) -> Seen:
    """What the networks say of prepared photos; no other witness can be heard on so few pixels."""
    photos = _every(photoset.load(given.photos), given.every)
    looks = {path.stem: _looks(path, photos, given.out) for path in [*given.others, *filter(None, [given.integers])]}
    integers = looks.pop(given.integers.stem) if given.integers else None
    return Seen(Heard(_looks(given.bundled, photos, given.out), {}), looks, integers)


def whole_photos(given: argparse.Namespace, small: Seen) -> Seen:
    """What networks and witnesses say of the albums, the other networks at the temperatures that the prepared photos gave."""
    photos = albums.upright(given.albums)
    bundled = testimony(given.bundled, photos, given.out / "evidence.jsonl", print, ())
    personal = ~np.isin(np.array(bundled.looks.groups, dtype=object), given.apart)

    def looks(path: Path, like: Looks) -> Looks:
        its = ask(Engine(path), {}, photos, given.out / f"{path.stem}.jsonl", print).pick(personal).looks
        return replace(its, temperature=like.temperature, temperature_views=like.temperature_views)

    others = {path.stem: looks(path, small.others[path.stem]) for path in given.others}
    integers = looks(given.integers, small.integers) if small.integers else None
    return Seen(bundled.pick(personal), others, integers)


def ways(seen: Seen, policy: Policy) -> Iterator[tuple[Way, Heard]]:
    """Every way to use the networks, with the one whose eight views count as the scene's; first the one that is bundled."""
    scores, part = dict(seen.bundled.scores), folds(seen.bundled.looks.groups)
    witnesses = {name: its for name, its in scores.items() if name != _LARGER}
    if scores:
        yield together("as shipped", seen.bundled, part, policy), seen.bundled
    yield alone("bundled, alone", seen.bundled), seen.bundled
    for name, looks in seen.others.items():
        yield alone(f"{name}, alone", Heard(looks, {})), Heard(looks, {})
    first, *larger = seen.others.items()
    if seen.integers:
        its = alone(f"{first[0]}, alone, first look in integers", Heard(first[1], {}))
        yield replace(its, seen=its.seen._replace(first=shown(seen.integers).first)), Heard(first[1], {})
    for name, looks in seen.others.items():
        both = Heard(seen.bundled.looks, scores | {name: looks.logits.mean(1)})
        yield together(f"{name} next to the bundled one", both, part, policy), both
    for name, looks in seen.others.items() if witnesses else ():
        instead = Heard(seen.bundled.looks, witnesses | {name: looks.logits.mean(1)})
        yield together(f"{name} in place of {_LARGER}", instead, part, policy), instead
    for name, looks in seen.others.items() if witnesses else ():
        only = Heard(looks, witnesses)
        yield together(f"{name}, the only scene", only, part, policy), only
    for name, looks in larger if witnesses else ():
        only = Heard(first[1], witnesses | {name: looks.logits.mean(1)})
        yield together(f"{first[0]} and {name}, the only scenes", only, part, policy), only
    if seen.integers and witnesses:
        only, integers = Heard(first[1], witnesses), Heard(seen.integers, {})
        yield together(f"{first[0]}, the only scene, first look in integers", only, part, policy, integers), only


def page(what: str, seen: Seen, policy: Policy) -> Iterator[str]:
    found = list(ways(seen, policy))
    owners = seen.bundled.looks.groups
    eights = {way.name: shown(scene.looks).second[:, 0] for way, scene in found}
    table = rows([way for way, _ in found], eights, owners, found[0][0].name)
    heads = ("", "one view", "eight views", "all together", *(f"fixed at {count}" for count in FALSE))
    yield f"\n{len(owners):,} {what} of {len(set(owners))} owners:\n\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    yield from (_line(row) for row in table)
    yield f"\nThe same less “{found[0][0].name}”, in points:\n\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    yield from (_line(row, table[0]) for row in table[1:])


def costs(given: argparse.Namespace) -> Iterator[str]:
    yield "\n| network | MB | one look, ms of the processor | eight views |\n|---|---|---|---|"
    for path in (given.bundled, *given.others, *filter(None, [given.integers])):
        engine = Engine(path)
        size = engine.spec.input_size
        picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
        one, eight = _spent(lambda: engine.look(picture[None])), _spent(lambda: engine.look_again(picture))  # noqa: B023
        yield f"| {path.stem} | {path.stat().st_size / 1e6:.1f} | {one:.1f} | {eight:.1f} |"


def _line(row: Row, base: Row | None = None) -> str:
    cells = [
        f"{100 * its.share:.1f} ({_between(its.interval)})"
        if base is None
        else f"{100 * (its.share - base.figures[i].share):+.1f} ({_between(its.difference)})"
        for i, its in enumerate(row.figures)
    ]
    return f"| {' | '.join([row.name, *cells])} |"


def _between(interval: tuple[float, float]) -> str:
    return " to ".join(f"{100 * bound:.1f}" for bound in interval)


def _every(photos: PhotoSet, step: int) -> PhotoSet:
    names, groups = photos.names[::step], photos.groups[::step]
    return PhotoSet(photos.pixels[::step], names, groups, f"{photos.digest}-{step}")


def _looks(model: Path, photos: PhotoSet, out: Path) -> Looks:
    """At the temperatures that fit them, for a model that states none."""
    size = Engine(model).spec.input_size
    if size != photos.size:
        pixels = np.stack([resized(square, size, size) for square in photos.pixels])
        photos = replace(photos, pixels=pixels, digest=f"{photos.digest}-{size}")
    looks = collect(model, photos, cache=out, workers=1)
    return looks if load_spec(model).calibrated else calibrated(looks)


def _spent(look: object) -> float:
    """The least milliseconds of this thread."""
    taken: Sequence[float] = []
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        look()  # type: ignore[operator]
        taken = [*taken, time.thread_time() - begun]
    return 1000 * min(taken)


if __name__ == "__main__":
    main()
