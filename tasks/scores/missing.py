"""Three proposed scores of what adaptation will cost the classes without target images.

In holistic transfer the source's head is trained further on images of the seen classes only. Its
effect on the other classes can be estimated from the head, the features of the seen images, and the
features of source images of missing classes that were held out of source training. None of the
three is from a paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from tasks.parameters import Range
from tasks.scores.controls import linear
from tasks.scores.declaration import score
from tasks.scores.inputs import distributions, indices, matrix, one_hot, same_width
from tasks.scores.spectra import squared_norm

Array = NDArray[np.float64]


NEEDED = frozenset({"head", "missing_classes", "shared_classes"})
HELD_TOO = NEEDED | {"source_data", "held_out"}


class Interference(NamedTuple):
    """The result of `missing_interference`."""

    score: float
    change: float
    """The mean change of the margin by a step of rate 1."""
    margin: float
    """The mean absolute margin."""


class Retained(NamedTuple):
    """The result of `missing_retained`."""

    score: float
    start: float
    """The score before the dry run."""
    seen: float
    """The accuracy on the training images after the dry run."""


@score(needs=NEEDED, kind="proposal")
def missing_push(probabilities: ArrayLike, missing_classes: Sequence[int]) -> float:
    """Proposal: minus the mean probability of missing classes on seen images, in [-1, 0].

    Higher is better. A proposal of this project. No image has the label of a missing class m, so
    that the gradient of the cross-entropy w.r.t. its logit is its probability, p_m - 0. The sum
    over m measures how strongly fine-tuning starts to push missing logits down.

    Args:
        probabilities: [N, K] of the source's head on the target's images of seen classes.
        missing_classes: indices of the missing classes among the K.
    """
    inputs = distributions("probabilities", probabilities)
    return -float(inputs[:, _columns(missing_classes, inputs.shape[1])].sum(1).mean())


@score(
    needs=HELD_TOO,
    parts=("missing_interference/change", "missing_interference/margin"),
    kind="proposal",
)
def missing_interference(
    *,
    head: tuple[ArrayLike, ArrayLike],
    features: ArrayLike,
    domain_labels: ArrayLike,
    held_features: ArrayLike,
    held_labels: ArrayLike,
    missing_classes: Sequence[int],
) -> Interference:
    """Proposal: relative change of missing classes' margins by a first step on seen images.

    Higher is better. A proposal of this project. The margin of a source image f' of a missing class
    m is z_m - max over seen k of z_k, with z = W f' + b. One step of rate 1 of the head on the mean
    cross-entropy of the seen images (f_i, y_i) changes its logits by

        dz_k(f') = -(1/N) sum_i (p_ik - [y_i = k]) (f_i . f' + 1),

    and the margin, to first order, by the difference of two of these: the kernel f_i . f' + 1
    carries the effect of seen images over to f'. Features twice as large make a step four times as
    large; so the mean change is divided by the mean of |f_i|^2 + 1, which gives a rate that suits
    the features, and by the mean absolute margin, to be relative.

    Args:
        head: weight [K, d] and bias [K] of the source's head.
        features: [N, d] of the target's images of seen classes.
        domain_labels: [N], their class indices among the K.
        held_features: [H, d] of source images held out of source training.
        held_labels: [H] in 0..K-1; only images of missing classes are used.
        missing_classes: indices of the missing classes.
    """
    weight, bias, inputs = linear(head, features)
    answers = _seen_labels(domain_labels, len(inputs), missing_classes, len(weight))
    held, held_answers = _held_of_missing(held_features, held_labels, missing_classes, weight)
    errors = softmax(inputs @ weight.T + bias, axis=1) - one_hot(answers, len(weight))
    changes = -(held @ (errors.T @ inputs).T + errors.sum(0)) / len(inputs)  # [held, K]
    logits = held @ weight.T + bias
    rows = np.arange(len(held))
    rival = _of_seen(logits, missing_classes).argmax(1)
    margin = float(np.abs(logits[rows, held_answers] - logits[rows, rival]).mean())
    change = float((changes[rows, held_answers] - changes[rows, rival]).mean())
    if not margin:
        raise ValueError(
            "the source's head gives all missing classes' images a margin of 0 over the seen "
            "classes, of which no share can be told; a head like this has not been trained"
        )
    return Interference(change / margin / float((inputs**2).sum(1).mean() + 1), change, margin)


@score(needs=HELD_TOO, parts=("missing_retained/start", "missing_retained/seen"), kind="proposal")
def missing_retained(
    *,
    head: tuple[ArrayLike, ArrayLike],
    features: ArrayLike,
    domain_labels: ArrayLike,
    held_features: ArrayLike,
    held_labels: ArrayLike,
    missing_classes: Sequence[int],
    rate: Annotated[float, Range(1e-6, 1.9)] = 1.0,
    steps: Annotated[int, Range(0, 100_000)] = 50,
    samples: Annotated[int, Range(1, 1_000_000)] = 2000,
    seed: int,
) -> Retained:
    """Proposal: accuracy on missing classes' source images after training the head on seen images.

    Higher is better. A proposal of this project. As a dry run, only the source's head is trained on
    the target's features, by full-batch gradient descent on the mean cross-entropy. The rate is a
    multiple of 1/L, where L is the largest curvature that cross-entropy can have on these features,
    so that the loss falls at every step for any backbone. The score is the accuracy, among all
    classes, on the source's held-out images of missing classes.

    Args:
        head: weight [K, d] and bias [K] of the source's head.
        features: [N, d] of the target's images of seen classes.
        domain_labels: [N], their class indices among the K.
        held_features: [H, d] of source images held out of source training.
        held_labels: [H] in 0..K-1; only images of missing classes are used.
        missing_classes: indices of the missing classes.
        rate: step size in units of 1/L, the inverse of the largest curvature
        steps: steps of gradient descent
        samples: maximum number of images that the head is trained on
        seed: seed of the draw.
    """
    weight, bias, inputs = linear(head, features)
    answers = _seen_labels(domain_labels, len(inputs), missing_classes, len(weight))
    held, held_answers = _held_of_missing(held_features, held_labels, missing_classes, weight)
    if len(inputs) > samples:
        rows = np.sort(np.random.default_rng(seed).choice(len(inputs), samples, replace=False))
        inputs, answers = inputs[rows], answers[rows]
    inputs, held = (
        np.column_stack([matrix_of_features, np.ones(len(matrix_of_features))])
        for matrix_of_features in (inputs, held)
    )
    start = np.column_stack([weight, bias])
    end = _descended(start, inputs, answers, rate, steps=steps)
    return Retained(
        _right(end, held, held_answers),
        _right(start, held, held_answers),
        _right(end, inputs, answers),
    )


def _descended(
    start: Array, features: Array, answers: NDArray[np.int64], rate: float, *, steps: int
) -> Array:
    """The weights [K, d + 1] after gradient descent on the features [N, d + 1]."""
    targets = one_hot(answers, len(start))
    # The Hessian of cross-entropy w.r.t. logits is at most 1/2 I (Boehning, 1992).
    size = rate / (squared_norm(features) / len(features) / 2)
    weights = start
    for _ in range(steps):
        errors = softmax(features @ weights.T, axis=1) - targets
        weights = weights - size / len(features) * (errors.T @ features)
    return weights


def _right(weights: Array, features: Array, answers: NDArray[np.int64]) -> float:
    return float(((features @ weights.T).argmax(1) == answers).mean())


def _columns(missing: Sequence[int], classes: int) -> list[int]:
    """The sorted missing classes, checked to be some but not all of the head's.

    Raises:
        ValueError: no class is missing, all are, or one is not among the head's.
    """
    columns = sorted(set(missing))
    if not columns or len(columns) >= classes or columns[0] < 0 or columns[-1] >= classes:
        raise ValueError(
            f"missing classes must be some of the head's {classes}, but not all, but got "
            f"{list(missing)}"
        )
    return columns


def _of_seen(logits: Array, missing: Sequence[int]) -> Array:
    masked = logits.copy()
    masked[:, _columns(missing, logits.shape[1])] = -np.inf
    return masked


def _seen_labels(
    labels: ArrayLike, rows: int, missing: Sequence[int], classes: int
) -> NDArray[np.int64]:
    checked = indices("labels", labels, rows, classes)
    wrong = np.flatnonzero(np.isin(checked, _columns(missing, classes)))
    if len(wrong):
        raise ValueError(
            "images of missing classes must not be among the target's, but "
            f"row {wrong[0]} is of class {checked[wrong[0]]}"
        )
    return checked


def _held_of_missing(
    features: ArrayLike, labels: ArrayLike, missing: Sequence[int], weight: Array
) -> tuple[Array, NDArray[np.int64]]:
    """Features and labels of the held-out source images of missing classes.

    Raises:
        ValueError: there are none; says how to hold images out.
    """
    answers = indices("held-out labels", labels, len(np.asarray(features)), len(weight))
    rows = np.isin(answers, _columns(missing, len(weight)))
    if not rows.any():
        raise ValueError(
            f"none of the {len(answers)} held-out source images is of a missing class; hold images "
            "out of source training, with source_validation above 0"
        )
    inputs = matrix("held-out features", features)
    same_width(head=weight, held_out_features=inputs)
    return inputs[rows], answers[rows]
