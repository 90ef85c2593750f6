"""What a network for the skew of pages is shown and told: the right angle, nothing beside the page, and the same angle back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from orientd_training import config as recipes
from orientd_training.config import Change, Phase, Skew, Teacher
from orientd_training.fit import tasks
from orientd_training.fit.tasks import MOST, Skewed, Turned, apart, classes
from PIL import Image
from support import training_runs

from orientd.errors import ConfigError

_one_thread, cache = training_runs.on_one_thread, training_runs.its_cache
STILL = tasks._STILL


def striped(size=128, period=8, number=1):
    """A page of level lines, darker towards its left."""
    rows = np.where(np.arange(size) % period < period // 2, 40, 240)[:, None] + np.linspace(-20, 15, size)[None]
    return torch.from_numpy(np.repeat(rows[None, None], 3, 1).repeat(number, 0)).float()


@pytest.mark.parametrize("needs", [-88.5, -45, -10, 0, 0.5, 30, 89])
@pytest.mark.parametrize("half", [0, 180])
def test_turned_by_the_target_the_lines_are_level(needs, half):
    """Turned by Pillow, clockwise, which knows nothing of our matrices."""
    task = Skewed(Skew(part=0.6))
    shown = task.shown(striped(), torch.tensor([needs + half]), 128)[0]
    straight = Image.fromarray(shown.mean(0).byte().numpy()).rotate(-needs, Image.Resampling.BICUBIC)
    middle = np.asarray(straight, float)[32:96, 32:96]
    assert middle.mean(1).std() > 50, "the mean of each row is light or dark"
    assert middle.std(1).max() < 15, "and no row is both"


def test_no_angle_shows_what_is_not_of_the_page():
    task, edge = Skewed(Skew(part=0.7071)), torch.full((1, 3, 100, 100), 255.0)
    edge[..., 1:-1, 1:-1] = 0
    angles = task.drawn(200, torch.Generator().manual_seed(1))
    changes = replace(recipes.Augment(), tilt=Change(0, 0))
    matrices = task.geometry(angles, changes, torch.Generator().manual_seed(2))
    corners = matrices @ torch.tensor([[x, y, 1.0] for x in (-1, 1) for y in (-1, 1)]).T
    assert corners[:, :2].abs().max() <= 1 + 1e-4
    assert task.shown(edge.expand(200, -1, -1, -1), angles, 64).max() < 200


def test_angles_are_drawn_evenly_and_half_of_the_pages_upside_down():
    angles = Skewed(Skew()).drawn(8000, torch.Generator().manual_seed(1))
    upside_down = (angles > 90).float().mean()
    assert 0.47 < upside_down < 0.53
    lying = apart(angles, torch.zeros(()))
    assert lying.abs().max() <= MOST + 1e-4
    counts = torch.histc(lying, 10, -MOST, MOST)
    assert counts.min() > 700


def test_the_angles_to_validate_at_are_all_of_them_and_the_same_each_time():
    task = Skewed(Skew())
    angles = apart(task.at(0, 357), torch.zeros(()))
    assert sorted(angles.tolist()) == [step / 2 for step in range(-178, 179)]
    assert torch.equal(task.at(100, 20), task.at(0, 357)[100:120])
    some = apart(task.at(0, 12), torch.zeros(()))
    assert torch.histc(some, 3, -90, 90).min() >= 3, "any few in a row are of all kinds"


@pytest.mark.parametrize("wanted", [-89.75, -89, -0.2, 0, 45.3, 89.9, 179.75])
def test_the_angle_that_was_the_label_is_found(wanted):
    """At the end of the circle, too, where −90 and 90 are one."""
    task = Skewed(Skew(spread=0.5))
    label = task._wanted(torch.tensor([wanted]))
    assert float(label.sum()) == pytest.approx(1)
    label = label.clamp(min=1e-9)
    found = task.found(label.log())
    assert float(apart(found, torch.tensor(wanted)).abs()) < 0.02
    assert task.right(label.log(), torch.tensor([wanted + 0.45]))
    assert not task.right(label.log(), torch.tensor([wanted + 0.6]))
    exact, wrong = task.losses(label.log(), torch.tensor([wanted])), task.losses(label.log(), torch.tensor([wanted + 3]))
    assert exact < wrong


def test_classes_are_half_degrees_of_half_a_turn():
    assert classes(torch.device("cpu")).tolist() == [step / 2 for step in range(-180, 180)]


def test_four_turns_are_what_they_always_were():
    task, random = Turned(), torch.Generator()
    assert torch.equal(task.drawn(50, random.manual_seed(3)), torch.randint(0, 4, (50,), generator=random.manual_seed(3)))
    assert task.at(6, 4).tolist() == [2, 3, 0, 1]
    logits, targets = torch.randn(9, 4), torch.arange(9) % 4
    assert task.losses(logits, targets, 0.1).mean() == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.1))
    )


def test_halves_are_upright_and_upside_down_alone(tmp_path):
    task = tasks.of(recipe(tmp_path, "halves: true\n"))
    assert set(task.drawn(50, torch.Generator().manual_seed(3)).tolist()) == {0, 2}
    assert task.at(7, 4).tolist() == [2, 0, 2, 0]
    with pytest.raises(ConfigError, match="halves: must be false with skew"):
        recipe(tmp_path, "halves: true\nskew: {part: 0.5}\naugment: {tilt: {probability: 0, strength: 0}}\n")


def test_a_skew_recipe_is_refused_what_would_blur_the_angle(tmp_path, cache):
    text = "name: x\ntrain: a\nvalidation: b\nbackbone: c\nphases: [{size: 32, photos: 10}]\nskew: {part: 0.5}\n"
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"augment\.tilt\.probability: must be 0 with skew"):
        recipes.load(tmp_path / "x.yaml")
    config = recipes.load(tmp_path / "x.yaml", ("augment.tilt.probability=0",))
    assert (config.skew, config.outputs) == (Skew(0.5), 360)
    with pytest.raises(ConfigError, match="teacher: there is none for skew"):
        recipes.load(tmp_path / "x.yaml", ("augment.tilt.probability=0", "teacher.model=t.onnx"))
    with pytest.raises(ConfigError, match=r"skew\.part: must be between"):
        recipes.load(tmp_path / "x.yaml", ("augment.tilt.probability=0", "skew.part=0.9"))


def test_a_skew_model_teaches_no_model_of_four_turns(cache, tmp_path):
    from orientd_training.fit import loop

    still = replace(recipes.Augment(), tilt=Change(0, 0))
    loop.fit(training_runs.recipe(cache, skew=Skew(), augment=still, phases=(Phase(32, 8),)), tmp_path / "run")
    taught = training_runs.recipe(cache, teacher=Teacher(Path(tmp_path / "run")), phases=(Phase(32, 8),))
    with pytest.raises(ConfigError, match="tells skew, not which way is up"):
        loop.fit(taught, tmp_path / "other")


def recipe(folder, more):
    text = f"name: x\ntrain: a\nvalidation: b\nbackbone: c\nphases: [{{size: 32, photos: 10}}]\n{more}"
    (folder / "x.yaml").write_text(text)
    return recipes.load(folder / "x.yaml")
