"""Layers put into a vision transformer: their equations, what trains, and what they chain with."""

import copy
import dataclasses

import pytest
import torch
from torch.nn.functional import gelu, relu

from tasks import insertions, methods
from tasks.holistic_transfer import holistic_transfer
from tasks.small_runs import RECIPE, run_of, trained

CHAINS = ("adapter", "adaptformer", "vpt")


def run(chain="plain", recipe=RECIPE, **parameters):
    method = methods.build(chain, parameters)
    method = dataclasses.replace(method, needs=method.needs | {"blocks"})
    return run_of(method, "same head", recipe)


def randomised(student):
    """The student with all that was put into it far from its initial values."""
    torch.manual_seed(3)
    for module in student.modules():
        if isinstance(module, (insertions.Bottleneck, insertions.Prompts)):
            for weight in module.parameters():
                torch.nn.init.normal_(weight)
    for name, weight in student.backbone.named_parameters():
        if name.endswith(("qkv.weight", "proj.weight")):
            torch.nn.init.normal_(weight, std=0.5)  # so that a token notices the others
    return student.eval()


@torch.no_grad()
def by_hand(student, images, *, attended, mixed, prompts=lambda _: None, pooled="token"):
    """The logits of a transformer of which the parts of a block are changed by functions."""
    trunk = student.backbone
    x = trunk._pos_embed(trunk.patch_embed(images))
    carried = None
    for number, block in enumerate(trunk.blocks):
        given = prompts(number)
        carried = carried if given is None else given.expand(len(x), -1, -1)
        whole = x if carried is None else torch.cat([x[:, :1], carried, x[:, 1:]], 1)
        count = 0 if carried is None else carried.shape[1]
        normed = block.norm1(whole)
        whole = whole + attended(block, plain(block.attn)(normed))
        normed = block.norm2(whole)
        whole = whole + mixed(block, normed, plain(block.mlp)(normed))
        carried = whole[:, 1 : 1 + count] if count else None
        x = torch.cat([whole[:, :1], whole[:, 1 + count :]], 1)
    return student.head(trunk.norm(x)[:, 0])


def plain(layer):
    bare = copy.deepcopy(layer)
    bare._forward_hooks.clear()
    return bare


def added(bottleneck, tokens, activation):
    hidden = activation(tokens @ bottleneck.down.T + bottleneck.down_bias)
    return bottleneck.scale * (hidden @ bottleneck.up.T + bottleneck.up_bias)


