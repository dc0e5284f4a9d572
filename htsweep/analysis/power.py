"""What a paired test can tell from so many repetitions: the exact sign-flip test, two-sided."""

from __future__ import annotations

import math


def least_p(repetitions: int) -> float:
    """The smallest p that the test can reach: all differences of one sign, 2 of the 2^n sign patterns.

    From 1,076 repetitions on it is too small for a float, and comes out as 0.

    Raises:
        ValueError: fewer than 0 repetitions.
    """
    if repetitions < 0:
        msg = f"`repetitions >= 0` must hold, but got {repetitions}"
        raise ValueError(msg)
    # 2^n itself is more than a float holds from 1,024 repetitions on.
    return 1.0 if repetitions == 0 else math.ldexp(1.0, 1 - repetitions)


def repetitions_needed(alpha: float = 0.05, comparisons: int = 1) -> int:
    """The fewest repetitions with which the test can come out at p < alpha: 6 for 0.05.

    Holm's correction multiplies the smallest p of a family by its size, so that a family of `comparisons` needs more: 10
    for 18 methods against a baseline.

    Raises:
        ValueError: alpha is not in (0, 1], or there are fewer than 1 comparisons.
    """
    if comparisons < 1:
        msg = f"`comparisons >= 1` must hold, but got {comparisons}"
        raise ValueError(msg)
    if not 0 < alpha <= 1:
        msg = f"`0 < alpha <= 1` must hold, but got {alpha}"
        raise ValueError(msg)
    count = 1
    while comparisons * least_p(count) >= alpha:
        count += 1
    return count
