"""Which images a trial tests, and what each of them adds to the trial's numbers; numpy only.

Both are known without running anything: the split follows from names, and what each image adds from
the kept logits. With them a report tells what new images would change from what other classes would
(htsweep/analysis/new_images.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import data, metrics, problem
from tasks.data import parts, registry, splits
from tasks.data.parts import Way
from tasks.outputs import Outputs, name_of
from tasks.task import ImagesTested

Array = NDArray[np.float64]


def divided(
    config: Mapping[str, Any],
    domain: str,
    labels: NDArray[np.int64],
    *,
    repetition: int,
    seed: Callable[..., int],
    missing: Sequence[int] = (),
) -> splits.Split:
    """The split of a repetition, for these missing classes; what tests is the same for all.

    Args:
        config: a resolved config.
        domain: the name of the target domain.
        labels: the labels of all its images, places in the label space, [N]; -1: in no part.
        repetition: its number.
        seed: from names to the repetition's seed.
        missing: the classes without training images.
    """
    way = Way.of(config)
    if way.split == parts.DISJOINT:
        marks: splits.Marks | None = parts.disjoint(labels, way, repetition)
    else:
        marks = parts.marks(domain, way, seed("split"))
    return splits.split(
        labels,
        missing,
        seed("split"),
        config.get("fraction", 1.0),
        marks=marks,
        shares=way.shares,
    )


def tested(
    config: Mapping[str, Any], repetition: int, seed: Callable[..., int]
) -> ImagesTested | None:
    """The test images of a repetition, by what is independent of each other in their pool.

    That is the image, or the group (emoji, writer, location) where whole groups are drawn. None
    where the labels are not known without decoding, and where no two repetitions test the same
    images.

    Args:
        config: a resolved config.
        repetition: its number.
        seed: from names to the repetition's seed.
    """
    domain, way = problem.target(config), Way.of(config)
    found = registry.find(domain)
    own = found.labels()
    if own is None or way.split == parts.DISJOINT:
        return None
    labels = parts.labels_in(problem.space(config), found.classes, own)
    rows = divided(config, domain, labels, repetition=repetition, seed=seed).test
    return ImagesTested(
        name_of(data.identity(domain), labels, rows), _units(domain, way, labels)[rows]
    )


def _units(domain: str, way: Way, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number per image, equal for those of a group if groups are drawn, [N]."""
    found = registry.find(domain)
    rows = found.rows()
    if way.split == parts.GROUP and rows is not None and rows.group is not None:
        return np.unique(rows.group, return_inverse=True)[1].astype(np.int64)
    # Of one seed the place of a group in its class names the group.
    order = found.order(0)
    if order is not None:
        both = np.stack([labels, order.place.astype(np.int64)])
        return np.unique(both, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return np.arange(len(labels))


def influence(outputs: Outputs) -> dict[str, Array]:
    """Test column -> how much each image moves it, [N], in the column's unit times N; sum 0.

    The number that other images of the same kind would give differs, to first order, by the mean of
    these over the other images (the influence function: Hampel, JASA 1974). For an accuracy it is
    the image's 0 or 1 minus the accuracy; for the harmonic mean it follows from its derivatives;
    for AUSUC, the mean over pairs of a seen and a missing image, it is each image's mean over its
    pairs (DeLong, DeLong and Clarke-Pearson, Biometrics 1988).
    """
    scores, labels = outputs.logits.astype(np.float64), outputs.labels
    if not len(labels):
        return {}
    right = (scores.argmax(1) == labels).astype(float)
    everything = np.ones(len(labels), bool)
    moved = {
        "test/overall_accuracy": _of_mean(right, everything),
        "test/loss": _of_mean(_losses(scores, labels), everything),
    }
    if not outputs.missing:
        classes = [_of_mean(right, labels == index) for index in np.unique(labels)]
        return moved | {"test/class_accuracy": np.mean(classes, axis=0)}
    is_missing = np.isin(np.arange(scores.shape[1]), outputs.missing)
    of_missing = is_missing[labels]
    if of_missing.all() or not of_missing.any():
        return moved
    for name, rows, columns in (
        ("seen", ~of_missing, ~is_missing),
        ("missing", of_missing, is_missing),
    ):
        within = np.where(columns, scores, -np.inf).argmax(1) == labels
        moved[f"test/{name}_accuracy"] = _of_mean(right, rows)
        moved[f"test/{name}_within_accuracy"] = _of_mean(within.astype(float), rows)
    seen, missing = float(right[~of_missing].mean()), float(right[of_missing].mean())
    both = (seen + missing) ** 2 or 1.0
    moved["test/harmonic_mean"] = (
        2 * missing**2 / both * moved["test/seen_accuracy"]
        + 2 * seen**2 / both * moved["test/missing_accuracy"]
    )
    moved["test/ausuc"] = _of_area(scores, labels, is_missing)
    return moved


def _of_mean(values: Array, rows: NDArray[np.bool_]) -> Array:
    """The influence of each image on the mean of `values` over `rows`; 0 for others."""
    centred = np.where(rows, values - values[rows].mean(), 0.0)
    moved: Array = centred * (len(values) / rows.sum())
    return moved


def _losses(scores: Array, labels: NDArray[np.int64]) -> Array:
    top = scores.max(1)
    whole = np.log(np.exp(scores - top[:, None]).sum(1)) + top
    losses: Array = whole - scores[np.arange(len(labels)), labels]
    return losses


def _of_area(scores: Array, labels: NDArray[np.int64], is_missing: NDArray[np.bool_]) -> Array:
    """The influence of each image on AUSUC.

    AUSUC is the share of pairs of a seen and a missing image that some constant sets both right:
    the seen image's gap (`metrics.curve`) must be the larger one; of the pairs of equal gaps half
    count.
    """
    gap, right = metrics.gaps(scores, labels, is_missing)
    of_missing = is_missing[labels]
    moved = np.zeros(len(labels))
    for own, others, sign in ((~of_missing, of_missing, 1), (of_missing, ~of_missing, -1)):
        theirs = np.sort(sign * gap[others & right])
        mine = sign * gap[own]
        below = np.searchsorted(theirs, mine, "left") + np.searchsorted(theirs, mine, "right")
        pairs = right[own] * below / (2 * others.sum())
        moved[own] = (pairs - pairs.mean()) * (len(labels) / own.sum())
    return moved
