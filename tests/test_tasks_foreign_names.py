"""Tensors by the names of other packages become timm's."""

import re

import checkpointed
import pytest
import timm
import torch
from checkpointed import equal, under

from tasks import checkpoints


@pytest.fixture
def saved(tmp_path):
    return checkpointed.saved(tmp_path)


def port(name):
    """timm's name of an EfficientNet tensor in the PyTorch port of 2019, for a block that does or does not expand."""
    outer = {
        "conv_stem": "_conv_stem",
        "bn1": "_bn0",
        "conv_head": "_conv_head",
        "bn2": "_bn1",
        "classifier": "_fc",
    }
    module, _, rest = name.rpartition(".")
    return f"{outer[module]}.{rest}" if module in outer else None


def test_names_of_the_port_are_turned_into_timms(saved):
    """With squeeze-and-excitation, too; the shipped weights of Lite0 are looked at in the tests of backbones."""
    torch.manual_seed(0)
    net = timm.create_model("efficientnet_b0").eval()
    own = net.state_dict()
    blocks = sorted(
        {tuple(map(int, name.split(".")[1:3])) for name in own if name.startswith("blocks.")}
    )
    parts = {
        "conv_pw": "_expand_conv",
        "bn1": "_bn0",
        "conv_dw": "_depthwise_conv",
        "bn2": "_bn1",
        "conv_pwl": "_project_conv",
        "bn3": "_bn2",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
    }
    first = {
        "conv_dw": "_depthwise_conv",
        "bn1": "_bn1",
        "conv_pw": "_project_conv",
        "bn2": "_bn2",
        "se.conv_reduce": "_se_reduce",
        "se.conv_expand": "_se_expand",
    }
    ported = {}
    for name, tensor in own.items():
        if name.startswith("blocks."):
            _, stage, place, *module, rest = name.split(".")
            names = first if f"blocks.{stage}.{place}.conv_pwl.weight" not in own else parts
            ported[
                f"_blocks.{blocks.index((int(stage), int(place)))}.{names['.'.join(module)]}.{rest}"
            ] = tensor
        else:
            ported[port(name)] = tensor
    fit = checkpoints.fit(net, saved(ported))
    assert equal(fit, own)
    assert "names of another make" in fit.said


def test_names_that_timm_itself_knows_are_turned_into_its_own(saved):
    """Swin as its authors saved it: under `model`, downsampling at a stage's end, buffers beside."""
    net = timm.create_model("swin_tiny_patch4_window7_224").eval()
    own = net.state_dict()
    theirs = {}
    for name, tensor in own.items():
        name = re.sub(
            r"layers\.(\d)\.downsample",
            lambda found: f"layers.{int(found[1]) - 1}.downsample",
            name,
        )
        theirs[name.replace("head.fc.", "head.")] = tensor
    theirs["layers.0.blocks.1.attn_mask"] = torch.zeros(3)
    fit = checkpoints.fit(net, saved({"model": theirs}))
    assert equal(fit, own)
    assert fit.said == "names of another make, turned into timm's, taken from 'model' in the file"


def test_timm_s_rules_may_change_no_tensor(saved):
    """They would stretch patches of 16 pixels to 32, which is another model."""
    small = timm.create_model("vit_tiny_patch16_224")
    renamed = under("visual.trunk.", small.state_dict())
    with pytest.raises(
        checkpoints.Misfit, match=r"patch_embed\.proj\.weight is \[192, 3, 16, 16\] in the file"
    ):
        checkpoints.fit(timm.create_model("vit_tiny_patch16_224", patch_size=32), saved(renamed))
