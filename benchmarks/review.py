"""How fast the page of `orientd review` is with a plan of 100,000 rows, in a browser that nobody sees.

    python -m benchmarks.review --rows 100000 --proposals 60 --unsure 2300

Measured are: from the start of the command to the first cards with their pictures; for each of so many proposals judged by keys,
from the key to the next frame that is painted, and to the answer of the server, which has the verdict on the disk by then; and a
scroll to the end. The photos of the cards are drawn, 12 megapixels each; hard links, so that thousands of them take no room. The
browser runs on the same machine, and takes its share of the processor.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from benchmarks.measuring import machine
from orientd.reasons import Reason
from orientd.records import Method, Row, Verdict
from orientd.report.csv_file import CsvReport

CHROMIUM = "/usr/bin/chromium"
_DRAWN = 6
_TIMING = """
window.keys = [];
addEventListener("keydown", () => {
  const pressed = performance.now();
  requestAnimationFrame(() => setTimeout(() => keys.push(performance.now() - pressed)));
}, true);
performance.setResourceTimingBufferSize(10000);
"""
_ANSWERS = "performance.getEntriesByType('resource').filter(e => e.name.endsWith('verdict')).map(e => e.duration)"


def drawn(seed: int, width: int = 4000, height: int = 3000) -> bytes:
    """A JPEG with as much detail as one of a camera, about 4 MB."""
    random = np.random.default_rng(seed)
    rough = np.asarray(
        Image.fromarray(random.integers(0, 256, (30, 40, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    )
    noisy = (rough.astype(np.int16) + random.integers(-14, 15, (height, width, 1), np.int16)).clip(0, 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_plan(folder: Path, rows: int, proposals: int, unsure: int) -> Path:
    """A plan of `rows` photos, those that a person must look at among them; only these are there as files."""
    photos = folder / "photos"
    photos.mkdir()
    originals = [photos / f"original-{seed}.jpg" for seed in range(_DRAWN)]
    for seed, original in enumerate(originals):
        original.write_bytes(drawn(seed))
    every, random = rows // (proposals + unsure), np.random.default_rng(1)
    with CsvReport(str(folder / "plan.csv")) as report:
        for number in range(rows):
            wanted, asks = divmod(number, every)
            decision = Verdict.KEEP
            path = photos / f"{number // 500:03}" / f"IMG_{number:06}.jpg"
            if asks == 0 and wanted < proposals + unsure:
                decision = Verdict.FIX if wanted % (1 + unsure // proposals) == 0 else Verdict.UNSURE
                path.parent.mkdir(exist_ok=True)
                os.link(originals[number % _DRAWN], path)
            report.write(_row(str(path), number, decision, float(random.random())))
        return Path(report.finish())


def _row(path: str, number: int, decision: Verdict, chance: float) -> Row:
    turn = 0 if decision is Verdict.KEEP else 90
    best = 0.55 + 0.45 * chance if decision is Verdict.FIX else chance / 2
    likely = (0.99, 0.004, 0.003, 0.003) if turn == 0 else (1 - best, best, 0.0, 0.0)
    return Row(
        path,
        "jpeg",
        4000,
        3000,
        turn=turn,
        confidence=best if turn else 0.99,
        probabilities=likely,
        views=8,
        decision=decision,
        new_orientation=6 if decision is Verdict.FIX else None,
        method=Method.TAG if decision is Verdict.FIX else None,
        reason="views disagree: 5 of 8 say 90°, 8 must" if decision is Verdict.UNSURE else "",
        size=4_000_000,
        mtime_ns=1_700_000_000_000_000_000 + number * 10**12,
        sha256=f"{number:064x}",
        reason_code=Reason.VIEWS_DISAGREE if decision is Verdict.UNSURE else None,
        evidence=f"scene {turn} +2.0; faces {turn} +1.3; people 0 +0.0",
    )


@contextmanager
def review(plan: Path, state: Path) -> Iterator[str]:
    """The page of a plan, served by a process of its own; its address."""
    command = [sys.executable, "-m", "orientd", "review", "--no-browser", str(plan), str(plan.parent / "photos")]
    environment = os.environ | {"ORIENTD_STATE_DIR": str(state)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        found = re.search(r"http\S+", process.stdout.readline())
        assert found, "orientd review has ended: run it by hand to see why"
        yield found[0]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measure(plan: Path, state: Path, proposals: int) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.add_init_script(_TIMING)
        started = time.perf_counter()
        with review(plan, state) as address:
            printed = time.perf_counter() - started
            page.goto(address)
            page.wait_for_selector(".card h3")
            words = time.perf_counter() - started
            page.wait_for_selector(".frame img.there")
            first = time.perf_counter() - started
            page.wait_for_selector(":nth-match(.frame img.there, 8)")
            eight = time.perf_counter() - started
            began = time.perf_counter()
            for number in range(proposals):
                page.keyboard.press("k" if number % 10 == 9 else "a")
            page.get_by_text(f"{proposals} of", exact=False).first.wait_for()
            while len(answers := page.evaluate(_ANSWERS)) < proposals:
                page.wait_for_timeout(10)
            all_keys = time.perf_counter() - began
            keys = page.evaluate("keys")
            began = time.perf_counter()
            page.keyboard.press("End")
            page.wait_for_selector(".card.current .frame img.there")
            end = time.perf_counter() - began
        browser.close()
    return {
        "address printed, s": printed,
        "first cards, s": words,
        "first picture, s": first,
        "eight pictures, s": eight,
        "key to the next frame, median ms": median(keys),
        "key to the next frame, longest ms": max(keys),
        "verdict on the disk and answered, median ms": median(answers),
        "verdict on the disk and answered, longest ms": max(answers),
        f"{proposals} proposals by keys, s": all_keys,
        "End, with its picture, s": end,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--proposals", type=int, default=60)
    parser.add_argument("--unsure", type=int, default=2300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = make_plan(folder, arguments.rows, arguments.proposals, arguments.unsure)
        found = measure(plan, folder / "state", arguments.proposals)
        verdicts = Path(f"{plan}.verdicts").read_text().count("\n")
    assert verdicts == arguments.proposals, verdicts
    print(
        json.dumps({"machine": machine(), **vars(arguments), **{key: round(value, 3) for key, value in found.items()}}, indent=2)
    )


if __name__ == "__main__":
    main()
