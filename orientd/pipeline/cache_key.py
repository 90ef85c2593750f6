"""What the judgement of a photo depends on besides the photo itself."""

from dataclasses import astuple, dataclass, fields
from typing import Final, Self

from orientd.config import Config
from orientd.judge.policy import Policy

JUDGEMENT: Final = "5"  # raise it when decoding or judging changes its answers, so that cached ones are dropped


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Rows that were judged under another key are not reused.

    `by_thumbnail`: photos may be found upright by their thumbnails. Settings that decide only speed, memory or how a row is
    carried out are not in it (see the test).
    """

    model_id: str
    policy_id: str
    witnesses: tuple[str, ...]
    hard_links: bool
    formats: tuple[str, ...]
    sidecar: str
    sidecar_naming: str
    max_pixels: int
    max_bytes: int
    by_thumbnail: bool
    judgement: str = JUDGEMENT

    @classmethod
    def of(cls, config: Config, model_id: str, policy: Policy, witnesses: tuple[str, ...], *, by_thumbnail: bool) -> Self:
        """The key of a configuration, the model that was opened for it, the policy that results, and its witnesses."""
        return cls(
            model_id=model_id,
            policy_id=policy.id,
            witnesses=witnesses,
            hard_links=config.hard_links,
            formats=tuple(sorted(config.formats)),
            sidecar=config.sidecar,
            sidecar_naming=config.sidecar_naming,
            max_pixels=config.max_pixels,
            max_bytes=config.max_bytes,
            by_thumbnail=by_thumbnail,
        )

    @property
    def id(self) -> str:
        """One text of it all: `name=value` of every field."""
        return " ".join(f"{field.name}={value}" for field, value in zip(fields(self), astuple(self), strict=True))
