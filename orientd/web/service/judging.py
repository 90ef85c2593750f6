"""What is found out of pictures that were sent, as `orientd inspect`, a scan and `orientd pages` find it: from bytes alone."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np

from orientd import formats
from orientd.config import Config
from orientd.decode import admitted, encoded
from orientd.decode.skew import SIDE as PAGE_SIDE
from orientd.decode.skew import gray
from orientd.errors import ReadError
from orientd.judge.judge import Judge
from orientd.judge.panel import Opinion
from orientd.library import handed
from orientd.library.photo import EMPTY
from orientd.pages.judge import STRAIGHT, Finding
from orientd.pages.judge import judge as judge_page
from orientd.pipeline.inspection import inspected
from orientd.pipeline.page_run import make_ask
from orientd.pipeline.stages import make_judge, model_name
from orientd.reasons import Reason
from orientd.records import Evidence, FileStat, Format, Method, Notify, Photo, Picture, Prediction, Verdict
from orientd.report.page_report import PageVerdict
from orientd.web.service.tasks import Answer, Kind, Task, Wanted
from orientd.web.service.upright import Upright
from orientd.write import change
from orientd.write.change import Writable

T = TypeVar("T")
PREVIEW: Final = 1024
_SQUARE: Final = 64
_MEDIA: Final = {
    Format.JPEG: "image/jpeg",
    Format.MPO: "image/jpeg",
    Format.PNG: "image/png",
    Format.WEBP: "image/webp",
    Format.TIFF: "image/tiff",
    Format.HEIF: "image/heic",
    Format.AVIF: "image/avif",
    Format.BMP: "image/bmp",
    Format.GIF: "image/gif",
    Format.JPEG2000: "image/jp2",
}
_PAGES: Final = {PageVerdict.COPY: Verdict.FIX, PageVerdict.KEEP: Verdict.KEEP, PageVerdict.UNSURE: Verdict.UNSURE}


class Judging:
    """Answers groups of tasks, for several threads at once."""

    def __init__(self, config: Config, notify: Notify, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises OrientdError if there is no engine, or no model that can be used."""
        self.model = model_name(config)
        self._judge, _ = make_judge(config, notify, check=partial(_plan, Writable(config.formats)))
        self._ask, self._upright, self._clock = make_ask(), Upright(config), clock
        self._fitted = admitted.decoder(_SQUARE, config.max_pixels, config.max_memory, isolate=config.isolate).fitted

    @property
    def batch(self) -> int:
        """How many tasks are worth answering together: on a CPU each by itself, which is fastest there."""
        return self._judge.batch

    def warm(self) -> None:
        """Load all that the first picture would wait for. Raises what keeps every picture from being judged."""
        square = encoded.jpeg(Picture(np.full((96, 96, 3), 200, np.uint8), 96, 96))
        inspected(self._judge, handed.by_bytes(square))

    def __call__(self, tasks: Sequence[Task]) -> list[Answer | Exception]:
        """One answer for each task, in order, or what went wrong with it."""
        began = self._clock()
        opened = [_tried(partial(_opened, task)) for task in tasks]
        seen = self._together(tasks, opened)
        return [
            found if isinstance(found, Exception) else _tried(partial(self._timed, task, found, seen.get(number), began))
            for number, (task, found) in enumerate(zip(tasks, opened, strict=True))
        ]

    def _together(self, tasks: Sequence[Task], opened: Sequence[Photo | Exception]) -> Mapping[int, tuple[Picture, Prediction]]:
        """What a graphics card, if there is one, sees of many photos at once."""
        if not self._judge.batch_predictor:
            return {}
        wanted = [
            (number, photo)
            for number, (task, photo) in enumerate(zip(tasks, opened, strict=True))
            if isinstance(photo, Photo) and task.kind is Kind.ORIENTATION and not task.full
        ]
        sights = self._judge.batch_predictor([photo for _, photo in wanted])
        return {number: sight for (number, _), sight in zip(wanted, sights, strict=True) if sight}

    def _timed(self, task: Task, photo: Photo, sight: tuple[Picture, Prediction] | None, began: float) -> Answer:
        answer = self._page(task, photo) if task.kind is Kind.PAGE else self._orientation(task, photo, sight)
        seconds = {"waited": began - task.asked, "took": self._clock() - began}
        return replace(answer, values={**answer.values, "seconds": {name: round(value, 4) for name, value in seconds.items()}})

    def _orientation(self, task: Task, photo: Photo, sight: tuple[Picture, Prediction] | None) -> Answer:
        if task.wanted is Wanted.PREVIEW:
            return Answer({}, encoded.jpeg(self._fitted(photo, PREVIEW)), "image/jpeg")
        values = {"name": task.name or None, **(self._inspected(photo) if task.full else self._judged(photo, sight))}
        return self._with_file(task, photo, values, values["turn"] if values["decision"] == Verdict.FIX else 0)

    def _judged(self, photo: Photo, sight: tuple[Picture, Prediction] | None) -> dict[str, Any]:
        picture, opinion = _opinion(self._judge, photo, sight)
        decision = opinion.decision
        return {
            **_of_file(photo, picture),
            "probabilities": opinion.prediction.probabilities,
            "decision": decision.verdict.value,
            "turn": decision.turn,
            "confidence": decision.confidence,
            "reason": decision.reason or None,
            "reason_code": decision.code,
            "evidence": [_evidence(one) for one in opinion.evidence],
        }

    def _inspected(self, photo: Photo) -> dict[str, Any]:
        seen = inspected(self._judge, photo)
        values = {name: value for name, value in seen.values().items() if name != "path"}
        frames = [[frame._asdict() for frame in one.frames] for one in seen.testimonies]
        values["witnesses"] = [{**one, "frames": found} for one, found in zip(values["witnesses"], frames, strict=True)]
        return {**values, "evidence": [_evidence(one) for one in seen.opinion.evidence]}

    def _page(self, task: Task, photo: Photo) -> Answer:
        self._upright.check_single(photo)
        picture = self._fitted(photo, PAGE_SIDE)
        found = judge_page(gray(picture.pixels), self._ask)
        values = {"name": task.name or None, **_of_file(photo, picture), **_of_page(found)}
        turns = found.verdict is PageVerdict.COPY
        rest = found.rest if turns and abs(found.rest) >= STRAIGHT else 0.0
        return self._with_file(task, photo, values, found.quarters if turns else 0, rest)

    def _with_file(self, task: Task, photo: Photo, values: dict[str, Any], quarters: int, rest: float = 0.0) -> Answer:
        if task.wanted is not Wanted.IMAGE:
            return Answer(values)
        file, how = self._upright.turned(photo, quarters, rest)
        return Answer({**values, "changed": how.value}, file, _MEDIA[formats.sniff(file)])


