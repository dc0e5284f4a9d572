"""The precision in which models are measured: what it means, and what it computes."""

import dataclasses

import adapted
import numpy as np
import pytest
import torch

from tasks import adaptation, evaluation, precision
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import holistic_transfer


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


TRAINED = {precision.EVALUATION: precision.TRAINED}


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning])
def test_measuring_as_trained_is_part_of_the_meaning_where_that_is_another_precision(task):
    given = {"dataset": "mnist-uci"}
    plain = task.resolve(given)
    assert precision.EVALUATION not in plain
    assert task.resolve({**given, **TRAINED}) == plain
    assert task.resolve({**given, **TRAINED, "precision": "full"}) == plain
    half = task.resolve({**given, "precision": "bfloat16"})
    as_trained = task.resolve({**given, **TRAINED, "precision": "bfloat16"})
    assert as_trained == half | TRAINED
    assert task.resolve({**half, precision.EVALUATION: precision.FLOAT32}) == half
    assert task.meaning(as_trained) != task.meaning(half)
    # One training serves both.
    trained = dataclasses.replace(task.trajectory(as_trained), tail=False)
    assert trained == task.trajectory(half)
    assert task.stages(as_trained) == task.stages(half)


def test_a_model_is_measured_in_the_precision_that_it_is_trained_in(transfer):
    model = transfer.source_model.eval()
    rows = transfer.train.numpy()
    full = evaluation.outputs(model, transfer.images, "cpu", rows)
    half = evaluation.outputs(evaluation.Halved(model, "bfloat16"), transfer.images, "cpu", rows)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = model(transfer.images[rows])
    for given, ours, theirs in zip(full, half, expected, strict=True):
        assert ours.dtype == given.dtype == np.float32
        assert (ours == theirs.float().numpy()).all()
        assert not (ours == given).all()
        # bfloat16 has 8 bits: an error of 2^-8 in each of a few layers.
        assert np.abs(ours - given).max() < 0.1 * np.abs(given).max()


@pytest.mark.parametrize("views", [{}, {"test_transform": "center_crop(0.875)"}])
def test_a_trial_measures_as_its_config_says(views):
    config = holistic_transfer.resolve({"precision": "float16", **TRAINED, **views})
    measured = adaptation._viewing(torch.nn.Identity(), config)
    inner = measured._model if views else measured
    assert isinstance(inner, evaluation.Halved)
    assert inner._half == torch.float16
    without = holistic_transfer.resolve({"precision": "float16"})
    assert isinstance(adaptation._viewing(torch.nn.Identity(), without), torch.nn.Identity)
