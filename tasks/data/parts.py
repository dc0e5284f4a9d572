"""Which images of a target train, validate and test, and the classes that each part has.

A target's split is official, drawn within each class, by whole groups (writers, locations), or by
time. Its label space is the source's where the source's classifier is kept: a class of the target
that the source lacks cannot be learnt, and one that the target has no training image of is missing
by nature.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from tasks.data import contents, registry, splits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OFFICIAL, RANDOM, GROUP, TIME, DISJOINT = "", "random", "group", "time", "disjoint"
SPLITS = {
    OFFICIAL: "the official split where there is one, otherwise drawn within each class",
    RANDOM: "drawn within each class, even where there is an official split",
    GROUP: "whole groups, such as writers or locations, test and validate",
    TIME: "the newest images test, and of the others the newest validate",
    DISJOINT: "each repetition tests images that no other repetition tests",
}
TRAIN, VALIDATION, TEST = "train", "validation", "test"
UNKNOWN_CLASSES = "unknown_classes"
_DISJOINT_SEED = zlib.crc32(b"disjoint")


@final
@dataclass(frozen=True)
class Part:
    """How many images of a class train, validate and test."""

    trained: int
    validated: int
    tested: int


@final
@dataclass(frozen=True)
class Way:
    """How a target is divided."""

    split: str = OFFICIAL
    test: float = splits.TEST
    validation: float = splits.VALIDATION

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Way:
        """The way that a config names by `split`, `test_share` and `validation_share`."""
        return cls(
            config.get("split", OFFICIAL),
            config.get("test_share", splits.TEST),
            config.get("validation_share", splits.VALIDATION),
        )

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of images that test and that validate, where they are drawn."""
        return self.test, self.validation

    @property
    def repetitions(self) -> int | None:
        """How many repetitions have test images of their own; None: as many as are wanted."""
        return math.floor(1 / self.test + 1e-9) if self.split == DISJOINT else None


USUAL = Way()


def marks(domain: str, way: Way, seed: int) -> splits.Marks | None:
    """Which images of a domain test and validate; None if that is drawn within each class.

    Raises:
        ValueError: the domain does not know the group or the time of its images, or draws them by
            group where disjoint parts are asked for.
    """
    found = registry.find(domain)
    rows = found.rows()
    if way.split in (GROUP, TIME):
        known = None if rows is None else rows.group if way.split == GROUP else rows.time
        if known is None:
            raise ValueError(
                f"`split: {way.split}` takes the {way.split} of each image, which "
                f"'{domain.rpartition(':')[2]}' does not tell; leave `split` out, or give a "
                "metadata.csv with such a column (docs/datasets.md)"
            )
        if len(set(known.tolist())) < 2:
            raise ValueError(
                f"`split: {way.split}` needs images of several {way.split}s, but all of "
                f"'{domain.rpartition(':')[2]}' are of one; leave `split` out"
            )
        return _by_group(known, way, seed) if way.split == GROUP else _by_time(known, way)
    if way.split == DISJOINT:
        if found.order(seed) is not None:
            raise ValueError(
                f"images of '{domain.rpartition(':')[2]}' are drawn by group (groups.json), so "
                "that `split: disjoint` cannot divide them; leave `split` out"
            )
        return None
    if way.split == OFFICIAL and rows is not None and rows.split is not None:
        test, validation = rows.split == TEST, rows.split == VALIDATION
        return splits.Marks(test, validation if validation.any() else None)
    test = found.official_test() if way.split == OFFICIAL else None
    if test is not None:
        return splits.Marks(test)
    order = found.order(seed)
    if order is None:
        return None
    if way.shares != USUAL.shares:
        raise ValueError(
            f"images of '{domain.rpartition(':')[2]}' are drawn by group (groups.json), for which "
            f"test_share is {splits.TEST:g} and validation_share {splits.VALIDATION:g}, since "
            "source training leaves these groups out; leave them at that"
        )
    return splits.Marks.by(order)


def disjoint(labels: NDArray[np.int64], way: Way, repetition: int) -> splits.Marks:
    """A repetition's part of the images of each class tests; the parts are the same in all.

    Over all repetitions that `way` has parts for, each image tests once. A class of one image never
    tests.

    Raises:
        ValueError: the repetition has no part of its own.
    """
    import numpy as np

    count = way.repetitions or 1
    if repetition >= count:
        raise ValueError(
            f"repetition {repetition} has no test images of its own: a test_share of {way.test:g} "
            f"makes {count} disjoint parts"
        )
    test = np.zeros(len(labels), bool)
    for index in range(int(labels.max()) + 1):
        order = np.random.default_rng([_DISJOINT_SEED, index]).permutation(
            np.flatnonzero(labels == index)
        )
        if len(order) > 1:
            # Turned by the class, so that the larger parts are not all of one repetition.
            test[np.array_split(order, count)[(repetition + index) % count]] = True
    return splits.Marks(test)


