"""Backbones by name: features, logits, parts, and how a name is judged without importing timm."""

import sys

import pytest
import torch

from tasks import backbones, weights
from tasks.model import Fitted


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


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lenet_bn", None),
        ("resnet18", None),
        ("resnet50.a1_in1k", None),
        ("lenet", "did you mean lenet_bn"),
        ("resnet1818", "did you mean"),
        ("resnet18.nope", "timm's resnet18 has no weights named 'nope'; it has resnet18."),
        ("resnet18.tv_in1", "it has resnet18.tv_in1k, "),
        ("lenet_bn.a1_in1k", "no backbone"),
        ("resnet50.", "no weights named ''"),
        ("samvit_base_patch16_224.sa1b", "it has none by name"),
        ("vit_base_patch16_clip_quickgelu_224.openai", None),
    ],
)
def test_a_name_is_judged(name, said):
    found = backbones.problem(name)
    assert found is None if said is None else said in found


@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [("resnet10t", 1, 32), ("test_vit", 3, 64), ("mobilenetv3_small_050", 1, 16)],
)
def test_a_timm_model_has_features_and_a_head(name, channels, size):
    model = backbones.build(name, channels, size, 7).eval()
    features, logits = model(torch.rand(2, channels, size, size))
    assert features.ndim == 2
    assert logits.shape == (2, 7)
    assert torch.allclose(model.head(features), logits)


@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [
        ("lenet_bn", 1, 16),
        ("resnet10t", 3, 64),
        ("test_vit", 3, 160),
        ("tf_efficientnet_lite0", 3, 64),
    ],
)
def test_maps_are_those_of_the_stages_and_change_no_output(name, channels, size):
    model = backbones.build(name, channels, size, 5).eval()
    images = torch.rand(2, channels, size, size)
    features, logits = model(images)
    outputs = model.outputs(images, maps=True)
    assert torch.allclose(outputs.features, features, atol=1e-5)
    assert torch.allclose(outputs.logits, logits, atol=1e-5)
    assert len(outputs.maps) == backbones.traits(name).stages > 1
    assert all(one.ndim == 4 and len(one) == 2 for one in outputs.maps)
    sizes = [one.shape[-1] for one in outputs.maps]
    assert sizes == sorted(sizes, reverse=True)


def test_traits():
    assert backbones.traits("resnet10t").batch_norm
    assert not backbones.traits("test_vit").batch_norm
    assert not backbones.traits("vit_small_patch14_dinov2").classifier


def test_the_shipped_weights_are_imagenets():
    """Mapped in order onto timm's model: every tensor is taken over, and the classifier tells a class for sure."""
    name = "efficientnet-lite0"
    model = backbones.pretrained("tf_efficientnet_lite0", 64, name).eval()
    assert model.head.out_features == 1000
    stored = torch.load(weights.file_of(name), weights_only=True)
    ours = [tensor for key, tensor in model.state_dict().items()]
    assert all(torch.equal(*pair) for pair in zip(ours, stored.values(), strict=True))
    grey, coloured = torch.rand(3, 1, 16, 16), torch.rand(3, 3, 200, 200)
    for images in (grey, grey.expand(-1, 3, -1, -1), coloured):
        features, logits = model(images)
        assert features.shape == (3, 1280)
        assert torch.isfinite(logits).all()
    assert torch.allclose(model(grey)[1], model(grey.expand(-1, 3, -1, -1))[1])


@pytest.mark.parametrize(
    ("backbone", "name", "said"),
    [
        ("resnet18", "", None),
        ("resnet18", "timm", None),
        ("tf_efficientnet_lite0", "efficientnet-lite0", None),
        ("resnet18", "efficientnet-lite0", "fit the backbone tf_efficientnet_lite0"),
        ("lenet_bn", "timm", "lenet_bn has no pretrained weights"),
        ("resnet18", "efficientnet-lite", "did you mean 'efficientnet-lite"),
        ("resnet18", "nowhere.pth", "or a file that exists"),
    ],
)
def test_weights_are_judged(backbone, name, said):
    found = weights.problem(backbone, name)
    assert found is None if said is None else said in found


def test_weights_from_a_file(tmp_path):
    import timm

    original = timm.create_model("test_vit")
    torch.save(original.state_dict(), tmp_path / "vit.pth")
    loaded = backbones.pretrained("test_vit", 160, str(tmp_path / "vit.pth"))
    assert torch.equal(loaded.head.weight, original.get_classifier().weight)
    before = weights.meaning(str(tmp_path / "vit.pth"))
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "other.pth")
    assert weights.meaning(str(tmp_path / "other.pth")) != before
    with pytest.raises(
        ValueError, match=r"does not fit test_vit: it has .* tensors, .* were expected"
    ):
        backbones.pretrained("test_vit", 160, str(tmp_path / "other.pth"))


def test_a_model_to_be_loaded_has_the_names_of_a_pretrained_one():
    empty = backbones.build("tf_efficientnet_lite0", 1, 16, 5, pretrained=True)
    full = backbones.pretrained("tf_efficientnet_lite0", 64, "efficientnet-lite0").with_head(
        torch.nn.Linear(1280, 5)
    )
    assert isinstance(empty.backbone[0], Fitted)
    assert empty.state_dict().keys() == full.state_dict().keys()
    assert not any(name.rpartition(".")[2] == "mean" for name in empty.state_dict())


@pytest.mark.parametrize("name", ["lenet_bn", "resnet18"])
def test_the_weight_of_a_backbone_is_about_that_of_its_state(name, tmp_path):
    torch.save(backbones.build(name, 1, 16, 10).state_dict(), tmp_path / "state.pt")
    kept = (tmp_path / "state.pt").stat().st_size
    assert 0.9 < backbones.weight(name) / kept < 1.1


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("vit_base_patch16_clip_224.openai", False),
        ("vit_base_patch16_clip_224.openai_ft_in1k", True),
        ("convnext_base.clip_laion2b", False),
        ("resnet18", True),
    ],
)
def test_the_projection_of_clip_is_no_classifier(name, classes):
    assert backbones.classifier(name, "timm") == classes


def test_methods_that_need_a_classifier_are_refused_on_clip():
    from tasks.fine_tuning import fine_tuning

    config = {
        "dataset": "pretrained-uci",
        "backbone": "vit_base_patch16_clip_224.openai",
        "weights": "timm",
    }
    for method in ("lwf", "co_tuning", "ewc"):
        found = fine_tuning.problems(fine_tuning.resolve({**config, "method": method}))
        assert (
            "method",
            f"'{method}' needs the source model's own classifier; leave it out",
        ) in found
    assert not fine_tuning.problems(fine_tuning.resolve({**config, "method": "l2sp"}))


@pytest.mark.parametrize("size", [0, 1, 2])
def test_weights_in_packages_fit_their_backbones(size):
    name = f"efficientnet-lite{size}"
    model = backbones.pretrained(f"tf_efficientnet_lite{size}", 64, name).eval()
    fresh = backbones.build(f"tf_efficientnet_lite{size}", 3, 64, 1000, pretrained=True)
    assert model.state_dict().keys() == fresh.state_dict().keys()
    assert model(torch.rand(1, 3, 64, 64))[1].shape == (1, 1000)
