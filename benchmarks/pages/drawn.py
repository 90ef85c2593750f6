"""How many drawn pages, signs and screens are fixed, and turned by mistake, by the panel and by the scene alone.

    orientd-train draw-pages --out DRAWN --count 600 --seed 903 --font-share 0.75 1 --backgrounds cache/train
    python -m benchmarks.pages.drawn orientd/models/orientd.onnx DRAWN --kept evidence.jsonl

Each is upright as drawn, and counts with its three turns, too: what the witnesses say of these is the same, turned. The file
--kept holds what they said, from which the same command goes on.
"""

import argparse
from pathlib import Path

import numpy as np
from orientd_training.data.albums import AlbumPhoto
from orientd_training.evaluate.panel_trial import spoken
from orientd_training.evaluate.predictions import shown
from orientd_training.evaluate.score import judged
from orientd_training.report import panel

from orientd.infer.engine import load_spec
from orientd.judge.panel import PanelSpec
from orientd.judge.policy import DEFAULT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("drawn", type=Path)
    parser.add_argument("--kept", type=Path)
    given = parser.parse_args()
    spec = PanelSpec.from_json(load_spec(given.model).panel)
    names = [path.relative_to(given.drawn) for path in sorted(given.drawn.rglob("*.jpg"))]
    photos = [AlbumPhoto(given.drawn / name, str(name), name.parts[0]) for name in names]
    heard = panel.testimony(given.model, photos, given.kept, print, ())
    kinds = np.array(heard.looks.groups)
    print("| what judges | kind | drawn | turned by mistake | fixed | to a wrong side |\n|---|---|---|---|---|---|")
    for kind in ("all", *sorted(set(kinds))):
        some = heard.pick((kinds == kind) | (kind == "all"))
        for who, result in (
            ("scene alone, usual policy", judged(shown(some.looks), DEFAULT)),
            ("panel", judged(spoken(some, spec.voices), spec.policy)),
        ):
            score = result.score()
            print(f"| {who} | {kind} | {score.photos} | {score.false} | {100 * score.mended:.1f} % | {score.worse} |")


if __name__ == "__main__":
    main()
