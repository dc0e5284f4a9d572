"""Attention transfer against its equation in numpy."""

import copy

import numpy as np
import pytest
import regularised
from regularised import arrays, view_of
from torch import nn

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return regularised.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return regularised.student(transfer)


@pytest.mark.parametrize("stages", ["-2,-1", "-1", "1"])
def test_at_formula(transfer, student, stages):
    view = view_of(student, transfer)
    found = methods.find("at")(weight=3.0, stages=stages).penalty(view, None)
    expected = 0.0
    for number in {"-2,-1": (0, 1), "-1": (1,), "1": (0,)}[stages]:
        ours, theirs = arrays(view.maps[number], view.source_maps[number])
        images, channels, height, width = ours.shape
        terms = []
        for image in range(images):
            both = []
            for maps in (ours[image], theirs[image]):
                q = np.array(
                    [
                        [
                            np.mean([maps[c, y, x] ** 2 for c in range(channels)])
                            for x in range(width)
                        ]
                        for y in range(height)
                    ]
                )
                both.append(q / np.sqrt((q**2).sum()))
            terms += [
                (both[0][y, x] - both[1][y, x]) ** 2 for y in range(height) for x in range(width)
            ]
        expected += np.mean(terms)
    assert found.item() == pytest.approx(3.0 * expected, rel=1e-4)
    assert expected > 0


def test_at_of_an_empty_map_is_zero(transfer, student):
    """No division by zero, and the gradient is finite."""
    empty = copy.deepcopy(student).requires_grad_(True)
    for norm in empty.norms():
        nn.init.zeros_(norm.weight)
        nn.init.constant_(norm.bias, -1.0)
    term = methods.find("at")().penalty(view_of(empty, transfer), None)
    term.backward()
    assert term > 0
    assert all(one.grad is None or one.grad.isfinite().all() for one in empty.parameters())
