"""Which classes are missing, and which images train, validate and test; the same for every method and backbone."""

from __future__ import annotations

from collections.abc import Sequence
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


def draw_missing(classes: int, ratio: float, seed: int) -> list[int]:
    """Sorted indices of round(ratio * classes) classes, at least one seen and, where ratio > 0, at least one missing.

    One order of the classes is drawn per seed and cut by the ratio, so that what is missing at 0.3 is missing at 0.5.
    """
    order = np.random.default_rng(seed).permutation(classes)
    count = min(max(round(ratio * classes), 1 if ratio > 0 else 0), classes - 1)
    return sorted(int(index) for index in order[:count])


def split(labels: NDArray[np.int64], missing: Sequence[int], seed: int, fraction: float = 1.0) -> Split:
    """The target's split, drawn within each class; of what trains, only a fraction of each class, at least one image.

    The cut of a class does not depend on which classes are missing: test sets of all ratios are the same images. What
    trains at a small fraction trains at a larger one.
    """
    rng = np.random.default_rng(seed)
    train, validation, test = [], [], []
    for index in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == index))
        # A class of few images still trains with one, then tests with one, then validates.
        tested = min(max(round(TEST * len(own)), 1), max(len(own) - 1, 0))
        validated = min(max(round(VALIDATION * len(own)), 1), max(len(own) - tested - 1, 0))
        test.append(own[:tested])
        validation.append(own[tested:tested + validated])
        rest = own[tested + validated:]
        train.append(rest[:max(round(fraction * len(rest)), min(1, len(rest)))])
    seen = [index for index in range(len(train)) if index not in set(missing)]
    return Split(
        train=_joined(train[index] for index in seen), validation=_joined(validation[index] for index in seen),
        test=_joined(test), reference=_joined(train),
    )


def hold_out(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.intp]:
    """Sorted positions of a share of each class's images: at least one where share > 0, and never a class's last."""
    rng = np.random.default_rng(seed)
    parts = []
    for index in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == index))
        parts.append(own[:min(max(round(share * len(own)), 1), max(len(own) - 1, 0)) if share else 0])
    return _joined(parts)


def _joined(parts) -> NDArray[np.intp]:
    return np.sort(np.concatenate([np.empty(0, np.intp), *parts]))
