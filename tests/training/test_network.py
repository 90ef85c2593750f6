"""Networks of many kinds: what they start from, which of their parts stay fixed, and what they learn from a teacher."""

import json
from dataclasses import replace

import pytest
import timm
import torch
from orientd_training.config import Phase, Teacher
from orientd_training.fit import augment, checkpoint, distillation, loop, network, weights
from orientd_training.fit.network import Network
from safetensors.torch import save_file
from support import sky_library, training_runs
from support.onnx_graphs import SPEC

from orientd.errors import ConfigError, ModelError

CPU = torch.device("cpu")
TINY = ["test_efficientnet", "test_resnet", "test_convnext", "test_byobnet"]
WANTED = ["tf_efficientnetv2_b0", "resnet18", "mobilevit_xxs", "mobilenetv4_conv_small", "convnext_atto"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.manual_seed(0)
    with training_runs.one_thread():
        yield


def made(backbone=training_runs.BACKBONE, **more):
    return Network(training_runs.small(backbone=backbone, **more))


def learnt(net, pictures):
    """The names of the state that one step changes."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1)
    torch.nn.functional.cross_entropy(net(pictures), torch.arange(len(pictures)) % 4).backward()
    optimiser.step()
    return {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("name", [*TINY, *[pytest.param(name, marks=pytest.mark.slow) for name in WANTED]])
def test_any_backbone_is_frozen_by_stages(name):
    net, pictures = made(name, head_grid=2), torch.rand(4, 3, 64, 64) * 255
    net.eval()
    assert net(pictures).shape == (4, 4)
    groups = timm.models.group_parameters(net.backbone, net.backbone.group_matcher(coarse=True))
    fixed = {f"backbone.{name}" for group in (0, 1) for name in groups[group]}
    net.set_freeze(1)
    changed = learnt(net, pictures)
    assert not changed & fixed
    assert not any(name.startswith(f"{one.rpartition('.')[0]}.") for name in changed for one in fixed if ".bn" in one)
    assert {"extra.weight"} | {name for name in net.head_names() if name.endswith("weight")} <= changed
    assert fixed == {name for name, parameter in net.named_parameters() if parameter.grad is None}
    net.set_freeze(0)
    assert learnt(net, pictures) & fixed
    with pytest.raises(ConfigError, match="stages cannot be fixed"):
        net.set_freeze(99)


@pytest.mark.parametrize("name", ["vgg16", "resnet101", "tf_efficientnetv2_l"])
def test_large_backbones_are_built_and_frozen_alike(name):
    """Without numbers in them: they have up to 120 million."""
    with torch.device("meta"):
        net = made(name, head_grid=3)
        net.set_freeze(2)
        assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 4)
    groups = timm.models.group_parameters(net.backbone, net.backbone.group_matcher(coarse=True))
    fixed = {f"backbone.{name}" for group in (0, 1, 2) for name in groups[group]}
    assert fixed == {name for name, parameter in net.named_parameters() if not parameter.requires_grad}


@pytest.mark.parametrize("name", TINY)
def test_half_precision_where_nothing_is_learnt_hardly_changes_anything(name):
    net, pictures = made(name, dropout=0.0), torch.rand(8, 3, 64, 64) * 255
    net.set_freeze(1)
    net.train()
    for part in net.modules():
        part.eval() if isinstance(part, torch.nn.BatchNorm2d) else None
    mixed = net(pictures)
    mixed.sum().backward()
    assert mixed.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    gradients = [p.grad for p in net.parameters() if p.requires_grad]
    assert all(g is not None and g.dtype == torch.float32 for g in gradients)
    net.eval()
    exact = net(pictures)
    assert 0 < (mixed - exact).abs().max() < 0.1 * exact.std() + 0.05


def test_full_precision_is_full_where_nothing_is_learnt_too():
    net, pictures = made(dropout=0.0, precision="fp32"), torch.rand(2, 3, 64, 64) * 255
    net.set_freeze(1)
    net.train()
    for part in net.modules():
        part.eval() if isinstance(part, torch.nn.BatchNorm2d) else None
    assert torch.equal(net(pictures), net.eval()(pictures))


def test_statistics_of_what_is_fixed_stay_as_they_are():
    net = made()
    net.set_freeze(1)
    net.train()
    before = net.backbone.bn1.running_mean.clone()
    net(torch.rand(4, 3, 32, 32) * 255)
    assert torch.equal(net.backbone.bn1.running_mean, before)
    assert not net.backbone.bn1.training
    net.set_freeze(0)
    net(torch.rand(4, 3, 32, 32) * 255)
    assert not torch.equal(net.backbone.bn1.running_mean, before)


def test_the_grid_starts_at_nothing_and_sees_where_things_are():
    pictures = torch.rand(2, 3, 96, 96) * 255
    torch.manual_seed(1)
    plain = made().eval()
    torch.manual_seed(1)
    gridded = made(head_grid=3).eval()
    assert gridded.state_dict().keys() - plain.state_dict().keys() == {"extra.weight"}
    assert torch.equal(plain(pictures), gridded(pictures))
    torch.nn.init.normal_(gridded.extra.weight)
    assert not torch.allclose(plain(pictures), gridded(pictures))
    with pytest.raises(ConfigError, match="no rows and columns"):
        made("test_vit", head_grid=3)(torch.rand(1, 3, 160, 160))


def test_the_mean_may_be_one_or_three():
    pictures = torch.rand(2, 3, 32, 32) * 255
    torch.manual_seed(1)
    one = made(mean=100.0, std=50.0).eval()
    torch.manual_seed(1)
    three = made(mean=(100.0, 100.0, 100.0), std=(50.0, 50.0, 50.0)).eval()
    assert torch.equal(one(pictures), three(pictures))
    assert not {"mean", "std"} & one.state_dict().keys()


def test_weights_of_other_classes_begin_a_network(tmp_path):
    theirs = timm.create_model(training_runs.BACKBONE, num_classes=10)
    save_file(theirs.state_dict(), tmp_path / "w.safetensors")
    weights.save({"state_dict": theirs.state_dict()}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        ours = made(init=tmp_path / name)
        for key, value in theirs.state_dict().items():
            assert key.startswith("classifier") or torch.equal(ours.backbone.state_dict()[key], value)


def test_a_run_begins_another_head_and_all(tmp_path):
    first = made(head_grid=2)
    torch.nn.init.normal_(first.extra.weight)
    weights.save(first.state_dict(), tmp_path / "best.pt")
    again = made(head_grid=2, init=tmp_path / "best.pt")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in first.state_dict().items())
    other = made(head_grid=3, init=tmp_path / "best.pt")
    assert torch.equal(other.backbone.conv_stem.weight, first.backbone.conv_stem.weight)
    assert other.extra.weight.abs().max() == 0


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match=r"other\.safetensors is of another network .* is missing"):
        made(init=tmp_path / "other.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"damaged")
    for name in ("bad.safetensors", "missing.safetensors", "missing.pt"):
        with pytest.raises(ModelError, match=f"{name} cannot be read"):
            made(init=tmp_path / name)


def test_what_timm_or_the_network_does_not_have_is_an_error(monkeypatch):
    with pytest.raises(ConfigError, match="timm has no 'resnet19'; did you mean 'resnet1"):
        made("resnet19")

    def offline(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(network.timm, "create_model", offline)
    for options in ({"init": network.IMAGENET}, {"backbone": "hf-hub:timm/resnet18.a1_in1k"}):
        with pytest.raises(ConfigError, match=r"cannot be fetched .*service not known.*: go online, or give init a file"):
            made(**options)


@pytest.fixture
def run(tmp_path):
    """The folder of a run of an untrained network, sure of itself."""
    config = training_runs.recipe(tmp_path, head_grid=2, phases=(Phase(40, 8),))
    net = Network(config)
    for part in (net.extra, net.backbone.classifier):
        torch.nn.init.normal_(part.weight, std=10)
    (tmp_path / "run").mkdir()
    weights.save(net.state_dict(), tmp_path / "run" / "best.pt")
    text = {"name": "t", "train": "x", "validation": "y", "backbone": training_runs.BACKBONE, "head_grid": 2}
    (tmp_path / "run" / checkpoint.CONFIG).write_text(json.dumps(text | {"phases": [{"size": 40, "photos": 8}]}))
    return tmp_path / "run"


def test_a_teacher_that_sees_all_views_turns_and_mirrors_with_the_picture(run):
    judge = distillation.opened(Teacher(run, views=8), CPU)
    pictures = torch.rand(6, 3, 40, 40) * 255
    logits, _ = judge(pictures)
    assert logits.std() > 0.1
    for quarters in range(4):
        turned, _ = judge(augment.turn_away(pictures, torch.full((6,), quarters)))
        assert torch.allclose(turned, logits.roll(quarters, 1), atol=1e-3)
    mirrored, _ = judge(pictures.flip(-1))
    assert torch.allclose(mirrored, logits[:, [0, 3, 2, 1]], atol=1e-3)
    once, pooled = distillation.opened(Teacher(run / "best.pt"), CPU)(pictures)
    assert not torch.allclose(once, logits, atol=1e-3)
    assert pooled.shape == (6, judge.embedding_size)


def test_a_served_model_teaches_what_it_serves(tmp_path):
    """To this model the brightest half is the sky, so each turned landscape is judged to need that turn."""
    model, size = sky_library.model(tmp_path), SPEC.input_size
    upright = torch.full((4, 3, 2 * size, 2 * size), 40.0)
    upright[:, :, :size] = 230.0
    shown = augment.turn_away(upright, torch.arange(4))
    for views in (1, 8):
        judge = distillation.opened(Teacher(model, views=views), CPU)
        logits, pooled = judge(shown)
        assert logits.argmax(1).tolist() == [0, 1, 2, 3]
        assert pooled is None
    with pytest.raises(ConfigError, match="gives no embedding"):
        distillation.opened(Teacher(model, embedding=1.0), CPU)
    with pytest.raises(ModelError, match=r"none\.onnx cannot be read"):
        distillation.opened(Teacher(tmp_path / "none.onnx"), CPU)


def test_the_loss_is_least_for_who_says_what_the_teacher_says():
    theirs, config = torch.tensor([[4.0, 0.0, 1.0, -2.0]]), Teacher("x", weight=1.0, temperature=3.0)
    hard = torch.tensor(5.0)
    assert distillation.loss(config, hard, theirs + 7, None, (theirs, None)) == pytest.approx(0, abs=1e-5)
    assert distillation.loss(config, hard, -theirs, None, (theirs, None)) > 1
    assert distillation.loss(replace(config, weight=0.0), hard, -theirs, None, (theirs, None)) == 5
    image = torch.tensor([[1.0, 2.0]])
    learning = replace(config, embedding=0.5)
    assert distillation.loss(learning, hard, theirs, 3 * image, (theirs, image)) == pytest.approx(0, abs=1e-5)
    assert distillation.loss(learning, hard, theirs, -image, (theirs, image)) == pytest.approx(1, abs=1e-5)


def test_a_student_comes_to_agree_with_its_teacher(run, tmp_path):
    photos = training_runs.cache(tmp_path / "photos")
    lessons = Teacher(run, weight=1.0, temperature=2.0, embedding=1.0)
    config = training_runs.recipe(photos, teacher=lessons, phases=(Phase(32, 800),), lr=3e-3, warmup=0.1, dropout=0.0)
    student, feed = training_runs.begun(config)
    losses = [float(student.step()) for _ in range(60)]
    feed.close()
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])
    student.save(tmp_path / "last.pt")
    assert "image" in weights.read(tmp_path / "last.pt")
    assert weights.read(tmp_path / "last.pt")["image"]["weight"].shape == (256, 256)


def test_a_student_s_run_goes_on_as_if_never_stopped(run, tmp_path):
    photos = training_runs.cache(tmp_path / "photos")
    config = training_runs.recipe(photos, teacher=Teacher(run, embedding=1.0))
    loop.fit(config, tmp_path / "unbroken")
    first, feed = training_runs.begun(config)
    for _ in range(3):
        first.step()
    feed.close()
    again = tmp_path / "again"
    checkpoint.describe(
        config, again, [loop.opened(s, "", 1) for s in config.sources], loop.opened(config.held_out, "", 1), False
    )
    first.save(again / "last.pt")
    loop.fit(config, again, resume=True)
    for name in ("model", "image"):
        whole, broken = (weights.read(path / "last.pt")[name] for path in (tmp_path / "unbroken", again))
        assert all(torch.equal(value, broken[key]) for key, value in whole.items())
