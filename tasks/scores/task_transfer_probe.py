"""The best linear classifier of a given steepness: both sides of Task Transfer Analysis' bound have one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.scores.task_transfer_terms import Array, Linear, Sample, supremum

STAIRS = (1e-3, 1e-2, 1e-1, 1.0)


def constrained_probe(
    sample: Sample, classes: int, *, lipschitz: float, penalty: float, steps: int
) -> Linear:
    """The softmax classifier of least cross-entropy whose loss has no gradient over the features longer than `lipschitz`.

    The gradient of the loss at features z and label y is W'(p - e_y), and its supremum over all z
    and y the longest difference of two rows of W. The released code keeps it near τ by a penalty at
    training images and random labels; here the penalty is on the supremum, which covers all
    features and labels, needs no draw, and leaves the problem convex: L-BFGS from zero ends where
    Adam would. What remains over the limit is scaled away, so that the limit holds to the last
    digit.

    Args:
        sample: training images; each class has one.
        classes: K.
        lipschitz: τ, in nats a unit of features.
        penalty: weight of the mean over pairs of classes of max(0, |w_k - w_l| - τ)².
        steps: iterations of L-BFGS at most, for each of a few rising weights of the penalty.
    """
    from scipy.optimize import minimize

    features, width = sample.features, sample.features.shape[1]
    onehot = np.eye(classes)[sample.labels]
    pairs = max(classes * (classes - 1) // 2, 1)

    def objective(point: Array, penalty: float) -> tuple[float, Array]:
        weight, bias = point[: classes * width].reshape(classes, width), point[classes * width :]
        log_p = Linear(weight, bias).log_probabilities(features)
        residual = (np.exp(log_p) - onehot) / len(features)
        over, pull = _excess(weight, lipschitz)
        slope = residual.T @ features + 2 * penalty / pairs * pull
        return (
            float(-(log_p * onehot).sum() / len(features) + penalty / pairs * over),
            np.append(slope.ravel(), residual.sum(0)),
        )

    point = np.zeros(classes * (width + 1))
    for share in STAIRS:  # a line search of L-BFGS fails where the full penalty sets in at once
        solution: Any = minimize(
            objective,
            point,
            args=(share * penalty,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": steps},
        )
        point = solution.x
    weight = point[: classes * width].reshape(classes, width)
    steepest = supremum(weight)
    return Linear(
        weight * min(1.0, lipschitz / steepest) if steepest > 0 else weight,
        point[classes * width :],
    )


def _excess(weight: Array, limit: float) -> tuple[float, Array]:
    """The sum over pairs of rows of the squared distance over the limit, and half its gradient, [K, d]."""
    distances = _distances(weight)
    over = np.maximum(distances - limit, 0)
    pull = np.divide(over, distances, out=np.zeros_like(over), where=over > 0)
    return float((over**2).sum() / 2), pull.sum(1)[:, None] * weight - pull @ weight


def _distances(weight: Array) -> Array:
    from scipy.spatial.distance import pdist, squareform

    return np.asarray(squareform(pdist(weight)))
