"""The terms of Task Transfer Analysis' bound, measured so that the bound provably holds for them.

Let p be the softmax of a linear classifier h of the source task, B a label map, D a prior over
source classes, z -> Az + b a map of features and Ā its approximate inverse. For a target image with
features x, the transformed classifier gives label t the probability q_t(x) = Σ_k B_tk p_k(Ā(x -
b)). For any joint weights w_tk with the target's class marginals:

    E_target[-log q] <= E_w[-log p_k(ĀAz)] + Σ w_tk (-log B_tk)
                        + τ Σ_t p(t) W1(Az + b | w_t., x | t)

since q_t >= B_tk p_k (Mehra, Zhang and Hamm, "Understanding the transferability of representations
via task-relatedness", NeurIPS 2024). It holds for the numbers measured here, though not necessarily
with the released code's recipe, because:

* Source images pass through ĀA, since Ā is not an exact inverse.
* w_tk = p(t) B_tk D_k / (BD)_t has the target's marginals even if BD does not.
* τ is the largest |Ā'W'(p(x) - e_k)| over the target images x and ALL source labels k. The largest
  gradient at images is not a Lipschitz constant, but it is enough: -log p_k is convex in the
  features, so along a plan it rises from Az + b to x by at most its gradient at x times the
  distance. Gradients at source images, or for a few random labels, are not enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tasks.scores.solver import solver

Array = NDArray[np.float64]
ITERATIONS = 10_000_000  # limit of POT's network simplex, never reached if costs are finite


@final
@dataclass(frozen=True, eq=False)
class Sample:
    """Images of one domain: features [N, d] and class indices [N]."""

    features: Array
    labels: NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Linear:
    """A linear softmax classifier: weight [K, d] and bias [K]."""

    weight: Array
    bias: Array

    def log_probabilities(self, features: Array) -> Array:
        """The log probabilities of the classes, [N, K]."""
        from scipy.special import log_softmax

        logarithms: Array = log_softmax(features @ self.weight.T + self.bias, axis=1)
        return logarithms


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Transform:
    """Turns a source task into a target task: maps of features and labels, and a class prior."""

    matrix: Array
    """A, [d, d]."""
    inverse: Array
    """Ā, [d, d]: approximately the inverse of A."""
    shift: Array
    """b, [d]."""
    log_labels: Array
    """log B, [K_t, K_s]: the log probability that an image of source class k has target label t."""
    prior: Array
    """D, [K_s]."""

    def __call__(self, features: Array) -> Array:
        """Source features mapped to the target, Az + b, [N, d]."""
        return features @ self.matrix.T + self.shift

    def back(self, features: Array) -> Array:
        """Target features mapped to the source, Ā(x - b), [N, d]."""
        return (features - self.shift) @ self.inverse.T

    def log_probabilities(self, classifier: Linear, features: Array) -> Array:
        """The transformed classifier's log q at target features, [N, K_t]."""
        return mixed(self.log_labels, classifier.log_probabilities(self.back(features)))


def mixed(log_labels: Array, log_probabilities: Array) -> Array:
    """log(B p), [N, K_t], from log B [K_t, K_s] and log p [N, K_s], without underflow."""
    from scipy.special import logsumexp

    return np.stack([logsumexp(log_probabilities + row, axis=1) for row in log_labels], axis=1)


def steepness(classifier: Linear, transform: Transform, features: Array) -> float:
    """τ: the largest gradient norm of -log p_k at these target features, over all source labels.

    The norm is |Ā'W'(p - e_k)|. Both bounds hold with it: -log q_t is the convex log-sum-exp of all
    scores minus that of the scores of label t, so that its rise along a plan is bounded by the
    difference between Σ p_k w_k at the target image and a point in the convex hull of the rows.
    """
    from scipy.spatial.distance import cdist

    rows = classifier.weight @ transform.inverse
    means = np.exp(classifier.log_probabilities(transform.back(features))) @ rows
    return float(cdist(means, rows).max())


