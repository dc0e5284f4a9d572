"""Principal components are those of scikit-learn."""

import numpy as np
import pytest

from tasks.scores.spectra import principal


@pytest.mark.parametrize(("count", "width"), [(50, 9), (9, 50)])
def test_principal_components_are_those_of_scikit_learn(count, width):
    from sklearn.decomposition import PCA

    features = np.random.default_rng(0).normal(size=(count, width)) * np.linspace(1, 9, width) + 3
    for energy, most in ((0.8, 100), (0.8, 2), (0.3, 5)):
        theirs = PCA(energy, svd_solver="full").fit_transform(features)[:, :most]
        ours = principal(features, energy, most)
        assert np.allclose(np.abs(ours), np.abs(theirs))
