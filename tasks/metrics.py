"""Accuracies on seen and missing classes, and the curve between them; numpy only.

Scores are logits [N, C], labels are class indices [N], and `missing` has the indices of the missing
classes. `others` has those of classes that are neither seen nor missing: columns that the source
model has and no image of the target belongs to, such as the 800 classes of ImageNet that ImageNet-R
lacks. They compete in every argmax over all classes, and get no constant.

Accuracies are sample means in [0, 1], as Holistic Transfer (Tu et al., NeurIPS 2023) reports them.
Accuracies without a sample are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MAIN = ("overall_accuracy", "seen_accuracy", "missing_accuracy")


def accuracies(
    scores: Array, labels: Array, missing: Sequence[int], others: Sequence[int] = ()
) -> dict[str, float]:
    """The five accuracies and the harmonic mean of seen and missing.

    `overall` Y/Y, `seen` S/Y and `missing` U/Y take the largest score over all classes,
    `seen_within` S/S and `missing_within` U/U over the classes of the group. With `others` also
    `other_share`, `seen_other_share` and `missing_other_share`: how often the largest score is one
    of theirs, over all samples and over those of the group.
    """
    is_missing, is_other = (_mask(group, scores.shape[1]) for group in (missing, others))
    of_missing = is_missing[labels]
    predicted = scores.argmax(1)
    right = predicted == labels
    measured = {"overall_accuracy": _mean(right)}
    if len(others):
        to_others = is_other[predicted]
        measured |= {
            "other_share": _mean(to_others),
            "seen_other_share": _mean(to_others[~of_missing]),
            "missing_other_share": _mean(to_others[of_missing]),
        }
    for name, rows, columns in (
        ("seen", ~of_missing, ~is_missing & ~is_other),
        ("missing", of_missing, is_missing),
    ):
        measured[f"{name}_accuracy"] = _mean(right[rows])
        within = np.where(columns, scores[rows], -np.inf).argmax(1) == labels[rows]
        measured[f"{name}_within_accuracy"] = _mean(within)
    measured["harmonic_mean"] = harmonic_mean(
        measured["seen_accuracy"], measured["missing_accuracy"]
    )
    return _defined(measured)


def harmonic_mean(a: float, b: float) -> float:
    """2ab / (a + b); 0 if both are 0, NaN if either is."""
    return 0.0 if a == 0 and b == 0 else 2 * a * b / (a + b)


def curve(
    scores: Array, labels: Array, missing: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The seen and missing accuracies over all constants added to the missing classes' scores.

    With gap_i = max over S - max over U, sample i goes to S iff gap_i >= t. The curve covers all t,
    from the highest seen accuracy, (S/S, 0), to (0, U/U), both ends included. Samples with equal
    gaps move together. Repeated and collinear points are dropped, which changes no area. Takes
    O(N log N). ("Fine-Tuning is Fine, if Calibrated", Mai et al., NeurIPS 2024.)

    Classes that are neither get no constant, so that they stand on the side of S: where there are
    any, the curve begins at the seen accuracy over all classes that are not missing, below S/S.

    Returns:
        Two float64 arrays [K]: seen accuracy (falling) and missing accuracy (rising); empty if a
        group has no sample.
    """
    is_missing = _mask(missing, scores.shape[1])
    of_missing = is_missing[labels]
    seen_count, missing_count = int((~of_missing).sum()), int(of_missing.sum())
    if not seen_count or not missing_count:
        return np.empty(0), np.empty(0)
    _, seen, gained = _staircase(scores, labels, is_missing)
    keep = _corners(seen, gained)
    return seen[keep] / seen_count, gained[keep] / missing_count


def oracle_gamma(scores: Array, labels: Array, missing: Sequence[int]) -> float:
    """The constant on the missing classes' scores that maximises overall accuracy on these labels.

    With test labels it is an upper bound on what calibration can do. NaN if a group has no sample.
    """
    return _best_gamma(scores, labels, missing, lambda seen, gained, _: seen + gained)


def balancing_gamma(scores: Array, labels: Array, missing: Sequence[int]) -> float:
    """The constant on the missing classes' scores that maximises the harmonic mean of accuracies.

    With pseudo-missing classes this is a run of pseudo cross-validation (Mai et al., NeurIPS 2024,
    who say that it balances the two accuracies). NaN if a group has no sample.
    """

    def harmonic(seen: Array, gained: Array, counts: tuple[int, int]) -> Array:
        a, b = seen / counts[0], gained / counts[1]
        return np.where(a + b > 0, 2 * a * b / np.maximum(a + b, 1e-300), 0.0)

    return _best_gamma(scores, labels, missing, harmonic)


def released_gamma(scores: Array, labels: Array, missing: Sequence[int], floor: float) -> float:
    """The constant of best overall accuracy of those whose missing accuracy is at least `floor`.

    The rule by which the released code of Mai et al. chooses in a run of pseudo cross-validation,
    with the accuracy of the model before adaptation on the hidden classes as floor. NaN if a group
    has no sample, or no constant reaches the floor: the code then skips the run.
    """

    def overall(seen: Array, gained: Array, counts: tuple[int, int]) -> Array:
        # A count of correct samples is compared, so that an accuracy equal to the floor counts.
        return np.where(gained >= round(floor * counts[1], 9), seen + gained, -1)

    is_missing = _mask(missing, scores.shape[1])
    if not is_missing[labels].any() or not len(labels):
        return float("nan")
    most = (np.where(is_missing, scores, -np.inf).argmax(1) == labels)[is_missing[labels]].mean()
    return _best_gamma(scores, labels, missing, overall) if most >= floor - 1e-9 else float("nan")


