"""What the two-sided paired sign-flip test can show with a given number of repetitions."""

from __future__ import annotations

EXACT = 16
"""The most pairs for which the test counts all sign patterns."""
DRAWS = 99_999
"""With more pairs, it draws this many patterns at random."""


def least_p(repetitions: int) -> float:
    """The smallest p that the test can reach, when all differences have the same sign.

    2 of the 2^n sign patterns are as extreme. If patterns are drawn at random, perhaps none is, but
    the observed pattern always counts.

    Raises:
        ValueError: fewer than 0 repetitions.
    """
    if repetitions < 0:
        msg = f"`repetitions >= 0` must hold, but got {repetitions}"
        raise ValueError(msg)
    # Not 2.0 / 2.0**n: from 1,024 repetitions on, 2^n is more than a float holds.
    exact = min(1.0, 2.0 ** (1 - repetitions))
    return exact if repetitions <= EXACT else max(exact, 1 / (DRAWS + 1))


def repetitions_needed(alpha: float = 0.05, comparisons: int = 1) -> int | None:
    """The fewest repetitions that can give p < alpha: 6 for 0.05; None: no number is enough.

    Holm's correction multiplies the smallest p of a family by its size, so that a family of
    `comparisons` needs more: 10 for 18 methods against a baseline.

    Raises:
        ValueError: alpha is not in (0, 1], or there are fewer than 1 comparisons.
    """
    if comparisons < 1:
        msg = f"`comparisons >= 1` must hold, but got {comparisons}"
        raise ValueError(msg)
    if not 0 < alpha <= 1:
        msg = f"`0 < alpha <= 1` must hold, but got {alpha}"
        raise ValueError(msg)
    return next(
        (count for count in range(1, EXACT + 3) if comparisons * least_p(count) < alpha), None
    )
