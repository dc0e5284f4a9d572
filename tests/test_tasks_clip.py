"""Heads of class names: equal to open_clip's own answers, refused at plan, and a source model."""

import importlib.util
import json

import open_clip
import pytest
import torch
from pictures import domains
from safetensors.torch import save_file
from workspace import Workspace, same, stage

from tasks import clip, timm_models
from tasks.adaptation import adapt
from tasks.holistic_transfer import holistic_transfer, source

TINY_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
OF_TIMM = {"timm_model_name": "test_vit", "timm_pool": "", "image_size": 160}
OWN = {"image_size": 224, "layers": 10, "width": 256, "head_width": 64, "patch_size": 16}
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


OF_SIGLIP = {**OF_TIMM, "timm_pool": "map", "timm_proj": "none"}
SIGLIP = {"init_logit_bias": -10, "custom_text": True}
"""As open_clip configures SigLIP, whose logits have a bias beside the scale."""


def saved(folder, vision, text=TINY_TEXT, width=48, **more):
    """A randomly initialised CLIP model, as open_clip publishes them."""
    folder.mkdir()
    config = {"model_cfg": {"embed_dim": width, "vision_cfg": vision, "text_cfg": text, **more}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(7)
    model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    if "timm_model_name" in vision:  # timm's initial weights give nearly the same for all images
        for weight in model.visual.trunk.parameters():
            weight.data += 0.05 * torch.randn_like(weight)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("clip") / "tiny", OF_TIMM)


def config(folder, **changed):
    return {
        "dataset": "mnist-uci",
        "backbone": "test_vit",
        "image_size": 160,
        "weights": str(folder),
        "head": "text",
        "class_names": DIGITS,
        "source_epochs": 0,
        "method": "source",
    } | changed


def problems(*given, **changed):
    return holistic_transfer.problems(holistic_transfer.resolve(config(*given, **changed)))


def theirs(folder, images, names, templates):
    """Features and logits of open_clip, whose images are normalised beforehand."""
    model = open_clip.create_model(f"local-dir:{folder}").eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    mean, spread = (torch.tensor(each).view(3, 1, 1) for each in (clip.MEAN, clip.SPREAD))
    with torch.no_grad():
        features = model.encode_image((images - mean) / spread, normalize=True)
        texts = [[template.replace("{}", name) for template in templates] for name in names]
        rows = torch.stack(
            [model.encode_text(tokenizer(each), normalize=True).mean(0) for each in texts]
        )
        rows = rows / rows.norm(dim=1, keepdim=True)
        bias = getattr(model, "logit_bias", None)
        logits = model.logit_scale.exp() * features @ rows.T
        return features, logits if bias is None else logits + bias


@pytest.mark.parametrize(
    ("backbone", "vision", "more"),
    [
        ("test_vit", OF_TIMM, {}),
        ("vit_xsmall_patch16_clip_224", OWN, {}),
        ("test_vit", OF_SIGLIP, {"width": 64, **SIGLIP}),
    ],
    ids=["timm's encoder", "open_clip's encoder", "SigLIP"],
)
def test_zero_shot_answers_are_open_clips(tmp_path, backbone, vision, more):
    where = saved(tmp_path / "model", vision, **more)
    names, templates = ["cat", "fire truck"], ["a photo of a {}.", "a drawing of a {}."]
    size = vision["image_size"]
    model = clip.zero_shot(backbone, str(where), names, templates).eval()
    images = torch.rand(4, 3, size, size)
    with torch.no_grad():
        features, logits = model(images)
        tapped = model.outputs(images, maps=True)
    expected = theirs(where, images, names, templates)
    assert float(expected[1].std(0).min()) > 1e-3
    assert torch.allclose(features, expected[0], atol=1e-5)
    assert torch.allclose(logits, expected[1], atol=1e-3)
    assert torch.allclose(tapped.features, features, atol=1e-6)
    assert len(tapped.maps) == len(timm_models.stages(model.backbone))
    assert set(model.head.bias.tolist()) == {-10.0 if more else 0.0}


def test_the_default_mean_and_spread_are_open_clips():
    assert clip.MEAN == open_clip.OPENAI_DATASET_MEAN
    assert clip.SPREAD == open_clip.OPENAI_DATASET_STD


def test_a_plan_accepts_it_and_its_id_is_by_content(folder, tmp_path):
    assert not problems(folder)
    assert not problems(folder, method="frozen_classifier+l2sp+wise_ft", source_epochs=1)
    copied = tmp_path / "copied"
    copied.mkdir()
    for file in folder.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    one, other = (
        holistic_transfer.meaning(holistic_transfer.resolve(config(each)))
        for each in (folder, copied)
    )
    assert one == other
    (copied / "open_clip_config.json").write_text(
        (copied / "open_clip_config.json").read_text() + " "
    )
    assert holistic_transfer.meaning(holistic_transfer.resolve(config(copied))) != one


def test_settings_without_effect_are_not_in_the_config(folder):
    plain = holistic_transfer.resolve({"class_names": DIGITS, "templates": ["{}"]})
    assert plain == holistic_transfer.resolve({})
    still = holistic_transfer.resolve(config(folder, source_learning_rate=0.5))
    assert still == holistic_transfer.resolve(config(folder))
    assert holistic_transfer.resolve(config(folder, source_epochs=1))["source_momentum"] == 0.9


