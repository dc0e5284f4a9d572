"""Controls that a score has to beat: source accuracy, nearest class means, and a linear probe."""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.parameters import Range
from tasks.scores.declaration import score
from tasks.scores.inputs import indices, matrix, numbered, one_hot, same_width


@score(needs={"head", "source_data", "held_out"}, kind="control")
def source_accuracy(
    head: tuple[ArrayLike, ArrayLike], held_features: ArrayLike, held_labels: ArrayLike
) -> float:
    """Control: accuracy of the source model on source images held out of its training.

    Args:
        head: weight [K, d] and bias [K].
        held_features: [N, d].
        held_labels: [N] in 0..K-1.
    """
    weight, bias, inputs = linear(head, held_features)
    answers = indices("labels", held_labels, len(inputs), len(weight))
    return float(((inputs @ weight.T + bias).argmax(1) == answers).mean())


def linear(
    head: tuple[ArrayLike, ArrayLike], features: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weight [K, d], bias [K] and features [N, d] in float64, with shapes checked.

    Raises:
        ValueError: the shapes do not fit, or a number is not finite.
    """
    weight, inputs = matrix("the head's weight", head[0]), matrix("features", features)
    same_width(head=weight, features=inputs)
    bias = matrix("the head's bias", np.reshape(head[1], (1, -1)))[0]
    if len(bias) != len(weight):
        raise ValueError(
            f"the head must have a bias for each of its {len(weight)} classes, but got {len(bias)}"
        )
    return weight, bias, inputs


@score(kind="control")
def nearest_class_mean(features: ArrayLike, labels: ArrayLike) -> float:
    """Control: leave-one-out accuracy of the nearest class mean on the target's training images.

    Features and class means are L2-normalised as in `tasks.metrics.nearest_class_mean`. Each image
    is left out of the mean of its class, so that none has to be held out. An image that is the only
    one of its class counts as wrong. Ties count as wrong too, so that constant features give 0.

    Args:
        features: [N, d].
        labels: [N].
    """
    inputs = matrix("features", features)
    answers, counts = numbered("labels", labels, len(inputs))
    if len(counts) == 1:
        return float(counts[0] > 1)
    unit = _unit(inputs)
    sums = one_hot(answers, len(counts)).T @ unit
    cosines = unit @ _unit(sums).T
    without = sums[answers] - unit
    rows = np.arange(len(inputs))
    # Without its only image, a class leaves only rounding errors.
    own = np.where(counts[answers] > 1, (unit * _unit(without)).sum(1), -np.inf)
    cosines[rows, answers] = -np.inf
    return float((own > cosines.max(1) + 1e-12).mean())


@score(parts=("linear_probe/train_accuracy",), kind="control")
def linear_probe(
    features: ArrayLike,
    labels: ArrayLike,
    held: Annotated[float, Range(0.01, 0.9)] = 0.2,
    penalty: Annotated[float, Range(1e-9, 1e3)] = 1e-4,
    *,
    steps: Annotated[int, Range(1, 100_000)] = 50,
    seed: int = 0,
) -> tuple[float, float]:
    """Control: accuracy of a logistic regression on held-out training images of the target.

    Also returns the accuracy on the images that it is fitted to. A share of each class is held out:
    at least one image, but never the last one. Features are centred and divided by their root mean
    square, a single number, so that the result does not depend on their scale or rotation.

    Args:
        features: [N, d].
        labels: [N].
        held: share of each class that is held out
        penalty: factor of |w|^2 / 2, added to the mean cross-entropy
        steps: maximum steps of L-BFGS
        seed: seed of the draw of held-out images.

    Raises:
        ValueError: no class has two images, so that none can be held out.
    """
    inputs = matrix("features", features)
    answers, counts = numbered("labels", labels, len(inputs))
    if counts.max() < 2:
        raise ValueError(
            f"none of the {len(counts)} classes has two images, so that no image can be held out "
            "of a probe; give more images, or use another score"
        )
    if len(counts) == 1:
        return 1.0, 1.0
    kept = _kept(answers, counts, held, np.random.default_rng(seed))
    centred = inputs - inputs[kept].mean(0)
    size = np.sqrt((centred[kept] ** 2).sum(1).mean())
    # Constant features, apart from float32 rounding.
    if size <= 1e-6 * np.sqrt((inputs[kept] ** 2).sum(1).mean()):
        centred, size = np.zeros_like(inputs), 1.0
    return _regressed((centred / size).astype(np.float32), answers, kept, penalty, steps=steps)


def _regressed(
    features: NDArray[np.float32],
    answers: NDArray[np.int64],
    kept: NDArray[np.bool_],
    penalty: float,
    *,
    steps: int,
) -> tuple[float, float]:
    """Accuracies on the rows not in `kept` and in `kept`, of a regression fitted to the latter."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    probe = LogisticRegression(C=1 / (penalty * kept.sum()), max_iter=steps, tol=1e-3)
    with warnings.catch_warnings():
        # Not converging is fine: the probe should be cheap, and accuracy converges before weights.
        warnings.simplefilter("ignore", ConvergenceWarning)
        right = probe.fit(features[kept], answers[kept]).predict(features) == answers
    return float(right[~kept].mean()), float(right[kept].mean())


def _kept(
    answers: NDArray[np.int64], counts: NDArray[np.int64], held: float, random: np.random.Generator
) -> NDArray[np.bool_]:
    """The rows [N] to fit: of each class all but a share, which is at least one of two or more."""
    kept = np.ones(len(answers), bool)
    for index, count in enumerate(counts):
        if count > 1:
            out = min(max(round(held * count), 1), count - 1)
            kept[random.choice(np.flatnonzero(answers == index), out, replace=False)] = False
    return kept


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
