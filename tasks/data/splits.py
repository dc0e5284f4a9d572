"""Missing classes and splits of images, which are the same for all methods and backbones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

VALIDATION = 0.1
TEST = 0.3
"""Shares of each class's images; Holistic Transfer splits 7 : 3. The rest trains."""


@final
@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the target images; training and validation images are of seen classes only."""

    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    test: NDArray[np.intp]
    reference: NDArray[np.intp]
    """The training images of all classes, for nearest class means and oracle training."""


@final
@dataclass(frozen=True, eq=False)
class Order:
    """A random order of the groups of each class, where images are drawn by group."""

    place: NDArray[np.intp]
    """[N], the place of each image's group in the order of its class: 0, 1, 2, ..."""
    groups: NDArray[np.intp]
    """[N], how many groups the image's class has, in all domains together."""

    @property
    def test(self) -> NDArray[np.bool_]:
        """[N], True for the images of groups that test: the first ones of each class."""
        tested: NDArray[np.bool_] = self.place < [sizes(count)[0] for count in self.groups]
        return tested

    def held(self, share: float) -> NDArray[np.bool_]:
        """[N], True for the images of the groups that follow those that test: a share of all.

        At least one group of each class is left, if there is one that does not test.
        """
        tested = np.array([sizes(count)[0] for count in self.groups], dtype=np.intp)
        held = np.array([held_out(count, share) for count in self.groups], dtype=np.intp)
        most = tested + np.minimum(held, np.maximum(self.groups - tested - 1, 0))
        following: NDArray[np.bool_] = (tested <= self.place) & (self.place < most)
        return following


def missing_count(classes: int, ratio: float) -> int:
    """The number of missing classes: round(ratio * classes).

    At least one is missing if ratio > 0, and at least one is seen.
    """
    return min(max(round(ratio * classes), 1 if ratio > 0 else 0), classes - 1)


def canonical_ratio(classes: int, ratio: float) -> float:
    """The canonical one of all ratios with which equally many classes are missing.

    It is the exact share rounded to the fewest digits that still give the count, so that 0.1, 0.2,
    ... 0.9 are canonical for ten classes or more. For fewer classes it is the share itself, if that
    has at most two digits: 0.25 for one of four.
    """
    count = missing_count(classes, ratio)
    share = count / classes
    if classes < 10 and round(share, 2) == share:
        return share
    near = (round(share, digits) for digits in range(1, 17))
    return next(ratio for ratio in near if ratio < 1 and missing_count(classes, ratio) == count)


def draw_missing(classes: int, ratio: float, seed: int) -> list[int]:
    """Sorted indices of `missing_count` classes.

    The seed draws an order of the classes and the ratio cuts it, so that classes that are missing
    at 0.3 are also missing at 0.5.
    """
    order = np.random.default_rng(seed).permutation(classes)
    return sorted(int(index) for index in order[: missing_count(classes, ratio)])


def sizes(images: int) -> tuple[int, int]:
    """The number of test and validation images of a class.

    In small classes the first image trains, the second tests and the third validates.
    """
    tested = min(max(round(TEST * images), 1), max(images - 1, 0))
    return tested, min(max(round(VALIDATION * images), 1), max(images - tested - 1, 0))


def official_sizes(images: int, tested: int) -> tuple[int, int]:
    """The number of test and validation images of a class with an official split.

    Of the remaining images, the same share validates as without an official split.
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
    order: Order | None = None,
) -> Split:
    """The target's split, drawn within each class, with a fraction of the training images.

    The split of a class does not depend on which classes are missing, so that test sets are equal
    for all ratios. Images that train at a small fraction also train at a larger one. At least one
    image of each class trains.

    Args:
        labels: the labels of all images of the target, [N].
        missing: the classes without training images.
        seed: seed of the draw.
        fraction: share of each class's training images to keep.
        official_test: [N], True for test images; None if they are to be drawn.
        order: the order by which groups of images are drawn; None if images are drawn one by one.

    Raises:
        ValueError: the official test set marks another number of images, or all of a class; or all
            images of a class are of groups that test or validate.
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
            # Official test images come first, as if they had been drawn.
            own = np.concatenate([own[official_test[own]], own[~official_test[own]]])
            tested, validated = official_sizes(len(own), int(official_test[own].sum()))
            if tested == len(own) > 0:
                raise ValueError(
                    f"all {len(own)} images of class {index} are in the official test set, so that "
                    "none is left to train with"
                )
        elif order is not None:
            own = own[np.argsort(order.place[own], kind="stable")]
            tested, validated = int(order.test[own].sum()), int(order.held(VALIDATION)[own].sum())
            if tested + validated == len(own) > 0:
                raise ValueError(
                    f"all {len(own)} images of class {index} are of groups that test or validate "
                    "in this repetition, so that none is left to train with; give the class more "
                    "images"
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
    """The number of training images of a class: a fraction of the rest, but at least one."""
    return _kept(images - sum(sizes(images)), fraction)


def _kept(rest: int, fraction: float) -> int:
    """How many train of the `rest` that neither tests nor validates: a fraction, at least one."""
    return max(round(fraction * rest), min(1, rest))


def held_out(images: int, share: float) -> int:
    """The number of held-out images of a class: at least one if share > 0, but never the last."""
    return min(max(round(share * images), 1), max(images - 1, 0)) if share else 0


def hold_out(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.intp]:
    """Sorted positions of a share of each class's images, with the sizes of `held_out`."""
    rng = np.random.default_rng(seed)
    parts = []
    for index in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == index))
        parts.append(own[: held_out(len(own), share)])
    return _joined(parts)


def source_split(
    labels: NDArray[np.int64], share: float, seed: int, order: Order | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sorted positions of the source's images that train, and of a share that is held out.

    Where images are drawn by group, the groups that test or validate in the target do not train.

    Args:
        labels: the labels of all images of the source, [N].
        share: share of each class to hold out.
        seed: seed of the draw of single images.
        order: the order by which groups are drawn, as in the target; None if images are.
    """
    held = hold_out(labels, share, seed) if order is None else np.flatnonzero(order.held(share))
    return trained_rows(len(labels), held, order), held


def trained_rows(
    images: int, held: NDArray[np.intp], order: Order | None = None
) -> NDArray[np.intp]:
    """Sorted positions of the source's images that train, if those at `held` are held out."""
    out = np.zeros(images, bool) if order is None else order.test | order.held(VALIDATION)
    out[held] = True
    return np.flatnonzero(~out)


def _joined(parts: Iterable[NDArray[np.intp]]) -> NDArray[np.intp]:
    return np.sort(np.concatenate([np.empty(0, np.intp), *parts]))