@pytest.mark.parametrize(
    ("changed", "key", "said"),
    [
        ({"class_names": None}, "class_names", "have no names in words"),
        ({"class_names": DIGITS[:9]}, "class_names", "got 9 names for 10 classes"),
        ({"class_names": [*DIGITS[:9], "one"]}, "class_names", "several classes"),
        ({"class_names": [*DIGITS[:9], 9]}, "class_names", "in words, as text"),
        ({"templates": []}, "templates", "at least one"),
        ({"templates": ["a photo"]}, "templates", "texts with {} once"),
        ({"templates": ["{} " * 2]}, "templates", "texts with {} once"),
        ({"templates": ["word " * 90 + "{}"]}, "templates", "longer than the 75 tokens"),
        ({"weights": "timm"}, "weights", "a folder with open_clip_config.json"),
        ({"weights": ""}, "weights", "a folder with open_clip_config.json"),
        ({"image_size": 224}, "image_size", "takes 160 pixels"),
        ({"backbone": "test_vit2"}, "backbone", "has the image encoder test_vit"),
        ({"backbone": "lenet_bn"}, "backbone", "has the image encoder test_vit"),
        ({"head": "random"}, "source_epochs", "give 1 or more, or `head: text`"),
    ],
)
def test_what_cannot_be_is_said_at_plan(folder, changed, key, said):
    found = problems(folder, **changed)
    assert found[0][0] == key
    assert said in found[0][1]
    assert all(wrong == key for wrong, _ in found if changed.get("head") != "random")


def test_a_folder_of_a_clip_model_without_its_head_is_said(folder):
    found = problems(folder, head="random", source_epochs=1)
    assert ("weights", True) in [(key, "needs `head: text`" in text) for key, text in found]


def test_a_missing_extra_is_said(folder, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "open_clip" else known(name)
    )
    ((key, text),) = problems(folder)
    assert key == "head"
    assert "pip install 'htsweep[clip]'" in text


def test_missing_and_foreign_weights_are_said(tmp_path, folder):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
    ((key, text),) = problems(bare)
    assert (key, "none of open_clip_model.safetensors" in text) == ("weights", True)
    save_file({"other": torch.zeros(2)}, bare / "open_clip_model.safetensors")
    ((key, text),) = problems(bare)
    assert (key, "cannot be used" in text) == ("weights", True)


def test_an_encoder_of_another_make_is_said(tmp_path):
    quick = saved(tmp_path / "quick", OWN)
    path = quick / "open_clip_config.json"
    about = json.loads(path.read_text())
    about["model_cfg"]["quick_gelu"] = True
    path.write_text(json.dumps(about))
    found = problems(quick, backbone="vit_xsmall_patch16_clip_224", image_size=224)
    ((key, text),) = found
    assert key == "backbone"
    assert "with or without quickgelu" in text


def trial(folder, pictures_of, root, **changed):
    resolved = holistic_transfer.resolve(
        config(folder, dataset=pictures_of, class_names=None, missing_ratio=0.5, **changed)
        | {"epochs": 2, "steps_per_epoch": 1, "batch_size": 4}
    )
    assert not holistic_transfer.problems(resolved)
    workspace = Workspace(root / "trial")
    workspace.stages = {
        "source": stage(source, holistic_transfer.stages(resolved)["source"][1], root / "source")
    }
    return resolved, workspace


def test_zero_shot_clip_is_a_source_model_and_adapts(folder, tmp_path):
    names = ["Alarm_Clock", "Bed", "Fire truck", "cat"]
    dataset = domains(tmp_path / "pictures", dict.fromkeys(names, 8))
    resolved, workspace = trial(folder, dataset, tmp_path / "zero")
    assert resolved["class_names"] == ["Alarm Clock", "Bed", "Fire truck", "cat"]
    assert holistic_transfer.role(resolved) == "source"
    (row,) = adapt(resolved, workspace)
    assert 0 <= row["test/overall_accuracy"] <= 1
    assert "validation/source_missing_accuracy" in row
    state = torch.load(workspace.artifact("source") / "model.pt", weights_only=True)
    named = resolved["class_names"], clip.TEMPLATES
    rows = clip.zero_shot("test_vit", str(folder), *named).head.weight
    assert torch.equal(state["head.weight"], rows)

    resolved, workspace = trial(
        folder, dataset, tmp_path / "adapted", method="plain", layer_decay=0.7
    )
    whole = list(adapt(resolved, workspace))
    assert whole[0]["test/overall_accuracy"] == row["test/overall_accuracy"]
    assert whole[-1]["test/loss"] != whole[0]["test/loss"]
    # A killed trial goes on bit for bit.
    workspace.state = None
    cut = adapt(resolved, workspace)
    rows = [next(cut), next(cut), next(cut)][:2]
    cut.close()
    assert same([*rows, *adapt(resolved, workspace)], whole)


def test_a_plan_accepts_siglip_and_refuses_embeddings_of_another_width(tmp_path):
    assert not problems(saved(tmp_path / "siglip", OF_SIGLIP, width=64, **SIGLIP))
    ((key, text),) = problems(saved(tmp_path / "wider", OF_SIGLIP, width=96, **SIGLIP))
    assert key == "weights"
    assert "gives 64 features, not 96" in text
