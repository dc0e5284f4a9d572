"""OTCE: two scores from the optimal transport between source and target features."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from tasks.parameters import Range
from tasks.scores.declaration import score
from tasks.scores.inputs import matrix, numbered, same_width
from tasks.scores.solver import solver

MOST_PIVOTS = 10_000_000
"""Maximum steps of the network simplex, far more than a thousand images per domain need."""


PARTS = ("otce/wasserstein", "otce/conditional_entropy")
Samples = Annotated[int, Range(1, 100_000)]


@score(needs={"source_data", "transport"}, parts=PARTS, group="otce", kind="part")
def otce_w(
    *,
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    samples: Samples = 1000,
    seed: int,
) -> tuple[float, float, float]:
    """OTCE: minus the Wasserstein distance W between features (Tan et al., CVPR 2021).

    Args:
        source_features: [M, d].
        source_labels: [M].
        features: [N, d] of the target.
        labels: [N] of the target.
        samples: images of each domain at most
        seed: seed of the draw.
    """
    distance, entropy = otce(
        source_features, source_labels, features, labels, samples=samples, seed=seed
    )
    return -distance, distance, entropy


@score(needs={"source_data", "transport"}, parts=PARTS, group="otce", kind="part")
def otce_ce(
    *,
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    samples: Samples = 1000,
    seed: int,
) -> tuple[float, float, float]:
    """OTCE: minus the entropy of target given source labels, CE (Tan et al., CVPR 2021).

    Args:
        source_features: [M, d].
        source_labels: [M].
        features: [N, d] of the target.
        labels: [N] of the target.
        samples: images of each domain at most
        seed: seed of the draw.
    """
    distance, entropy = otce(
        source_features, source_labels, features, labels, samples=samples, seed=seed
    )
    return -entropy, distance, entropy


def otce(
    source_features: ArrayLike,
    source_labels: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    *,
    samples: int,
    seed: int,
) -> tuple[float, float]:
    """The Wasserstein distance W and the conditional entropy CE of OTCE; lower predicts better.

    W = sum_ij pi_ij |s_i - f_j|^2 and CE = H(Y_t|Y_s), in nats. (Tan, Li and Huang, "OTCE: A
    Transferability Metric for Cross-Domain Cross-Task Representations", CVPR 2021, equations 2 to
    6.) pi is the exact plan between images of equal weight, and P(y_s, y_t) the sum of pi over
    pairs with these labels. The paper's OTCE is a linear combination of both, fitted to tasks of
    known transfer accuracy. The plan is exact as in the released code, whose limit of 1e5 pivots
    may however stop it early. Features are not scaled, so that W depends on their scale.

    Args:
        source_features: [M, d].
        source_labels: [M].
        features: [N, d] of the target.
        labels: [N] of the target.
        samples: maximum number of images per domain, drawn without replacement.
        seed: seed of the draw.

    Returns:
        W, in squared units of the features, and CE in [0, log K].
    """
    sources, targets = matrix("source features", source_features), matrix("features", features)
    same_width(source_features=sources, features=targets)
    source_answers, source_counts = numbered("source labels", source_labels, len(sources))
    answers, counts = numbered("labels", labels, len(targets))
    random = np.random.default_rng(seed)
    chosen, source_chosen = (
        _drawn(len(targets), samples, random),
        _drawn(len(sources), samples, random),
    )
    cost = _squared_distances(sources[source_chosen], targets[chosen])
    plan = _plan(cost)
    joint = np.zeros((len(source_counts), len(counts)))
    np.add.at(joint, (source_answers[source_chosen][:, None], answers[chosen][None]), plan)
    entropy = xlogy(joint.sum(1), joint.sum(1)).sum() - xlogy(joint, joint).sum()
    return float((plan * cost).sum()), float(max(entropy, 0.0))


def _drawn(count: int, most: int, random: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(count) if count <= most else np.sort(random.choice(count, most, replace=False))


def _squared_distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """[rows of a, rows of b]; centred first, so that a large mean costs no precision."""
    centre = a.mean(0)
    a, b = a - centre, b - centre
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)
    return np.asarray(np.maximum(squares - 2 * a @ b.T, 0.0))


def _plan(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """The exact transport plan between equal weights that sum to one, [rows, columns].

    Raises:
        ValueError: the solver did not finish; includes its message.
    """
    rows, columns = (np.full(count, 1 / count) for count in cost.shape)
    # The solver has absolute tolerances, so costs are scaled to at most 1.
    plan, log = solver().emd(
        rows,
        columns,
        cost / max(cost.max(), np.finfo(np.float64).tiny),
        numItermax=MOST_PIVOTS,
        log=True,
    )
    if log["warning"] is not None:
        raise ValueError(
            f"the transport plan of {len(rows)} x {len(columns)} images was not found: "
            f"{log['warning']}; compare fewer of them, with otce.samples"
        )
    return np.asarray(plan)
