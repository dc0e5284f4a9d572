"""A model whose stages can be changed while it runs."""

import dataclasses

import pytest
import regularised
import torch
from regularised import CLASSES, RECIPE, run_of, transfer_of

from tasks import backbones, methods


@pytest.fixture(scope="module")
def transfer():
    return regularised.transfer()


@pytest.mark.parametrize(("name", "size"), [("test_efficientnet", 64), ("test_vit", 160)])
def test_they_train_models_of_timm(name, size):
    """Each stage's output can be taken in hand: without its channel the map lacks it, and nothing else changes there."""
    torch.manual_seed(0)
    images, labels = torch.rand(8, 3, size, size), torch.arange(8) % CLASSES
    transfer = transfer_of(backbones.build(name, 3, size, 2), images, labels)
    source = transfer.source

    def without_the_second(output, channels):
        output = output.clone()
        output.select(channels, 1).zero_()
        return output

    with torch.no_grad():
        whole = source.outputs(images[:2], maps=True)
        for stage in (-2, -1):
            with source.changed(stage, without_the_second):
                maps = source.outputs(images[:2], maps=True).maps[stage]
                assert not torch.allclose(source(images[:2])[0], whole.features)
            assert maps[:, 1].eq(0).all()
            assert torch.equal(maps[:, 2:], whole.maps[stage][:, 2:])
        assert torch.equal(source(images[:2])[0], source(images[:2])[0])
    recipe = dataclasses.replace(RECIPE, steps_per_epoch=2, batch_size=4, learning_rate=0.01)
    for method in (
        methods.find("at")(),
        methods.find("delta")(stages="-1", head_epochs=1, batches=1),
        methods.find("bss")(),
    ):
        run = run_of(method, transfer, recipe)
        assert run.advance(0, 2).isfinite()
    if backbones.traits(name).batch_norm:
        run = run_of(methods.find("stochnorm")(), transfer, recipe)
        assert run.advance(0, 2).isfinite()
        run.finished()(images[:2])


def test_a_hook_goes_when_it_fails(transfer):
    def refuse(*_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), transfer.source.changed(0, refuse):
        transfer.source(transfer.images[:2])
    transfer.source(transfer.images[:2])
