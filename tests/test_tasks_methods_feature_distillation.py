"""Feature distillation against its equation in numpy."""

import adapted
import numpy as np
import pytest
from adapted import arrays, penalty_of

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return adapted.student(transfer)


@pytest.mark.parametrize("normalised", [False, True])
def test_feature_distillation_formula(transfer, student, normalised):
    found, view = penalty_of(
        methods.find("feature_distillation")(weight=0.7, normalised=normalised), transfer, student
    )
    total = 0.0
    for ours, theirs in zip(*arrays(view.features, view.source_features), strict=True):
        if normalised:
            ours, theirs = ours / np.linalg.norm(ours), theirs / np.linalg.norm(theirs)
        total += ((ours - theirs) ** 2).sum()
    assert found.item() == pytest.approx(0.7 * total / 8, rel=1e-4)
    assert total > 0
