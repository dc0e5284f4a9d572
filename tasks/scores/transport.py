"""OTCE: how far the target is from the source, and how well source labels tell target labels, under optimal transport."""

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
"""Steps of the network simplex at most: far more than a thousand images of each domain take."""


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
    """Minus the Wasserstein distance W of OTCE between source and target features (Tan et al., CVPR 2021).

    Args:
        source_features: [M, d].
        source_labels: [M].
        features: [N, d] of the target.
        labels: [N] of the target.
        samples: images of each domain at most
        seed: which are drawn.
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
    """Minus the conditional entropy of OTCE: target labels given source labels under transport (Tan et al., CVPR 2021).

    Args:
        source_features: [M, d].
        source_labels: [M].
        features: [N, d] of the target.
        labels: [N] of the target.
        samples: images of each domain at most
        seed: which are drawn.
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
    """Wasserstein distance  W = sum_ij pi_ij |s_i - f_j|^2  and conditional entropy  CE = H(Y_t|Y_s);  lower predicts better.

    (Tan, Li and Huang, "OTCE: A Transferability Metric for Cross-Domain Cross-Task
    Representations", CVPR 2021, equations 2 to 6.) pi is the exact plan between images of equal
    weight, P(y_s, y_t) the sum of pi over pairs of these labels, CE in nats. The paper's OTCE is a
    linear combination of both, fitted to tasks whose transfer accuracy is known. The plan is exact
    as in released code, whose limit of 1e5 pivots may end it before that. Features are taken as
    they are, so that W has their scale.

    Args:
        source_features: [M, d].
        source_labels: [M].
        features: [N, d] of the target.
        labels: [N] of the target.
        samples: images of each domain at most, drawn without replacement.
        seed: which are drawn.

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
    """[rows of a, rows of b]; taken from a common centre, so that a large mean costs no digits."""
    centre = a.mean(0)
    a, b = a - centre, b - centre
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)
    return np.asarray(np.maximum(squares - 2 * a @ b.T, 0.0))


def _plan(cost: NDArray[np.float64]) -> NDArray[np.float64]:
    """The exact transport plan between equal weights that sum to one, [rows, columns].

    Raises:
        ValueError: the solver did not end; says what it says.
    """
    rows, columns = (np.full(count, 1 / count) for count in cost.shape)
    # The solver stops by absolute tolerances, so that costs are brought to about 1.
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
            f"{log['warning']}; "
            "compare fewer of them, with otce.samples"
        )
    return np.asarray(plan)
