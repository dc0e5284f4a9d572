"""Weights made of others: what acts, what trains, and that methods see the weight that acts."""

import copy
import dataclasses

import pytest
import torch

from tasks import adapters, methods
from tasks.holistic_transfer import holistic_transfer
from tasks.model import weights_of
from tasks.small_runs import RECIPE, run_of, trained


def made(chain, **parameters):
    method = methods.build(chain, parameters)
    return dataclasses.replace(method, needs=method.needs | {"attention"})


def run(chain="plain", recipe=RECIPE, **parameters):
    return run_of(made(chain, **parameters), "same head", recipe)


def test_a_low_rank_change_acts_as_its_product_and_merges_to_it():
    layer = torch.nn.Linear(6, 4)
    origin = layer.weight.detach().clone()
    adapters.adapt(layer, "weight", adapters.LowRank(layer.weight, 2, 0.5))
    images = torch.randn(3, 6)
    assert torch.equal(layer.weight, origin)
    change = layer.parametrizations.weight[0]
    torch.nn.init.normal_(change.down)
    torch.nn.init.normal_(change.up)
    expected = images @ (origin + 0.5 * change.up @ change.down).T + layer.bias
    assert torch.allclose(layer(images), expected, atol=1e-6)


@pytest.mark.parametrize("chain", ["lora", "ia3", "ssf"])
def test_training_starts_at_the_source_and_measuring_merges(chain):
    adapted, plain = run(chain), run()
    images = adapted.transfer.images[:5]
    assert torch.allclose(
        adapted.student.eval()(images)[1], plain.student.eval()(images)[1], atol=1e-6
    )
    trained(adapted)
    merged = run(f"{chain}+wise_ft", **{"wise_ft.alpha": 0.0})
    trained(merged)
    finished = merged.finished()
    assert finished.state_dict().keys() == plain.student.state_dict().keys()
    assert torch.allclose(finished(images)[1], adapted.finished()(images)[1], atol=1e-5)


def test_only_the_change_and_the_head_train():
    adapted = run("lora", **{"lora.rank": 2})
    before = copy.deepcopy(adapted.student.state_dict())
    trained(adapted)
    after = adapted.student.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.rpartition(".")[2] for name in moved if "backbone" in name} == {"down", "up"}
    assert all("attn" in name for name in moved if "backbone" in name)
    assert {"head.weight", "head.bias"} <= moved
    # Of each of two blocks, qkv [48, 16] and the projection [16, 16], at rank 2; and the head.
    assert adapted.trainable_parameters == 2 * (2 * (48 + 16) + 2 * (16 + 16)) + 6 * 17


def test_biases_alone_train():
    adapted = run("bitfit")
    before = copy.deepcopy(adapted.student.state_dict())
    trained(adapted)
    after = adapted.student.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert all(name.endswith("bias") for name in moved if "backbone" in name)
    assert any("norm" in name for name in moved)


def test_keys_and_values_are_scaled_and_queries_are_not():
    adapted = run("ia3")
    attention = adapted.student.backbone.blocks[0].attn
    change = attention.qkv.parametrizations.weight[0]
    origin = attention.qkv.parametrizations.weight.original
    with torch.no_grad():
        change.factor.fill_(3.0)
    assert torch.equal(attention.qkv.weight[:16], origin[:16])
    assert torch.equal(attention.qkv.weight[16:], 3 * origin[16:])
    assert torch.equal(
        attention.qkv.bias[16:], 3 * attention.qkv.parametrizations.bias.original[16:]
    )


def test_a_scale_and_a_shift_act_on_the_layers_output():
    adapted = run("ssf")
    layer = adapted.student.backbone.blocks[0].mlp.fc1
    images = torch.randn(3, 16)
    before = layer(images)
    scaled, shifted = layer.parametrizations.weight[0], layer.parametrizations.bias[1]
    with torch.no_grad():
        scaled.factor.copy_(torch.linspace(0.5, 2, len(scaled.factor)))
        shifted.shift.copy_(torch.linspace(-1, 1, len(shifted.shift)))
    assert torch.allclose(layer(images), before * scaled.factor + shifted.shift, atol=1e-5)


def test_l2sp_pulls_the_weight_that_acts():
    adapted = run("l2sp+lora", **{"l2sp.backbone": 2.0, "l2sp.head": 0.0})
    trained(adapted)
    view = adapted.view(adapted.batch(0))
    found = adapted.method.penalty(view, adapted.prepared)
    names = [name for name, _ in adapted.transfer.source.backbone.named_parameters()]
    now = weights_of(adapted.student.backbone, names)
    away = sum(
        float((weight.detach() - origin).square().sum())
        for weight, origin in zip(now, adapted.transfer.source.backbone.parameters(), strict=True)
    )
    assert away > 0
    assert float(found.detach()) == pytest.approx(away, rel=1e-4)
    found.backward()
    changes = [
        module
        for module in adapted.student.backbone.modules()
        if isinstance(module, adapters.LowRank)
    ]
    assert all(float(change.up.grad.abs().sum()) > 0 for change in changes)


@pytest.mark.parametrize("chain", ["lora+swa", "ema+lora"])
def test_averages_are_of_the_weights_that_act(chain):
    parameters = {"swa.start": 0.0, "ema.decay": 0.5}
    adapted = run(chain, **parameters)
    states = [adapted.student.state()]
    step = adapted.step
    adapted.step = lambda: (step(), states.append(copy.deepcopy(adapted.student.state())))
    trained(adapted)
    finished = adapted.finished().state_dict()
    name = "backbone.blocks.0.attn.qkv.weight"
    first, *later = (state[name] for state in states)
    if "swa" in chain:
        expected = torch.stack(later).mean(0)
    else:
        expected = first
        for each in later:
            expected = 0.5 * expected + 0.5 * each
    assert torch.allclose(finished[name], expected, atol=1e-6)
    assert not torch.allclose(finished[name], first, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"method": "ia3"}, "attention layers, of which this backbone has none"),
        ({"method": "lora+linear_probe", "backbone": "test_vit"}, "freezes what 'lora' trains"),
        ({"method": "bn_affine", "backbone": "test_vit"}, "batch norm, of which this backbone"),
    ],
)
def test_what_a_backbone_lacks_is_said_at_plan(config, said):
    ((key, text),) = holistic_transfer.problems(holistic_transfer.resolve(config))
    assert key == "method"
    assert said in text


@pytest.mark.parametrize(
    "chain", ["lora", "ia3", "ssf", "bitfit", "norm_tuning", "l2sp+lora+wise_ft"]
)
def test_each_suits_a_vision_transformer(chain):
    config = holistic_transfer.resolve({"method": chain, "backbone": "test_vit"})
    assert not holistic_transfer.problems(config)
