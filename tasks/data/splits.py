"""Missing classes and splits of images, which are the same for all methods and backbones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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
class Marks:
    """Which images of a target test and which validate, where that is not drawn within classes."""

    test: NDArray[np.bool_]
    """[N]"""
    validation: NDArray[np.bool_] | None = None
    """[N]; None: to be drawn from the images that do not test."""
    order: Order | None = None
    """By which groups of images are drawn, if they are; of no class may all be marked then."""

    @classmethod
    def by(cls, order: Order) -> Marks:
        """The first groups of an order test, and those that follow validate."""
        return cls(order.test, order.held(VALIDATION), order)

    def places(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """0 for the rows that test, 1 for those that are marked to validate, 2 for others."""
        validates = False if self.validation is None else self.validation[rows]
        return np.where(self.test[rows], 0, np.where(validates, 1, 2))


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


def draw_missing(
    classes: int, ratio: float, seed: int, present: Collection[int] | None = None
) -> list[int]:
    """Sorted indices of `missing_count` of the classes that are present, and of all others.

    The seed draws an order of the classes and the ratio cuts it, so that classes that are missing
    at 0.3 are also missing at 0.5.

    Args:
        classes: the number of classes of the label space.
        ratio: the share of the present classes that is missing.
        seed: seed of the draw.
        present: the classes that have training images; None: all.
    """
    order = [int(index) for index in np.random.default_rng(seed).permutation(classes)]
    drawn = [index for index in order if present is None or index in present]
    absent = [index for index in order if present is not None and index not in present]
    return sorted(drawn[: missing_count(len(drawn), ratio) if drawn else 0] + absent)


def sizes(images: int, test: float = TEST, validation: float = VALIDATION) -> tuple[int, int]:
    """The number of test and validation images of a class, for these shares of its images.

    In small classes the first image trains, the second tests and the third validates. A share of 0
    takes none.
    """
    tested = min(max(round(test * images), 1), max(images - 1, 0)) if test else 0
    return tested, _validating(round(validation * images), images - tested, validation)


def official_sizes(
    images: int, tested: int, test: float = TEST, validation: float = VALIDATION
) -> tuple[int, int]:
    """The number of test and validation images of a class with an official split.

    Of the remaining images, the same share validates as without an official split.
    """
    left = images - tested
    return tested, _validating(round(validation / (1 - test) * left), left, validation)


def _validating(wanted: int, left: int, share: float) -> int:
    """At least one image validates if the share is above 0, and at least one is left to train."""
    return min(max(wanted, 1), max(left - 1, 0)) if share else 0


def split(
    labels: NDArray[np.int64],
    missing: Sequence[int],
    seed: int,
    fraction: float = 1.0,
    *,
    marks: Marks | None = None,
    shares: tuple[float, float] = (TEST, VALIDATION),
) -> Split:
    """The target's split, drawn within each class, with a fraction of the training images.

    The split of a class does not depend on which classes are missing, so that test sets are equal
    for all ratios. Images that train at a small fraction also train at a larger one. At least one
    image of each class trains, unless `marks` leaves none.

    Args:
        labels: the labels of all images of the target, [N]; a negative one is in no part.
        missing: the classes without training images.
        seed: seed of the draw.
        fraction: share of each class's training images to keep.
        marks: which images test and which validate; None if they are to be drawn.
        shares: the shares of each class's images that test and that validate, if drawn.

    Raises:
        ValueError: the marks are of another number of images; or all images of a class are of
            groups that test or validate.
    """
    if marks is not None and marks.test.shape != labels.shape:
        raise ValueError(
            f"the official test set marks {len(marks.test)} images, but there are {len(labels)}"
        )
    rng = np.random.default_rng(seed)
    train, validation, test = [], [], []
    for index in range(int(labels.max()) + 1):
        own = rng.permutation(np.flatnonzero(labels == index))
        if marks is None:
            tested, validated = sizes(len(own), *shares)
        else:
            # Marked images come first, as if they had been drawn.
            place = marks.places(own)
            own = own[np.argsort(place, kind="stable")]
            tested, validated = official_sizes(len(own), int((place == 0).sum()), *shares)
            if marks.validation is not None:
                validated = int((place == 1).sum())
            if marks.order is not None:
                own = own[np.argsort(marks.order.place[own], kind="stable")]
                if tested + validated == len(own) > 0:
                    raise ValueError(
                        f"all {len(own)} images of class {index} are of groups that test or "
                        "validate in this repetition, so that none is left to train with; give "
                        "the class more images"
                    )
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
    labels: NDArray[np.int64],
    share: float,
    seed: int,
    test: NDArray[np.bool_] | None = None,
    order: Order | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sorted positions of the source's images that train, and of a share that is held out.

    Where images are drawn by group, the groups that test or validate in the target do not train.

    Args:
        labels: the labels of all images of the source, [N].
        share: share of each class to hold out.
        seed: seed of the draw of single images.
        test: [N], True for images of an official test set, which are in neither; None: no such set.
        order: the order by which groups are drawn, as in the target; None if images are.
    """
    if order is not None:
        held = np.flatnonzero(order.held(share))
    else:
        held = hold_out(labels if test is None else np.where(test, -1, labels), share, seed)
    return trained_rows(len(labels), held, test, order), held


def trained_rows(
    images: int,
    held: NDArray[np.intp],
    test: NDArray[np.bool_] | None = None,
    order: Order | None = None,
) -> NDArray[np.intp]:
    """Sorted positions of the source's images that train, if those at `held` are held out."""
    out = np.zeros(images, bool) if test is None else test.copy()
    if order is not None:
        out |= order.test | order.held(VALIDATION)
    out[held] = True
    return np.flatnonzero(~out)


def _joined(parts: Iterable[NDArray[np.intp]]) -> NDArray[np.intp]:
    return np.sort(np.concatenate([np.empty(0, np.intp), *parts]))
