"""Metrics of kept outputs: each maps a model's outputs on a split to a number or named numbers.

A study lists them under `metrics`: those in `METRICS` by name, your own as `module:function`. The
number goes to the column `SPLIT/NAME`, named numbers to `SPLIT/NAME_KEY`. NaN means that the metric
is not defined on the split, and leaves the column out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from tasks import metrics
from tasks.outputs import VALIDATION, Outputs

Metric = Callable[..., "float | Mapping[str, float]"]
"""Of the outputs on a split; a calibration takes those on all splits of the step too."""
BINS = 15
"""Equal-width bins, as in Guo et al. (On Calibration of Modern Neural Networks, ICML 2017)."""


def per_class_accuracy(outputs: Outputs) -> Mapping[str, float]:
    """The accuracy of each class by index: the share of its images that are predicted correctly."""
    right = _predicted(outputs) == outputs.labels
    return {
        str(index): float(right[outputs.labels == index].mean())
        for index in np.unique(outputs.labels)
    }


def worst_class(outputs: Outputs) -> float:
    """The lowest per-class accuracy, over the classes with an image in the split."""
    return min(per_class_accuracy(outputs).values(), default=math.nan)


def ece(outputs: Outputs) -> float:
    """The expected calibration error: size-weighted mean |accuracy - confidence| over 15 bins."""
    if not len(outputs.labels):
        return math.nan
    return _calibration_error(probabilities(outputs.logits), outputs.labels)


def top5(outputs: Outputs) -> float:
    """The share of images whose label is among the five largest logits; NaN for up to five classes.

    Among equal logits the lower class index comes first, as in the accuracies.
    """
    if not len(outputs.labels) or outputs.logits.shape[1] <= 5:
        return math.nan
    own = outputs.logits[np.arange(len(outputs.labels)), outputs.labels][:, None]
    before = np.arange(outputs.logits.shape[1]) < outputs.labels[:, None]
    ranks = ((outputs.logits > own) | ((outputs.logits == own) & before)).sum(1)
    return float((ranks < 5).mean())


def auroc(outputs: Outputs) -> float:
    """Area under the ROC curve of confidence, as a detector of seen against missing classes.

    The score is the maximum softmax probability (Hendrycks and Gimpel, ICLR 2017); 1 means that
    every seen image has a higher one than every missing image, 0.5 is chance. NaN if either group
    has no image.
    """
    seen = ~np.isin(outputs.labels, outputs.missing)
    if seen.all() or not seen.any():
        return math.nan
    from sklearn.metrics import roc_auc_score

    # The largest probability is 1 / (1 + rest), so that -rest ranks images the same way, without
    # ties among nearly certain ones. Summing in sorted order keeps equal rests equal.
    logits = np.sort(outputs.logits.astype(np.float64), axis=1)
    rest = np.exp(logits[:, :-1] - logits[:, -1:]).sum(1)
    return float(roc_auc_score(seen, -rest))


def average_logit_gap(outputs: Outputs, others: Mapping[str, Outputs]) -> Mapping[str, float]:
    """The accuracies after calibration by the average logit gap (Mai et al., NeurIPS 2024).

    `gamma` is added to the logits of missing classes. It is the mean logit of seen classes other
    than the true one, minus that of missing classes, on validation images. Empty if there are no
    validation images or no missing classes.
    """
    if VALIDATION not in others:
        return {}
    held = others[VALIDATION]
    gamma = metrics.average_logit_gap(held.logits, held.labels, held.missing, held.others)
    if not np.isfinite(gamma):
        return {}
    after = metrics.calibrated(outputs.logits, gamma, outputs.missing)
    reached = metrics.accuracies(after, outputs.labels, outputs.missing, outputs.others)
    names = (*metrics.MAIN, "harmonic_mean")
    return {"gamma": gamma, **{name: reached[name] for name in names if name in reached}}


def temperature(outputs: Outputs, others: Mapping[str, Outputs]) -> Mapping[str, float]:
    """The loss and the calibration error after dividing the logits by the best temperature `t`.

    `t` is between 1/100 and 100 and minimises the cross-entropy on validation images (Guo et al.,
    On Calibration of Modern Neural Networks, ICML 2017). Empty if there are none, or
    if the split has no image.
    """
    if VALIDATION not in others or not len(outputs.labels):
        return {}
    from scipy.optimize import minimize_scalar

    held = others[VALIDATION]
    best = minimize_scalar(
        lambda power: _cross_entropy(held.logits / np.exp(power), held.labels),
        bounds=(-np.log(100), np.log(100)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    t = float(np.exp(best.x))
    scaled = outputs.logits.astype(np.float64) / t
    return {
        "t": t,
        "loss": _cross_entropy(scaled, outputs.labels),
        "ece": _calibration_error(probabilities(scaled), outputs.labels),
    }


METRICS: Mapping[str, Metric] = {
    metric.__name__: metric
    for metric in (
        per_class_accuracy,
        worst_class,
        ece,
        top5,
        auroc,
        average_logit_gap,
        temperature,
    )
}
"""The metrics that come with htsweep, by name."""


def probabilities(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """The softmax of logits [N, C]."""
    raised = logits.astype(np.float64)
    raised = np.exp(raised - raised.max(1, keepdims=True))
    quotient: NDArray[np.float64] = raised / raised.sum(1, keepdims=True)
    return quotient


def _calibration_error(chances: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    confidence = chances.max(1)
    right = chances.argmax(1) == labels
    # Bins are open on the left: (0, 1/15], ..., (14/15, 1].
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, right - confidence, BINS)
    return float(np.abs(gaps).sum() / len(right))


def _cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    raised = logits.astype(np.float64)
    raised = raised - raised.max(1, keepdims=True)
    own = raised[np.arange(len(labels)), labels]
    return float((np.log(np.exp(raised).sum(1)) - own).mean())


def _predicted(outputs: Outputs) -> NDArray[np.intp]:
    predicted: NDArray[np.intp] = outputs.logits.argmax(1)
    return predicted
