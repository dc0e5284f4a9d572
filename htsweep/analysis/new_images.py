"""Tests of whether a mean difference would also be there for new images of the same kind.

Repetitions draw other missing classes and other seeds, but test images of one pool. Where it is
known what each image adds to each difference, the two are told apart (`crossed`): what repetitions
share is only what their images share. Where it is not, all spread between repetitions has to count
as if it came from the images (`resampled`), which is far stricter than need be where most of it
comes from which classes are missing. benchmarks/level.py measures how often each is wrong, and how
often it finds what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from htsweep.analysis.interval import LEVEL

CROSSED, RESAMPLED = "crossed", "resampled"
"""What the tests are called in tables."""


@final
@dataclass(frozen=True)
class Spread:
    """How much other images would change a mean difference."""

    variance: float
    """Of the mean, in the difference's unit squared."""
    images: int
    """How many images, or groups of images, were tested."""


@final
@dataclass(frozen=True, eq=False)
class Contributions:
    """What the test images of one trial add to its numbers."""

    images: NDArray[np.int64]
    """[N], places of the images in `Images.count`; images of one group have one place."""
    added: Mapping[str, NDArray[np.float64]]
    """Metric -> [N], how much each image moves the trial's number; sums to 0."""


@final
@dataclass(frozen=True, eq=False)
class Images:
    """The images of all pools, and what they add to the numbers of the trials that tested them."""

    trials: Mapping[tuple[str, int], Contributions]
    """(sweep, repetition) -> its images; not all trials need to be there."""
    count: int
    """How many images or groups there are."""

    def total(
        self, terms: Iterable[tuple[float, str, int]], metric: str
    ) -> NDArray[np.float64] | None:
        """What each image adds to a weighted sum of trials' numbers, [count].

        None where it is not known for a trial.

        Args:
            terms: weight, sweep and repetition of each trial.
            metric: whose numbers are summed.
        """
        places, added = [], []
        for weight, sweep, repetition in terms:
            own = self.trials.get((sweep, repetition))
            if own is None or metric not in own.added:
                return None
            places.append(own.images)
            added.append(weight * own.added[metric])
        if not places:
            return None
        every = np.bincount(np.concatenate(places), np.concatenate(added), self.count)
        return every.astype(np.float64)

    def tested(self, trials: Iterable[tuple[str, int]]) -> int:
        """How many images or groups some trials tested together."""
        known = [self.trials[trial].images for trial in trials if trial in self.trials]
        return len(np.unique(np.concatenate(known))) if known else 0


def spread_of(total: NDArray[np.float64] | None, repetitions: int, images: int) -> Spread | None:
    """The spread over images of a mean difference; None where it is not known.

    Images are independent draws, so that the variance of a mean over repetitions is the sum of the
    squares of what each adds to it. It holds what an image does in every repetition, and once more
    what it did in a single one, which the spread between repetitions holds already. That makes the
    test a little too strict where repetitions are few, and leaves room for what it cannot see:
    that repetitions share training images too (benchmarks/README.md).

    Args:
        total: what each image adds to the sum of the differences over repetitions.
        repetitions: how many differences there are.
        images: how many images or groups were tested.
    """
    if total is None or repetitions < 1 or images < 2:
        return None
    variance = float(total @ total) / repetitions**2 * images / (images - 1)
    return Spread(variance, images)


def judged(
    differences: np.ndarray, spread: Spread | None, tested: float, level: float = LEVEL
) -> dict[str, Any] | None:
    """What can be said about new images; None: nothing.

    `test` (`crossed` where the spread over images is known, else `resampled` where the tested share
    is), its two-sided `p`, and the ends `low` and `high` of its interval.
    """
    for name, error in (
        (CROSSED, _crossed(differences, spread)),
        (RESAMPLED, _resampled(differences, tested)),
    ):
        if error is not None:
            low, high = error.interval(level)
            return {"test": name, "p": error.p, "low": low, "high": high}
    return None