def steepness_at_labels(
    classifier: Linear, transform: Transform, target: Sample, drawn: NDArray[np.int64]
) -> float:
    """The largest gradient norm of -log q_t at target images, for their label or a drawn one [N].

    The released code takes this for τ. It is at most `steepness`, whose maximum is over all labels,
    and the bound need not hold with it.
    """
    rows = classifier.weight @ transform.inverse
    log_p = classifier.log_probabilities(transform.back(target.features))
    log_q = mixed(transform.log_labels, log_p)
    images = np.arange(len(log_q))
    largest = 0.0
    for labels in (target.labels, drawn):
        # -log q_t = -log Σ_k B_tk p_k: its gradient is Σ_k (p_k - B_tk p_k / q_t) w_k.
        known = np.isfinite(log_q[images, labels])  # no source class may map to a label
        at = log_q[images, labels][known]
        share = np.exp(transform.log_labels[labels[known]] + log_p[known] - at[:, None])
        slopes = np.linalg.norm((np.exp(log_p[known]) - share) @ rows, axis=1)
        largest = max(largest, float(slopes.max(initial=0.0)))
    return largest


def supremum(weight: Array) -> float:
    """The supremum of the gradient norm |W'(p - e_k)|: the largest distance between two rows.

    It is over all features and labels. p is in the simplex, so that W'p is in the convex hull of
    the rows, whose farthest point from a row is another row; and p gets arbitrarily close to the
    one-hot vector of that row.
    """
    from scipy.spatial.distance import pdist

    return float(pdist(weight).max(initial=0.0))


def conditional_entropy(log_labels: Array, prior: Array) -> float:
    """H(new label | source label) = -Σ_k D_k Σ_t B_tk log B_tk in nats, with 0 log 0 = 0."""
    from scipy.special import entr

    return float(entr(np.exp(log_labels)).sum(0) @ prior)


def joint_weights(transform: Transform, marginals: Array) -> Array:
    """w, [K_t, K_s]: the joint weights of target label t and source class k; rows sum to p(t).

    Raises:
        ValueError: a target class has images, but no source class of positive prior maps to it.
    """
    from scipy.special import logsumexp

    with np.errstate(divide="ignore"):
        log_joint = transform.log_labels + np.log(transform.prior)
    rows = logsumexp(log_joint, axis=1)
    needed = marginals > 0
    if np.isinf(rows[needed]).any():
        lost = np.flatnonzero(needed & np.isinf(rows))
        raise ValueError(
            f"no source class maps to the target's class {', '.join(map(str, lost))}; give each "
            "target class one"
        )
    weights = np.zeros_like(log_joint)
    weights[needed] = np.exp(log_joint[needed] - rows[needed, None]) * marginals[needed, None]
    return weights


def uncovered(log_labels: Array) -> int:
    """The number of target classes that are not the likeliest label of any source class."""
    return len(log_labels) - len(np.unique(log_labels.argmax(0)))


def transport(points: Array, weights: Array, others: Array) -> float:
    """The exact Euclidean W1 of weighted points [N, d] to equally weighted others [M, d]."""
    from scipy.spatial.distance import cdist

    held = weights > 0
    return float(
        solver().emd2(
            weights[held] / weights[held].sum(),
            np.full(len(others), 1 / len(others)),
            cdist(points[held], others),
            numItermax=ITERATIONS,
        )
    )