def test_an_adapter_acts_behind_attention_and_mlp():
    adapted = run("adapter", **{"adapter.width": 3})
    student, images = randomised(adapted.student), adapted.transfer.images[:5]
    expected = by_hand(
        student,
        images,
        attended=lambda block, made: made + added(block.attn.adapter, made, gelu),
        mixed=lambda block, _, made: made + added(block.mlp.adapter, made, gelu),
    )
    assert torch.allclose(student(images)[1], expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(run().student.eval()(images)[1], expected, atol=0.1)


def test_adaptformer_acts_beside_the_mlp():
    adapted = run("adaptformer", **{"adaptformer.width": 3, "adaptformer.scale": 0.7})
    student, images = randomised(adapted.student), adapted.transfer.images[:5]
    assert {module.scale for module in insertions.named(student, "adaptformer")} == {0.7}
    expected = by_hand(
        student,
        images,
        attended=lambda _, made: made,
        mixed=lambda block, given, made: made + added(block.mlp.adaptformer, given, relu),
    )
    assert torch.allclose(student(images)[1], expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(run().student.eval()(images)[1], expected, atol=0.1)


@pytest.mark.parametrize("depth", ["deep", "shallow"])
def test_prompts_are_seen_beside_the_images_tokens(depth):
    adapted = run("vpt", **{"vpt.prompts": 2, "vpt.depth": depth})
    student, images = randomised(adapted.student), adapted.transfer.images[:5]
    own = [module.tokens for module in insertions.named(student, "vpt")]
    assert len(own) == (2 if depth == "deep" else 1)
    expected = by_hand(
        student,
        images,
        attended=lambda _, made: made,
        mixed=lambda _, __, made: made,
        prompts=lambda number: own[number] if number < len(own) else None,
    )
    assert torch.allclose(student(images)[1], expected, atol=1e-5)
    without = by_hand(
        student, images, attended=lambda _, made: made, mixed=lambda _, __, made: made
    )
    assert not torch.allclose(without, expected, atol=0.01)
    tapped = student.outputs(images, maps=True)
    assert torch.allclose(tapped.logits, student(images)[1], atol=1e-5)
    assert [tuple(maps.shape) for maps in tapped.maps] == [(5, 16, 2, 2)] * 2


def test_training_starts_at_the_source_or_near_it():
    images = run().transfer.images[:5]
    origin = run().student.eval()(images)[1]
    assert torch.allclose(run("adaptformer").student.eval()(images)[1], origin, atol=1e-6)
    near = run("adapter").student.eval()(images)[1].detach()
    assert 0 < float((near - origin.detach()).abs().max()) < 0.02


def test_prompts_are_drawn_as_the_released_code_draws_them():
    student = run("vpt", **{"vpt.prompts": 200}).student
    drawn = torch.cat([module.tokens.detach() for module in insertions.named(student, "vpt")])
    bound = (6 / (3 * 4 * 4 + 16)) ** 0.5  # patches of 4 pixels a side, tokens of width 16
    assert float(drawn.abs().max()) <= bound
    assert float(drawn.std()) == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("chain", CHAINS)
def test_only_what_was_put_in_and_the_head_train(chain):
    adapted = run(chain)
    before = copy.deepcopy(adapted.student.state_dict())
    trained(adapted)
    after = adapted.student.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    own = {name for name in before if f".{chain}." in name}
    norms = {name for name in before if "norm" in name} if chain == "adapter" else set()
    assert moved == own | norms | {"head.weight", "head.bias"}
    assert adapted.trainable_parameters == sum(before[name].numel() for name in moved)


def test_an_average_starts_where_the_prompts_were_drawn():
    adapted = run("ema+vpt", **{"ema.decay": 1.0})
    start = copy.deepcopy(adapted.student).eval()
    trained(adapted)
    images = adapted.transfer.images[:5]
    assert torch.allclose(adapted.finished()(images)[1], start(images)[1], atol=1e-6)
    assert not torch.allclose(adapted.student.eval()(images)[1], start(images)[1], atol=1e-3)


def test_a_copy_has_prompts_of_its_own():
    adapted = run("vpt", **{"vpt.depth": "shallow"})
    images, other = adapted.transfer.images[:5], copy.deepcopy(adapted.student).eval()
    expected = adapted.student.eval()(images)[1]
    with torch.no_grad():
        torch.nn.init.normal_(insertions.named(other, "vpt")[0].tokens)
    assert torch.equal(adapted.student(images)[1], expected)
    assert not torch.allclose(other(images)[1], expected, atol=1e-3)


def problems(chain, backbone="test_vit"):
    resolved = holistic_transfer.resolve({"method": chain, "backbone": backbone})
    return holistic_transfer.problems(resolved)


@pytest.mark.parametrize(
    "chain",
    [
        *CHAINS,
        "adapter+adaptformer+vpt",
        "lora+vpt",
        "vpt+swa+source_ensemble",
        "delta+vpt",
        "lolsgd+adaptformer",
    ],
)
def test_what_can_chain_is_accepted(chain):
    assert not problems(chain)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("other", ["wise_ft", "l2sp", "ewc"])
def test_what_pairs_weights_with_the_sources_is_refused(chain, other):
    ((key, text),) = problems(f"{chain}+{other}")
    assert key == "method"
    assert f"'{other}' pairs the student's weights with the source's" in text


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("backbone", ["lenet_bn", "test_efficientnet"])
def test_a_backbone_without_blocks_is_refused(chain, backbone):
    ((key, text),) = problems(chain, backbone)
    assert key == "method"
    assert "timm's vision transformer, which this backbone is not" in text


def test_freezing_what_would_train_is_refused():
    ((_, text),) = problems("linear_probe+vpt")
    assert "freezes what 'vpt' trains" in text