def average_logit_gap(
    scores: Array, labels: Array, missing: Sequence[int], others: Sequence[int] = ()
) -> float:
    """ALG: the mean score of seen classes, without the true one, minus that of missing classes.

    The paper (Mai et al., NeurIPS 2024) computes it on target data of seen classes; its released
    code on whatever is being evaluated, including test labels of missing classes. Classes that are
    neither are in neither mean. NaN if a group has no class.
    """
    is_missing = _mask(missing, scores.shape[1])
    is_seen = ~is_missing & ~_mask(others, scores.shape[1])
    if not len(labels) or not is_seen.any() or not is_missing.any():
        return float("nan")
    scores = scores.astype(np.float64)
    compared = np.tile(is_seen, (len(labels), 1))
    compared[np.arange(len(labels)), labels] = False
    rows = compared.any(1)
    if not rows.any():
        return float("nan")
    of_seen = np.where(compared, scores, 0).sum(1)[rows] / compared.sum(1)[rows]
    return float(of_seen.mean() - scores[:, is_missing].mean())


def calibrated(scores: Array, gamma: float, missing: Sequence[int]) -> NDArray[np.float64]:
    """The scores after adding `gamma` to those of the missing classes."""
    return scores.astype(np.float64) + gamma * _mask(missing, scores.shape[1])


def _best_gamma(
    scores: Array, labels: Array, missing: Sequence[int], value: Callable[..., Array]
) -> float:
    """The threshold with the highest value; among equals, the one closest to 0."""
    is_missing = _mask(missing, scores.shape[1])
    missing_count = int(is_missing[labels].sum())
    counts = len(labels) - missing_count, missing_count
    if not all(counts):
        return float("nan")
    gaps, seen, gained = _staircase(scores, labels, is_missing)
    thresholds = np.concatenate([[gaps[0] - 1], (gaps[1:] + gaps[:-1]) / 2, [gaps[-1] + 1]])
    values = value(seen, gained, counts)
    best = thresholds[values == values.max()]
    return float(best[np.abs(best).argmin()])


def _staircase(
    scores: Array, labels: Array, is_missing: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """The K distinct gaps, rising, and the correct samples at the K + 1 thresholds around them.

    The second and third array count correct seen and missing samples, [K + 1].
    """
    gap, right = gaps(scores, labels, is_missing)
    of_missing = is_missing[labels]
    right_seen, right_missing = right & ~of_missing, right & of_missing
    order = np.argsort(gap, kind="stable")
    # The last sample of each distinct gap.
    ends = np.flatnonzero(np.append(np.diff(gap[order]) > 0, True))
    # Counts stay integers, so that "collinear" and "equal" are exact.
    seen = right_seen.sum() - np.append(0, np.cumsum(right_seen[order])[ends])
    return gap[order][ends], seen, np.append(0, np.cumsum(right_missing[order])[ends])


def gaps(
    scores: Array, labels: Array, is_missing: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each sample's highest score of seen minus that of missing classes, and whether it is right.

    Right is a sample whose highest score within its own group of classes is the true class's.
    """
    # float64: in float32, two different gaps may become equal.
    scores = scores.astype(np.float64)
    to_seen, to_missing = (
        np.where(is_missing, -np.inf, scores),
        np.where(is_missing, scores, -np.inf),
    )
    best = np.where(is_missing[labels], to_missing.argmax(1), to_seen.argmax(1))
    return to_seen.max(1) - to_missing.max(1), best == labels


def area(seen: Array, missing: Array) -> float:
    """The area under the seen/missing curve by the trapezoid rule: AUSUC, in [0, S/S * U/U]."""
    return float(-np.sum(np.diff(seen) * (missing[1:] + missing[:-1])) / 2)


def nearest_class_mean(
    references: Array, reference_labels: Array, features: Array, classes: int
) -> NDArray[np.float64]:
    """Cosine similarity [N, classes] of features to the class means of the references.

    References, means and features are L2-normalised, in this order, as in the official evaluator. A
    class without a reference gets -inf; in the official code it gets NaN, which wins every
    comparison.
    """
    of_class = np.arange(classes)[:, None] == reference_labels  # [classes, references]
    sums = of_class.astype(np.float64) @ _unit(references)
    similarity: NDArray[np.float64] = _unit(features) @ _unit(sums).T
    similarity[:, ~of_class.any(1)] = -np.inf
    return similarity


def _unit(rows: Array) -> NDArray[np.float64]:
    rows = rows.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _mask(indices: Sequence[int], count: int) -> NDArray[np.bool_]:
    mask = np.zeros(count, bool)
    mask[list(indices)] = True
    return mask


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else float("nan")


def _defined(numbers: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in numbers.items() if not np.isnan(value)}


def _corners(x: Array, y: Array) -> NDArray[np.intp]:
    """Indices of the ends of a monotone staircase and of the points where its direction changes."""
    moved = np.flatnonzero(np.append(True, (np.diff(x) != 0) | (np.diff(y) != 0)))
    dx, dy = np.diff(x[moved]), np.diff(y[moved])
    turns = dx[1:] * dy[:-1] != dx[:-1] * dy[1:]
    inner = np.append(True, np.append(turns, True)) if len(moved) > 1 else np.array([True])
    corners: NDArray[np.intp] = moved[inner]
    return corners
