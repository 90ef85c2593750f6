"""Training recipes: `recipe` says what one may hold, `loading` reads one."""

from orientd_training.config.loading import load
from orientd_training.config.recipe import SKEW_STEP, Augment, Change, Phase, Skew, Source, Teacher, TrainConfig

__all__ = ["SKEW_STEP", "Augment", "Change", "Phase", "Skew", "Source", "Teacher", "TrainConfig", "load"]
