"""The feature-rank penalty against its equation in numpy."""

import adapted
import numpy as np
import pytest
import torch
from adapted import arrays, penalty_of

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return adapted.student(transfer)


@pytest.mark.parametrize("count", [8, 100])
def test_feature_rank_formula(transfer, student, count):
    """Both sides of the Gram matrix: fewer images than features, and more."""
    found, view = penalty_of(methods.find("feature_rank")(weight=2.0), transfer, student, count)
    [features] = arrays(view.features)
    columns = (features - features.mean(0)) / np.sqrt(features.var(0, ddof=1) + 1e-5)
    correlation = columns.T @ columns / (count - 1)
    assert found.item() == pytest.approx(
        2 * (correlation**2).sum() / features.shape[1] ** 2, rel=1e-3
    )


def test_feature_rank_is_least_for_features_that_use_all_directions():
    def penalty(features):
        class Seen:
            pass

        view = Seen()
        view.features = features
        return methods.find("feature_rank")().penalty(view, None).item()

    rng = np.random.default_rng(0)
    wide = torch.from_numpy(rng.normal(size=(200, 6)))
    flat = torch.from_numpy(np.outer(rng.normal(size=200), np.ones(6)))
    assert penalty(flat) == pytest.approx(1, rel=1e-3)
    assert penalty(wide) == pytest.approx(1 / 6, rel=0.2)
    assert penalty(wide[:1]) == 0
