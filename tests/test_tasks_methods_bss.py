"""Batch spectral shrinkage against its equation in numpy, and its precision."""

import dataclasses

import numpy as np
import pytest
import regularised
import torch
from regularised import arrays, view_of

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return regularised.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return regularised.student(transfer)


@pytest.mark.parametrize(("count", "smallest"), [(8, 1), (8, 3), (80, 2), (8, 50), (1, 1)])
def test_bss_formula(transfer, student, count, smallest):
    """More images than features: there are as many singular values as features."""
    view = view_of(student, transfer, count)
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(count, 64, generator=generator, requires_grad=True)
    view.__dict__["_student"] = dataclasses.replace(view._student, features=features)
    found = methods.find("bss")(weight=0.5, smallest=smallest).penalty(view, None)
    values = np.linalg.svd(arrays(features)[0], compute_uv=False)
    assert found.item() == pytest.approx(
        0.5 * sum(values[-i] ** 2 for i in range(1, min(smallest, len(values)) + 1)), rel=1e-5
    )
    left, values, right = np.linalg.svd(arrays(features)[0], full_matrices=False)
    gradient = sum(
        values[-i] * np.outer(left[:, -i], right[-i])
        for i in range(1, min(smallest, len(values)) + 1)
    )
    found.backward()
    assert np.allclose(arrays(features.grad)[0], gradient, rtol=1e-4, atol=1e-5)


def test_bss_keeps_its_precision(transfer, student):
    """A singular value of 1e-3 beside one of 100 is found, and float64 stays float64; equal ones have a finite gradient."""
    term = methods.find("bss")(weight=1.0).penalty
    view = view_of(student, transfer)
    for dtype, values in (
        (torch.float32, [100.0, 1e-3]),
        (torch.float64, [1.0, 1e-6]),
        (torch.float32, [1.0, 1.0]),
    ):
        features = torch.zeros(2, 5, dtype=dtype)
        features[0, 0], features[1, 1] = values
        view.__dict__["_student"] = dataclasses.replace(
            view._student, features=features.requires_grad_(True)
        )
        found = term(view, None)
        found.backward()
        assert found.dtype == dtype
        assert found.item() == pytest.approx(values[-1] ** 2, rel=1e-5)
        assert features.grad.isfinite().all()
