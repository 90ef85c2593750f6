"""How two decoders show a photo, and whether a change turned it for both as was asked. Shares no code with orientd.

The first is Pillow (libjpeg-turbo, libpng, libtiff, libwebp, libavif; libheif by pillow-heif), the second libvips for all but
HEIC, which `heif-convert` of another libheif decodes. Hostile files may end a decoder, so `Viewer` asks a child process: this
module, run as a program, answers one question in JSON a line.
"""

import json
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measuring import ROOT

Pixels = NDArray[np.uint8]

SEEN, WRONG, LOST, BLIND = "seen", "wrong", "lost", "blind"
NOTHING: Final = "shows nothing: "
SECONDS: Final = 180  # for one question
NEAR: Final = 3.0  # levels in the mean: half-resolution colors are interpolated before or after the turn
FAR: Final = 4  # times nearer than any other turn: where sides are odd, these colors shift by half a sample
_MULTI_FRAME: Final = "Multi-Frame"
_SHOWN: Final = {2: (True, 0), 3: (False, 2), 4: (True, 2), 5: (True, 3), 6: (False, 1), 7: (True, 1), 8: (False, 3)}
"""Orientation → mirrored from left to right, and then turned by so many quarters clockwise."""


class View(NamedTuple):
    """A photo as a decoder shows it: its frames, uint8 of shape (height, width, 3), and what the decoder complained about."""

    frames: list[Pixels]
    faults: str = ""


def by_pillow(path: Path) -> View:
    """Whole, by Pillow; of a JPEG with several pictures those that are frames of one photo, previews and gain maps left out."""
    import pillow_heif
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    pillow_heif.register_heif_opener()
    with warnings.catch_warnings(), Image.open(BytesIO(path.read_bytes())) as image:  # by name, Pillow 13 garbles mapped TIFFs
        warnings.simplefilter("ignore")
        frames = []
        for index in range(min(_frames(image), 20)):
            if index:  # a HEIF opens at its primary picture, which need not be the first
                image.seek(index)
            image.load()
            frames.append(_as_shown(_pixels(image), image.getexif().get(0x0112)))
    return View(frames)


def _pixels(image: Any) -> Pixels:
    """RGB of 8 bits; of more bits the whole range, as conversion would cut it off."""
    if not image.mode.startswith(("I", "F")):
        return np.asarray(image.convert("RGB"))
    numbers = np.nan_to_num(np.asarray(image, np.float64))
    low, high = numbers.min(), numbers.max()
    gray = (255 * (numbers - low) / (high - low or 1)).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _as_shown(pixels: Pixels, orientation: Any) -> Pixels:
    """As the tag says (EXIF 2.32, 0x0112). Pillow's own `exif_transpose` rewrites metadata, too, and may fail at it."""
    mirrored, turns = _SHOWN.get(orientation, (False, 0))
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, -turns)


def _frames(image: Any) -> int:
    if image.format == "MPO":
        return sum(_MULTI_FRAME in each["Attribute"]["MPType"] for each in image.mpinfo[0xB002]) or 1
    return 1 if image.format in ("HEIF", "AVIF") else getattr(image, "n_frames", 1)


def by_vips(path: Path) -> View:
    """The first picture by libvips; what it complains about on the way is a fault."""
    import pyvips

    data = path.read_bytes()  # by name, libvips would show what it remembers of a file that is another one now
    try:
        return View([_vips_pixels(pyvips.Image.new_from_buffer(data, "", fail_on="warning", access="sequential"))])
    except pyvips.Error as error:
        try:
            return View([_vips_pixels(pyvips.Image.new_from_buffer(data, "", fail_on="none"))], _line(error))
        except pyvips.Error:
            raise ValueError(_line(error)) from None


def _vips_pixels(image: Any) -> Pixels:
    turned = image.copy_memory().autorot()
    rgb = turned.colourspace("srgb") if turned.interpretation not in ("srgb", "b-w") else turned
    flat: Pixels = np.asarray(rgb.cast("uchar").numpy())
    gray = flat[..., None] if flat.ndim == 2 else flat
    return gray[..., :3] if gray.shape[2] >= 3 else np.repeat(gray[..., :1], 3, axis=2)