def crossed(differences: np.ndarray, spread: Spread) -> float:
    """The two-sided p of the t test with repetitions and images as two crossed random factors.

    The variance of the mean is that between repetitions plus that over images (Owen, Annals of
    Applied Statistics 2007, whose pigeonhole bootstrap has this expectation); t is compared with
    Student's distribution of Satterthwaite's degrees of freedom (Biometrics Bulletin 1946). The
    question is about new images, missing classes and seeds; the classes and the source model stay.
    NaN for fewer than two differences.

    Args:
        differences: one per repetition; NaNs do not count.
        spread: of their mean over images.
    """
    error = _crossed(differences, spread)
    return float("nan") if error is None else error.p


def crossed_interval(
    differences: np.ndarray, spread: Spread, level: float = LEVEL
) -> tuple[float, float]:
    """Ends of the mean's interval that belongs to `crossed`; NaNs where that gives NaN."""
    error = _crossed(differences, spread)
    return (float("nan"), float("nan")) if error is None else error.interval(level)


def resampled(differences: np.ndarray, tested: float) -> float:
    """The two-sided p of the corrected resampled t test (Nadeau and Bengio, Machine Learning 2003).

    Repetitions that draw their test images from one pool overlap, so that the variance of their
    mean is about (1/n + tested / (1 - tested)) times that of one, not 1/n: t is compared with
    Student's distribution of n - 1 degrees of freedom. The question is about new images of the same
    kind. NaN for fewer than two differences, and unless the share is above 0 and below 1.

    Args:
        differences: one per repetition; NaNs do not count.
        tested: the share of the pool that a repetition tests.
    """
    error = _resampled(differences, tested)
    return float("nan") if error is None else error.p


def resampled_interval(
    differences: np.ndarray, tested: float, level: float = LEVEL
) -> tuple[float, float]:
    """Ends of the mean's interval that belongs to `resampled`: it leaves out 0 if p < 1 - level.

    NaNs where `resampled` gives NaN.
    """
    error = _resampled(differences, tested)
    return (float("nan"), float("nan")) if error is None else error.interval(level)


@final
@dataclass(frozen=True)
class _Error:
    """A mean with its standard error and the degrees of freedom of that."""

    mean: float
    error: float
    freedom: float

    @property
    def p(self) -> float:
        """The two-sided p of the t test that the true mean is 0."""
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        from scipy import special  # a tenth of the seconds that scipy.stats takes to import

        return float(2 * special.stdtr(self.freedom, -abs(self.mean) / self.error))

    def interval(self, level: float) -> tuple[float, float]:
        """The ends of the mean's interval by Student's t."""
        from scipy import special

        reach = float(special.stdtrit(self.freedom, (1 + level) / 2)) * self.error
        return self.mean - reach, self.mean + reach


def _crossed(differences: np.ndarray, spread: Spread | None) -> _Error | None:
    known = _known(differences)
    if spread is None or known is None:
        return None
    between, count = float(known.var(ddof=1)) / len(known), len(known)
    variance = between + spread.variance
    uncertain = between**2 / (count - 1) + spread.variance**2 / (spread.images - 1)
    freedom = variance**2 / uncertain if uncertain > 0 else count - 1.0
    return _Error(float(known.mean()), float(np.sqrt(variance)), freedom)


def _resampled(differences: np.ndarray, tested: float) -> _Error | None:
    known = _known(differences)
    if known is None or not 0 < tested < 1:
        return None
    variance = (1 / len(known) + tested / (1 - tested)) * float(known.var(ddof=1))
    return _Error(float(known.mean()), float(np.sqrt(variance)), len(known) - 1.0)


def _known(differences: np.ndarray) -> np.ndarray | None:
    """The differences that are there; None where there is no test."""
    known = np.asarray(differences, float)
    known = known[~np.isnan(known)]
    return known if len(known) > 1 and np.isfinite(known).all() else None
