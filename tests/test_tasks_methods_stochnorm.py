"""StochNorm against its two branches in numpy."""

import copy

import numpy as np
import pytest
import torch
from regularised import arrays
from timm.layers import BatchNormAct2d
from torch import nn

from tasks import methods
from tasks.model import Model


def inputs_of(kind, count=16):
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(count, 6, *{nn.BatchNorm1d: ()}.get(kind, (3, 3)), generator=generator) * 2 + 1
    )


def norm_of(kind, p):
    """A norm with statistics and weights of its own, in a model's backbone, and the same as a plain one."""
    torch.manual_seed(0)
    norm = kind(6)
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    plain, model = copy.deepcopy(norm), Model(nn.Sequential(norm), nn.Linear(6, 2))
    names = list(model.state_dict())
    methods.find("stochnorm")(p=p).rebuild(model)
    assert list(model.state_dict()) == names
    assert isinstance(norm, kind)
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    return copy.deepcopy(model).backbone[0], plain


def expected_of(plain, images):
    """The two branches in numpy: by the batch's statistics and by the running ones, [B, C, ...]."""
    over = (0, *range(2, images.ndim))
    x, weight, bias, mean, variance = arrays(
        images, plain.weight, plain.bias, plain.running_mean, plain.running_var
    )
    along = (1, -1, *[1] * (images.ndim - 2))
    found = []
    for m, v in ((x.mean(over), x.var(over)), (mean, variance)):
        z = (x - m.reshape(along)) / np.sqrt(v.reshape(along) + plain.eps) * weight.reshape(
            along
        ) + bias.reshape(along)
        found.append(np.maximum(z, 0) if isinstance(plain, BatchNormAct2d) else z)
    return found


KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, BatchNormAct2d)


@pytest.mark.parametrize("kind", KINDS)
def test_stochnorm_mixes_channel_by_channel(kind):
    images = inputs_of(kind)
    norm, plain = norm_of(kind, 0.5)
    batch, running = expected_of(plain, images)
    torch.manual_seed(4)
    by_batch = (torch.rand(6) < 0.5).numpy()
    assert 0 < by_batch.sum() < 6
    torch.manual_seed(4)
    found = arrays(norm(images))[0]
    along = (1, -1, *[1] * (images.ndim - 2))
    assert np.allclose(found, np.where(by_batch.reshape(along), batch, running), atol=1e-5)
    # The running statistics move once a forward, as in plain batch norm.
    plain(images)
    assert all(
        torch.equal(*pair)
        for pair in zip(norm.state_dict().values(), plain.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_stochnorm_s_ends(kind):
    """p = 1 is plain batch norm bit for bit and draws nothing, p = 0 goes by the running statistics; so is evaluation."""
    images = inputs_of(kind)
    norm, plain = norm_of(kind, 1.0)
    before = torch.get_rng_state()
    for _ in range(2):
        ours, theirs = images.clone().requires_grad_(True), images.clone().requires_grad_(True)
        left, right = norm(ours), plain(theirs)
        left.square().sum().backward()
        right.square().sum().backward()
        assert torch.equal(left, right)
        assert torch.equal(ours.grad, theirs.grad)
    assert torch.equal(torch.get_rng_state(), before)
    never, plain = norm_of(kind, 0.0)
    expected = expected_of(plain, images)[1]
    assert np.allclose(arrays(never(images))[0], expected, atol=1e-5)
    norm, plain = norm_of(kind, 0.5)
    before = torch.get_rng_state()
    assert torch.equal(norm.eval()(images), plain.eval()(images))
    assert torch.equal(torch.get_rng_state(), before)


def test_stochnorm_s_gradient_is_that_of_what_it_gave():
    """The branch of the running statistics keeps those that it went by, though they have moved since."""
    norm, plain = norm_of(nn.BatchNorm2d, 0.0)
    images = inputs_of(nn.BatchNorm2d).requires_grad_(True)
    norm(images).sum().backward()
    slope = plain.weight / (plain.running_var + plain.eps).sqrt()
    assert torch.allclose(images.grad, slope[:, None, None].expand_as(images), atol=1e-6)