def _opened(task: Task) -> Photo:
    if not task.data:
        raise ReadError(Reason.DAMAGED, EMPTY)
    return handed.by_bytes(task.data, task.name)


def _opinion(judge: Judge, photo: Photo, sight: tuple[Picture, Prediction] | None) -> tuple[Picture, Opinion]:
    """What a scan thinks of it: what a graphics card alone would turn is looked at without it, too."""
    if sight:
        opinion = judge.opinion(photo, *sight)
        if opinion.decision.verdict is not Verdict.FIX:
            return sight[0], opinion
    picture = judge.decode(photo)
    return picture, judge.opinion(photo, picture, judge.predictor.look(picture.pixels[None])[0])


def _plan(writable: Writable, photo: Photo, orientation: int) -> tuple[Method, str, Reason | None]:
    """As the stage *plan* of a scan, for bytes that are no file."""
    planned = change.plan_change(writable, None, photo.format, photo.data, orientation, FileStat(0, 0, 0, 0).nlink)
    return planned.method, planned.remark, planned.code


def _of_file(photo: Photo, picture: Picture) -> dict[str, Any]:
    return {
        "format": photo.format.value,
        "width": picture.width,
        "height": picture.height,
        "orientation": photo.orientation,
        "sha256": photo.sha256,
    }


def _of_page(found: Finding) -> dict[str, Any]:
    return {
        "angle": found.angle,
        "angle_confidence": found.angle_confidence,
        "turn": found.turn,
        "confidence": found.confidence,
        "decision": _PAGES[found.verdict].value,
        "reason": found.reason or None,
        "reason_code": found.code,
    }


def _evidence(one: Evidence) -> dict[str, Any]:
    frames = [frame._asdict() for frame in one.frames]
    return {"name": one.witness, "scores": one.scores, "note": one.note or None, "frames": frames}


def _tried(ask: Callable[[], T]) -> T | Exception:
    try:
        return ask()
    except Exception as error:
        return error