def by_heif_convert(path: Path) -> View:
    """The primary picture by the command of that name."""
    from PIL import Image

    with TemporaryDirectory() as folder:
        made = Path(folder, "shown.jpg")
        command = ["heif-convert", "-q", "95", str(path), str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        shown = made if made.exists() else made.with_name(f"shown-{_primary(path)}.jpg")
        if not shown.exists():
            raise ValueError(_line(done.stderr or done.stdout or f"exit code {done.returncode}"))
        with Image.open(shown) as image:
            return View([np.asarray(image.convert("RGB"))])


def _primary(path: Path) -> int:
    """Which of several pictures is the primary one, from 1."""
    output = subprocess.run(["heif-info", str(path)], capture_output=True, text=True, check=False, timeout=60).stdout
    pictures = [line for line in output.splitlines() if line.startswith("image: ")]
    return next((number for number, line in enumerate(pictures, 1) if line.endswith("primary")), 1)


def decoders(path: Path) -> dict[str, Callable[[Path], View]]:
    """Two decoders for that file, by its content."""
    head = path.read_bytes()[:64]
    is_heic = head[4:8] == b"ftyp" and b"avif" not in head and b"avis" not in head
    if is_heic and shutil.which("heif-convert"):
        return {"Pillow": by_pillow, "heif-convert": by_heif_convert}
    return {"Pillow": by_pillow, "libvips": by_vips}


def seen(path: Path) -> dict[str, View | str]:
    """What each decoder shows, or why it shows nothing."""
    found: dict[str, View | str] = {}
    for name, decode in decoders(path).items():
        try:
            found[name] = decode(path)
        except Exception as error:  # decoders of hostile bytes raise anything
            found[name] = _line(error) or type(error).__name__
    return found


def compared(before: Path, afters: dict[int, Path]) -> dict[int, dict[str, str]]:
    """For each turn (degrees clockwise) and the file it led to: what each decoder says of it.

    `seen`: turned so; `wrong`: another picture or turn; `lost`: it showed the photo and no longer does; `blind`: it never did.
    """
    views = _seen_before(before)
    return {turn: _verdicts(views, seen(after), turn) for turn, after in afters.items()}


@lru_cache(maxsize=1)
def _seen_before(path: Path) -> dict[str, View | str]:
    """As `seen`: a photo that several changes are tried on is decoded once."""
    return seen(path)


def _verdicts(views: dict[str, View | str], shown: dict[str, View | str], turn: int) -> dict[str, str]:
    said = {}
    for name, view in views.items():
        after = shown.get(name, "")
        if isinstance(view, str):
            said[name] = BLIND
        elif isinstance(after, str):
            said[name] = LOST
        else:
            said[name] = SEEN if is_turned(view.frames, after.frames, turn) else WRONG
    return said


def is_turned(before: list[Pixels], after: list[Pixels], turn: int) -> bool:
    """True if each picture is the one before turned by so many degrees clockwise, and not nearer to another turn of it."""
    return len(before) == len(after) and all(_is_turned(one, other, turn) for one, other in zip(before, after, strict=True))


def _is_turned(before: Pixels, after: Pixels, turn: int) -> bool:
    wanted = np.rot90(before, -turn // 90)
    if wanted.shape != after.shape:
        return False
    if np.array_equal(wanted, after):
        return True
    ways = [np.rot90(each, quarters) for each in (before, before[:, ::-1]) for quarters in range(4)]
    distance = _distance(wanted, after)
    others = [_distance(each, after) for each in ways if each.shape == after.shape and not np.array_equal(each, wanted)]
    return distance <= min([NEAR, *others]) or distance * FAR <= min([255.0, *others])


def _distance(one: Pixels, other: Pixels) -> float:
    """Levels in the mean, over about a thousand rows and columns at most: 200 megapixels would take gigabytes."""
    step = max(1, max(one.shape) // 1000)
    return float(np.abs(one[::step, ::step].astype(np.int16) - other[::step, ::step]).mean())


def readable(path: Path) -> dict[str, str]:
    """What each decoder complains of: empty if it shows the whole file; behind NOTHING if it shows none of it."""
    return {name: NOTHING + view if isinstance(view, str) else view.faults for name, view in _seen_before(path).items()}


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200]


class Viewer:
    """Asks `compared` and `readable` of a child process, and starts another one where that died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None

    def compared(self, before: Path, afters: dict[int, Path]) -> dict[int, dict[str, str]]:
        """As the function of that name; all decoders are `blind` where the child died."""
        said = self._ask({"before": str(before), "afters": {turn: str(after) for turn, after in afters.items()}})
        return {turn: said.get(str(turn), {"both": BLIND}) for turn in afters}

    def readable(self, path: Path) -> dict[str, str]:
        """As the function of that name."""
        return self._ask({"read": str(path)}) or {"both": NOTHING + "the decoder died"}

    def close(self) -> None:
        if self._child:
            self._child.communicate()
            self._child = None

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        if self._child is None:
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(
                [sys.executable, "-m", __name__], cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
            )
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(json.dumps(question) + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            self._child.wait()
            self._child = None
        return json.loads(answer) if answer else {}


def _serve() -> None:
    for line in sys.stdin:
        signal.alarm(SECONDS)
        question = json.loads(line)
        if "read" in question:
            answer: dict[Any, dict[str, str] | str] = dict(readable(Path(question["read"])))
        else:
            afters = {int(turn): Path(after) for turn, after in question["afters"].items()}
            answer = dict(compared(Path(question["before"]), afters))
        signal.alarm(0)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
