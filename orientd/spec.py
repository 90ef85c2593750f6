"""What a model file says about itself: how its input is made and how its answers are to be read."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Self

from orientd.errors import ModelError

METADATA_KEY = "orientd.spec"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The contract between training and serving, stored as JSON in the ONNX file's metadata.

    The input is uint8 of shape (N, input_size, input_size, 3), RGB, as viewers show the photo: the whole picture squeezed to
    a square by an antialiased bilinear filter (`resize="squash"`), so that turning and resizing commute. The output is
    float32 logits of shape (N, 4) for turns of 0, 90, 180 and 270° clockwise. Logits divided by `temperature` (one view) or
    the mean logits of all eight views divided by `temperature_views` give calibrated probabilities when the four turns are
    equally likely (temperature scaling: Guo et al. 2017, arXiv:1706.04599).
    """

    name: str
    input_size: int
    resize: str = "squash"
    temperature: float = 1.0
    temperature_views: float = 1.0

    def __post_init__(self) -> None:
        if self.resize != "squash":
            raise ModelError(f"model {self.name!r} wants resize rule {self.resize!r}: upgrade orientd")
        if not 32 <= self.input_size <= 1024 or min(self.temperature, self.temperature_views) <= 0:
            raise ModelError(f"model {self.name!r} states an impossible input size or temperature: export it again")

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec back.

        Raises:
            ModelError: the text is not a spec this version understands.
        """
        try:
            values = json.loads(text)
            unknown = sorted(set(values) - {field.name for field in fields(cls)})
            if unknown:
                raise ModelError(f"the model's spec has unknown fields ({', '.join(unknown)}): upgrade orientd")
            return cls(**values)
        except (TypeError, ValueError) as error:
            raise ModelError(f"the model's spec cannot be read ({error}): export the model again with orientd-train") from error
