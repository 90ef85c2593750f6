"""What the panel of witnesses costs each photo: judged by the model in use, and by another, in turns.

    python -m benchmarks.cpu.panel_by_photo FOLDER --model BEFORE.onnx

Processor time of reading, decoding and judging a photo in one process, without isolation; nothing is written. Every photo is
judged by both models one after the other, so that what else the machine does falls on both alike. "asked" are the photos whose
first look was not enough.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from orientd import errors
from orientd.api.detector import Detector


@dataclass(frozen=True)
class Cost:
    """Milliseconds of processor time for one photo by each model, and the witnesses that had something to say of it."""

    before: float
    panel: float
    evidence: tuple[str, ...]

    @property
    def more(self) -> float:
        return self.panel - self.before


def judged(detector: Detector, path: Path) -> tuple[float, tuple[str, ...]]:
    begun = time.process_time()
    said = detector.predict(path)
    return 1000 * (time.process_time() - begun), tuple(one.witness for one in said.evidence)


def costs(folder: Path, before: Detector, panel: Detector) -> list[Cost]:
    found = []
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        detectors = [before, panel] if number % 2 else [panel, before]
        try:
            spent = {id(detector): judged(detector, path) for detector in detectors}
        except errors.PhotoError:
            continue
        found.append(Cost(spent[id(before)][0], *spent[id(panel)]))
    return found


def summary(found: Sequence[Cost]) -> dict[str, object]:
    """Means and maxima in milliseconds."""
    asked = [each for each in found if each.evidence]
    most = max(found, key=lambda each: each.more)
    return {
        "photos": len(found),
        "before": round(fmean(each.before for each in found), 2),
        "panel": round(fmean(each.panel for each in found), 2),
        "more": round(fmean(each.more for each in found), 2),
        "asked": len(asked),
        "more, of those asked": round(fmean(each.more for each in asked), 1) if asked else 0.0,
        "most": round(max(each.panel for each in found), 1),
        "most of those asked": round(max((each.panel for each in asked), default=0.0), 1),
        "most more": round(most.more, 1),
        "whose witnesses": most.evidence,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True, help="the model without a panel")
    options = parser.parse_args()
    before, panel = Detector(options.model, isolate=False), Detector(isolate=False)
    first = next(path for path in sorted(options.folder.rglob("*")) if path.is_file())
    for detector in (before, panel):
        detector.predict(first)
    print(json.dumps(summary(costs(options.folder, before, panel)), indent=1))


if __name__ == "__main__":
    main()
