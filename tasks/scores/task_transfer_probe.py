"""The best linear classifier with a bounded gradient, used on both sides of the bound."""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.scores.task_transfer_terms import Array, Linear, Sample, supremum

STAIRS = (1e-3, 1e-2, 1e-1, 1.0)


def constrained_probe(
    sample: Sample, classes: int, *, lipschitz: float, penalty: float, steps: int
) -> Linear:
    """The softmax classifier of least cross-entropy whose loss has gradients up to `lipschitz`.

    The gradient of the loss w.r.t. features z with label y is W'(p - e_y); its supremum over all z
    and y is the largest distance between two rows of W. The released code keeps it close to τ by a
    penalty at training images and random labels. Here the penalty is on the supremum, which covers
    all features and labels, needs no random draw, and keeps the problem convex: L-BFGS from zero
    ends where Adam would. Any excess that remains is scaled away, so that the limit holds exactly.

    Args:
        sample: training images, at least one per class.
        classes: K.
        lipschitz: τ, in nats per unit of features.
        penalty: weight of the mean over pairs of classes of max(0, |w_k - w_l| - τ)².
        steps: maximum iterations of L-BFGS, for each of a few increasing weights of the penalty.
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
    for share in STAIRS:  # L-BFGS's line search fails if it starts with the full penalty
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
    """The sum over pairs of rows of the squared excess distance, and half its gradient, [K, d]."""
    distances = _distances(weight)
    over = np.maximum(distances - limit, 0)
    pull = np.divide(over, distances, out=np.zeros_like(over), where=over > 0)
    return float((over**2).sum() / 2), pull.sum(1)[:, None] * weight - pull @ weight


def _distances(weight: Array) -> Array:
    from scipy.spatial.distance import pdist, squareform

    return np.asarray(squareform(pdist(weight)))
