"""Which classes are missing, and which images train, validate and test; the same for every method and backbone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

VALIDATION = 0.1
TEST = 0.3
"""Shares of each class's images, as 7 : 3 in Holistic Transfer; what is left trains."""


@final
@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the target images, by what they are for; train and validation hold seen classes only."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    reference: NDArray[np.intp]
    """The training images of all classes: what nearest class means and oracle training may see."""


def missing_count(classes: int, ratio: float) -> int:
    """How many of the classes are missing: round(ratio * classes), one at least where ratio > 0, and one at least is seen."""
    return min(max(round(ratio * classes), 1 if ratio > 0 else 0), classes - 1)


def canonical_ratio(classes: int, ratio: float) -> float:
    """The one ratio that stands for all those with which equally many classes are missing.

    It is the decimal with the fewest digits that gives the count and lies next to the share, so
    that with ten classes or more 0.1, 0.2, ... 0.9 are themselves; of fewer classes it is the
    share, where two digits write it: 0.25 of four.
    """
    count = missing_count(classes, ratio)
    share = count / classes
    if classes < 10 and round(share, 2) == share:
        return share
    near = (round(share, digits) for digits in range(1, 17))
    return next(ratio for ratio in near if ratio < 1 and missing_count(classes, ratio) == count)


def draw_missing(classes: int, ratio: float, seed: int) -> list[int]:
    """Sorted indices of `missing_count` classes.

    One order of the classes is drawn per seed and cut by the ratio, so that what is missing at 0.3
    is missing at 0.5.
    """
    order = np.random.default_rng(seed).permutation(classes)
    return sorted(int(index) for index in order[: missing_count(classes, ratio)])


def sizes(images: int) -> tuple[int, int]:
    """How many images of a class test and validate; a class of few still trains with one, then tests with one, then validates."""
    tested = min(max(round(TEST * images), 1), max(images - 1, 0))
    return tested, min(max(round(VALIDATION * images), 1), max(images - tested - 1, 0))


def official_sizes(images: int, tested: int) -> tuple[int, int]:
    """How many images of a class test and validate if an official split says how many test.

    Of the others as large a share validates as of those that an unofficial split leaves.
    """
    left = images - tested
    return tested, min(max(round(VALIDATION / (1 - TEST) * left), 1), max(left - 1, 0))


def split(
    labels: NDArray[np.int64],
    missing: Sequence[int],
    seed: int,
    fraction: float = 1.0,
    *,
    official_test: NDArray[np.bool_] | None = None,
) -> Split:
    """The target's split, drawn within each class; of what trains, only a fraction of each class, at least one image.

    The cut of a class does not depend on which classes are missing: test sets of all ratios are the
    same images. What trains at a small fraction trains at a larger one.

    Args:
        labels: of all images of the target, [N].
        missing: the classes without training images.
        seed: which images are drawn.
        fraction: share of each class's training images that is kept.
        official_test: [N], True for the images that test; None if they are drawn.

    Raises:
        ValueError: the official test set marks another number of images, or all of a class.
    """
    if official_test is not None and official_test.shape != labels.shape:
        raise ValueError(
            f"the official test set marks {len(official_test)} images, but there are {len(labels)}"
        )
    rng = np.random.default_rng(seed)
    train, validation, test = [], [], []
    for index in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == index))
        if official_test is not None:
            # Those that test come first, as if they had been drawn.
            own = np.concatenate([own[official_test[own]], own[~official_test[own]]])
            tested, validated = official_sizes(len(own), int(official_test[own].sum()))
            if tested == len(own) > 0:
                raise ValueError(
                    f"all {len(own)} images of class {index} are in the official test set, so that "
                    "none is left to train with"
                )
        else:
            tested, validated = sizes(len(own))
        test.append(own[:tested])
        validation.append(own[tested : tested + validated])
        rest = own[tested + validated :]
        train.append(rest[: _kept(len(rest), fraction)])
    seen = [index for index in range(len(train)) if index not in set(missing)]
    return Split(
        train=_joined(train[index] for index in seen),
        validation=_joined(validation[index] for index in seen),
        test=_joined(test),
        reference=_joined(train),
    )


def trained(images: int, fraction: float = 1.0) -> int:
    """How many images of a class train: of what neither tests nor validates a fraction, at least one."""
    return _kept(images - sum(sizes(images)), fraction)


def _kept(rest: int, fraction: float) -> int:
    """How many of the `rest` that neither tests nor validates train: a fraction, at least one."""
    return max(round(fraction * rest), min(1, rest))


def held_out(images: int, share: float) -> int:
    """How many images of a class are held out: at least one where share > 0, and never the last."""
    return min(max(round(share * images), 1), max(images - 1, 0)) if share else 0


def hold_out(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.intp]:
    """Sorted positions of a share of each class's images, as many as `held_out` says."""
    rng = np.random.default_rng(seed)
    parts = []
    for index in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == index))
        parts.append(own[: held_out(len(own), share)])
    return _joined(parts)


def _joined(parts: Iterable[NDArray[np.intp]]) -> NDArray[np.intp]:
    return np.sort(np.concatenate([np.empty(0, np.intp), *parts]))