def terms(
    classifier: Linear,
    transform: Transform,
    source: Sample,
    target: Sample,
    drawn: NDArray[np.int64] | None = None,
) -> dict[str, float]:
    """The terms of the bound on a sample of the target task, by name.

    `transformed_target_loss <= tighter_bound <= bound` holds.

    Args:
        classifier: the classifier of the source task.
        transform: the transform from the source task to the target task.
        source: images of all source classes, in the source's features.
        target: images of the target task, in the target's features.
        drawn: a label drawn for each of these images, [N], for the released code's τ.

    Returns:
        `reweighted_source_loss`; `conditional_entropy` (a cross-entropy if the marginals BD differ
        from the sample's); `lipschitz`; `wasserstein`; `bound`, the sum of the first two and the
        product of the other two; `transformed_source_loss`; `tighter_bound`; the loss and accuracy
        of the transformed classifier; `prior_gap`, by how much the sum of the first two changes
        when it is weighted by the sample's class marginals instead of BD; `uncovered_classes`. With
        `drawn`, also `lipschitz_code` and `bound_code`: τ as the released code takes it, and the
        bound with that, which may be violated.
    """
    counts = np.bincount(target.labels, minlength=len(transform.log_labels))
    weights = joint_weights(transform, counts / counts.sum())
    moved = transform(source.features)
    losses, mixed_losses = _class_losses(classifier, transform, source, moved)
    with np.errstate(invalid="ignore"):
        surprise = np.where(weights > 0, -transform.log_labels, 0)
    reweighted, mismatch = float(weights.sum(0) @ losses), float((weights * surprise).sum())
    each = np.bincount(source.labels, minlength=len(transform.prior))
    distance = sum(
        count
        / counts.sum()
        * transport(
            moved,
            (weights[label] / np.maximum(each, 1))[source.labels],
            target.features[target.labels == label],
        )
        for label, count in enumerate(counts)
        if count
    )
    slope = steepness(classifier, transform, target.features)
    transformed = float((weights * np.where(weights > 0, mixed_losses, 0)).sum())
    log_q = transform.log_probabilities(classifier, target.features)
    unmatched = float(transform.prior @ losses) + conditional_entropy(
        transform.log_labels, transform.prior
    )
    released: dict[str, float] = {}
    if drawn is not None:
        code = steepness_at_labels(classifier, transform, target, drawn)
        together = reweighted + mismatch + code * float(distance)
        released = {"lipschitz_code": code, "bound_code": together}
    return released | {
        "reweighted_source_loss": reweighted,
        "conditional_entropy": mismatch,
        "lipschitz": slope,
        "wasserstein": float(distance),
        "prior_gap": reweighted + mismatch - unmatched,
        "bound": reweighted + mismatch + slope * float(distance),
        "tighter_bound": transformed + slope * float(distance),
        "transformed_source_loss": transformed,
        "transformed_target_loss": float(-log_q[np.arange(len(log_q)), target.labels].mean()),
        "transformed_target_accuracy": float((log_q.argmax(1) == target.labels).mean()),
        "uncovered_classes": float(uncovered(transform.log_labels)),
    }


def class_free_terms(
    classifier: Linear, transform: Transform, source: Sample, features: Array
) -> dict[str, float]:
    """The terms of the bound for a target with features [M, d] only: transport ignores classes.

    The same proof bounds the loss against the labels that the plan carries to the target's images;
    it bounds the loss against the true labels only as far as the two agree.
    """
    losses, mixed_losses = _class_losses(
        classifier, transform, source, moved := transform(source.features)
    )
    each = np.bincount(source.labels, minlength=len(transform.prior))
    distance = transport(moved, (transform.prior / np.maximum(each, 1))[source.labels], features)
    labels, slope = np.exp(transform.log_labels), steepness(classifier, transform, features)
    reweighted, mismatch = (
        float(transform.prior @ losses),
        conditional_entropy(transform.log_labels, transform.prior),
    )
    transformed = float(
        (
            np.where(labels > 0, labels * np.where(labels > 0, mixed_losses, 0), 0)
            @ transform.prior
        ).sum()
    )
    return {
        "reweighted_source_loss": reweighted,
        "conditional_entropy": mismatch,
        "lipschitz": slope,
        "wasserstein": distance,
        "bound": reweighted + mismatch + slope * distance,
        "tighter_bound": transformed + slope * distance,
        "transformed_source_loss": transformed,
        "uncovered_classes": float(uncovered(transform.log_labels)),
    }


def _class_losses(
    classifier: Linear, transform: Transform, source: Sample, moved: Array
) -> tuple[Array, Array]:
    """Class means of -log p_k, [K_s], and of -log q_t, [K_t, K_s], on the moved source images."""
    log_p = classifier.log_probabilities(transform.back(moved))
    log_q = mixed(transform.log_labels, log_p)
    of_class: Any = np.arange(len(transform.prior))[:, None] == source.labels
    means = of_class / np.maximum(of_class.sum(1, keepdims=True), 1)
    with np.errstate(invalid="ignore"):
        return np.diag(means @ -log_p).copy(), np.array(
            [-log_q[rows].mean(0) if rows.any() else np.zeros(log_q.shape[1]) for rows in of_class]
        ).T
