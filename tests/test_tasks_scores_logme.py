"""LogME against the brute-force maximum of the evidence, and its limits."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from scored import made

from tasks.scores import logme


def log_marginal(features, target, alpha, beta):
    """log N(y; 0, I/beta + F F^T / alpha), from the density."""
    covariance = np.eye(len(target)) / beta + features @ features.T / alpha
    return (
        -(
            np.linalg.slogdet(2 * np.pi * covariance)[1]
            + target @ np.linalg.solve(covariance, target)
        )
        / 2
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("apart", [0.0, 1.0, 4.0])
def test_logme_is_the_brute_force_maximum_of_the_evidence(seed, apart):
    features, labels, _ = made(seed, count=30, width=5, classes=3, apart=apart)
    best = []
    for index in range(3):
        target = (labels == index).astype(float)

        def surprise(logs, target=target):
            return -log_marginal(features, target, *np.exp(logs))

        # alpha may grow without end: the ratio that the box allows is far out there already.
        found = [
            scipy.optimize.minimize(
                surprise, start, bounds=[(-10, 14), (-4, 8)], method="L-BFGS-B", tol=1e-12
            ).fun
            for start in ((0, 0), (3, 2), (-3, 3), (8, 2))
        ]
        best.append(-min(found))
    assert logme.logme(features, labels) == pytest.approx(np.mean(best) / 30, abs=1e-5)


def test_logme_of_more_features_than_images_is_the_limit():
    """Beta has no end there; at a large one the density is the limit already."""
    features, labels, _ = made(count=12, width=40, classes=2)
    features = features.astype(np.float32)
    wide = features.astype(np.float64)
    best = []
    for index in range(2):
        target = (labels == index).astype(float)
        found = scipy.optimize.minimize_scalar(
            lambda a, target=target: (
                -max(
                    log_marginal(wide, target, np.exp(a), np.exp(b)) for b in np.linspace(0, 18, 19)
                )
            ),
            bounds=(-5, 12),
            method="bounded",
        )
        best.append(-found.fun)
    assert logme.logme(features, labels) == pytest.approx(np.mean(best) / 12, abs=1e-3)


def test_logme_where_the_evidence_has_no_maximum_is_an_error():
    labels = np.array([0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match="class 3 is an exact linear function"):
        logme.logme(np.eye(2)[labels], labels * 4 + 3)
