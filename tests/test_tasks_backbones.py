"""Backbones by name: features, logits, parts, and how a name is judged without importing timm."""

import sys

import pytest
import torch

from tasks import backbones
from tasks.model import Standardise


@pytest.mark.parametrize(("channels", "size"), [(1, 16), (3, 16), (3, 32), (1, 20), (3, 224)])
def test_lenet_bn_is_small_and_takes_any_image(channels, size):
    model = backbones.build("lenet_bn", channels, size, 10).eval()
    assert sum(weight.numel() for weight in model.parameters()) < 100_000
    features, logits = model(torch.rand(2, channels, size, size))
    assert features.shape == (2, 64)
    assert logits.shape == (2, 10)
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in model.modules())
    assert {name.partition(".")[0] for name, _ in model.named_parameters()} == {"backbone", "head"}


def test_bytes_are_read_as_fractions():
    model = backbones.build("lenet_bn", 3, 16, 4).eval()
    pixels = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    assert torch.equal(model(pixels)[1], model(pixels / 255)[1])


def test_initialisation_follows_the_seed():
    models = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        models.append(backbones.build("lenet_bn", 1, 16, 10).head.weight)
    assert torch.equal(models[0], models[1])
    assert not torch.equal(models[0], models[2])


def test_the_small_one_needs_no_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # importing it now raises
    backbones.build("lenet_bn", 1, 16, 10)
    with pytest.raises(ImportError):
        backbones.build("resnet10t", 1, 16, 10)


@pytest.mark.parametrize(("name", "said"), [
    ("lenet_bn", None), ("resnet18", None), ("resnet50.a1_in1k", None), ("lenet", "did you mean lenet_bn"),
    ("resnet1818", "did you mean"),
])
def test_a_name_is_judged(name, said):
    found = backbones.problem(name)
    assert found is None if said is None else said in found


@pytest.mark.parametrize(("name", "channels", "size"), [("resnet10t", 1, 32), ("test_vit", 3, 64)])
def test_a_timm_model_has_features_and_a_head(name, channels, size):
    model = backbones.build(name, channels, size, 7).eval()
    features, logits = model(torch.rand(2, channels, size, size))
    assert features.ndim == 2
    assert logits.shape == (2, 7)
    assert torch.allclose(model.head(features), logits)


def test_timms_names_are_read_without_timm():
    import timm

    assert set(timm.list_models()) <= backbones.timm_names()


def test_a_pretrained_model_is_built_without_fetching_where_a_state_follows():
    model = backbones.build("test_vit", 3, 160, 5, pretrained=True, to_be_loaded=True)
    assert isinstance(model.backbone[0], Standardise)
    assert not any("mean" in name for name in model.state_dict())
