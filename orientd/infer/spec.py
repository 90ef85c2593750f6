"""What a model file says about itself: how its input is made and how its answers are to be read."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Final, Self

from orientd.errors import ModelError
from orientd.orientation import TURNS

METADATA_KEY: Final = "orientd.spec"

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The contract between training and serving, stored as JSON in the ONNX file's metadata.

    What an engine is given is uint8 of shape (N, input_size, input_size, 3), RGB, as viewers show the photo: the whole picture
    squeezed to a square by an antialiased bilinear filter (`resize="squash"`), so that turning and resizing commute. A graph of
    orientd takes just that and gives float32 logits of shape (N, 4) for turns of 0, 90, 180 and 270° clockwise. Logits divided by
    `temperature` (one view) or the mean logits of all eight views divided by `temperature_views` give calibrated probabilities
    when the four turns are equally likely (temperature scaling: Guo et al. 2017, arXiv:1706.04599).

    `second_size`: another side at which the same graph sees pictures as well, for a second look (0: none).

    The rest is for graphs of others. `crop`: only the middle of the square, that many pixels wide, is seen (0: all of it); the
    rim is equally wide on all sides, so that cropping and turning commute, too. `mean` and `std`, per channel of 0–1: the graph
    takes float32 of shape (N, 3, side, side), normalised by them. `classes`: the turn that each of its four outputs means.

    `panel`: what was fitted for this model as a witness among others, and the policy (see `orientd.judge.panel.PanelSpec`).
    """

    name: str
    input_size: int
    resize: str = "squash"
    temperature: float = 1.0
    temperature_views: float = 1.0
    crop: int = 0
    mean: Channels | None = None
    std: Channels | None = None
    classes: tuple[int, ...] = TURNS
    panel: Mapping[str, Any] | None = None
    second_size: int = 0

    def __post_init__(self) -> None:
        if self.resize != "squash":
            raise ModelError(f"model {self.name!r} wants resize rule {self.resize!r}: upgrade orientd")
        if not 32 <= self.input_size <= 1024 or min(self.temperature, self.temperature_views) <= 0:
            raise ModelError(f"model {self.name!r} states an impossible input size or temperature: export it again")
        if self.second_size and (not 32 <= self.second_size <= 1024 or self.mean or self.crop):
            raise ModelError(f"model {self.name!r} states a second input size that it cannot have: export it again")
        if self.crop and not (32 <= self.crop <= self.input_size and (self.input_size - self.crop) % 2 == 0):
            raise ModelError(f"model {self.name!r} states a crop that does not lie in the middle of its input: export it again")
        if not _normalises(self.mean, self.std):
            raise ModelError(f"model {self.name!r} states an impossible normalisation: export it again")
        if sorted(self.classes) != list(TURNS):
            raise ModelError(f"model {self.name!r} states classes that are not the four turns: export it again")

    @property
    def side(self) -> int:
        """The side, in pixels, of what the graph sees."""
        return self.crop or self.input_size

    @property
    def sides(self) -> tuple[int, ...]:
        """The sides of the squares that it can be shown, the usual one first."""
        return (self.input_size, self.second_size) if self.second_size else (self.input_size,)

    @property
    def calibrated(self) -> bool:
        """False as long as no temperature was fitted: then the probabilities are what the network happens to claim."""
        return (self.temperature, self.temperature_views) != (1, 1)

    def to_json(self) -> str:
        """What differs from the defaults, so that an older orientd reads what it can serve."""
        defaults = {field.name: field.default for field in fields(self)}
        return json.dumps({key: value for key, value in asdict(self).items() if value != defaults[key]}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec back.

        Raises:
            ModelError: the text is not a spec this version understands.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            unknown = sorted(set(values) - {field.name for field in fields(cls)})
            if unknown:
                raise ModelError(f"the model's spec has unknown fields ({', '.join(unknown)}): upgrade orientd")
            values |= {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"the model's spec cannot be read ({error}): export the model again with orientd-train") from error


def _normalises(mean: Channels | None, std: Channels | None) -> bool:
    if mean is None or std is None:
        return mean is std
    return len(mean) == len(std) == 3 and all(map(isfinite, mean + std)) and min(std) > 0


# Models that others have published, as their files say nothing of orientd. The first is that of
# https://github.com/duartebarbosadev/deep-image-orientation-detection (weights under MIT by its card on
# huggingface.co/DuarteBarbosa/deep-image-orientation-detection, orientation_model_v2_0.9882.onnx): its predict_onnx.py resizes to
# 416 × 416, crops the middle 384, and normalises by ImageNet's means; convert_to_onnx.py calls the float32 input (N, 3, 384, 384)
# "input" and the logits (N, 4) "output"; config.py says that class 1 is a photo turned 90° counter-clockwise, which "needs to be
# rotated 90° clockwise", and 3 the contrary. These are the classes of orientd. It publishes no temperatures.
PRESETS: Final[Mapping[str, ModelSpec]] = {
    "upstream-efficientnetv2-s": ModelSpec(
        "upstream-efficientnetv2-s", 416, crop=384, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
    )
}