def labels_in(
    space: Sequence[str], own: Sequence[str], labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The labels of a domain's images as places in a label space; -1 for classes not in it.

    Args:
        space: the label space.
        own: the domain's own classes.
        labels: the places of the images' classes among the domain's own, [N].
    """
    import numpy as np

    if tuple(space) == tuple(own):
        return labels
    place = {name: index for index, name in enumerate(space)}
    return np.array([place.get(name, -1) for name in own], np.int64)[labels]


def unknown(space: Sequence[str], own: Sequence[str]) -> list[str]:
    """The domain's classes that are not in the label space."""
    known = set(space)
    return [name for name in own if name not in known]


@contents.for_a_moment
def sizes(domain: str, way: Way) -> Mapping[str, Part]:
    """How many images of each of the domain's own classes are in each part.

    Empty if that is not known before images are loaded or before groups are drawn, or if each class
    has so many that nothing depends on it.
    """
    import numpy as np

    found = registry.find(domain)
    rows = found.rows()
    if way.split == GROUP:
        return {}
    if rows is None:
        return {
            name: Part(count - tested - validated, validated, tested)
            for name, count in found.counts().items()
            for tested, validated in [splits.sizes(count, *way.shares)]
        }
    drawn = splits.split(rows.labels, (), 0, marks=marks(domain, way, 0), shares=way.shares)
    counted = [
        np.bincount(rows.labels[part], minlength=len(found.classes)).tolist()
        for part in (drawn.train, drawn.validation, drawn.test)
    ]
    return {name: Part(*of) for name, *of in zip(found.classes, *counted, strict=True)}


def tested_share(domain: str, way: Way) -> float:
    """The share of the images that a repetition tests, drawn anew; 1 if all test the same."""
    if way.split == GROUP:
        return way.test
    if way.split == TIME or (way.split == OFFICIAL and _is_official(domain)):
        return 1.0
    parts = sizes(domain, way).values()
    whole = sum(part.trained + part.validated + part.tested for part in parts)
    return sum(part.tested for part in parts) / whole if whole else way.test


def absent(domain: str, way: Way, space: Sequence[str]) -> list[str] | None:
    """The classes of a label space that the domain has no training image of; None: not known."""
    parts = sizes(domain, way)
    if parts:
        return [name for name in space if name not in parts or not parts[name].trained]
    if way.split == GROUP:
        return None
    own = set(registry.find(domain).classes)
    return [name for name in space if name not in own]


@contents.for_a_moment
def _is_official(domain: str) -> bool:
    found = registry.find(domain)
    rows = found.rows()
    return (rows is not None and rows.split is not None) or found.official_test() is not None


def _by_group(group: NDArray[Any], way: Way, seed: int) -> splits.Marks:
    """Whole groups, in an order drawn from the seed, test and then validate.

    A part ends with the group that reaches its share of the images; at least one group trains.
    """
    import numpy as np

    names, places, counts = np.unique(group, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    # The images before each group, in the drawn order.
    before = np.concatenate([[0], np.cumsum(counts[order])[:-1]])
    tests = before < way.test * len(group)
    validates = ~tests & (before < (way.test + way.validation) * len(group))
    last = np.arange(len(names)) == len(names) - 1
    of_test, of_validation = (np.zeros(len(names), bool) for _ in range(2))
    of_test[order], of_validation[order] = tests & ~last, validates & ~last
    return splits.Marks(of_test[places], of_validation[places])


def _by_time(time: NDArray[np.float64], way: Way) -> splits.Marks:
    """The newest images test, the newest of the others validate; equal times stay together.

    The oldest images train: a part that would reach them ends before.
    """
    import numpy as np

    at, places, counts = np.unique(time, return_inverse=True, return_counts=True)
    newer = len(time) - np.cumsum(counts)
    oldest = np.arange(len(at)) == 0
    tests = (newer < way.test * len(time)) & ~oldest
    validates = ~tests & (newer < (way.test + way.validation) * len(time)) & ~oldest
    return splits.Marks(tests[places], validates[places])
