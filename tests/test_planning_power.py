"""The smallest p of the sign-flip test, and the repetitions that it takes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from htsweep.planning.power import DRAWS, EXACT, least_p, repetitions_needed


@pytest.mark.parametrize("count", range(1, 9))
def test_the_least_p_is_that_of_differences_of_one_sign(count: int) -> None:
    """By all sign patterns: the share whose mean is as far from 0 as the observed one."""
    differences = np.arange(1, count + 1)
    signs = np.array(list(itertools.product([-1, 1], repeat=count)))
    means = np.abs((signs * differences).mean(1))
    assert least_p(count) == (means >= differences.mean()).mean()


def test_beyond_the_exact_test_the_draws_are_the_limit() -> None:
    assert least_p(EXACT) == 2.0 ** (1 - EXACT)
    assert least_p(EXACT + 1) == 2.0**-EXACT
    assert least_p(EXACT + 2) == least_p(5000) == 1 / (DRAWS + 1)
    with pytest.raises(ValueError, match=r"`repetitions >= 0` must hold, but got -1"):
        least_p(-1)


@pytest.mark.parametrize(
    ("alpha", "comparisons", "needed"), [(0.05, 1, 6), (0.05, 18, 10), (0.01, 1, 8), (0.05, 6, 8)]
)
def test_the_fewest_repetitions(alpha: float, comparisons: int, needed: int) -> None:
    assert repetitions_needed(alpha, comparisons) == needed
    assert comparisons * least_p(needed) < alpha <= comparisons * least_p(needed - 1)


def test_for_some_claims_no_number_of_repetitions_is_enough() -> None:
    assert repetitions_needed(1e-9) is None
    with pytest.raises(ValueError, match=r"`0 < alpha <= 1` must hold"):
        repetitions_needed(0)
    with pytest.raises(ValueError, match=r"`comparisons >= 1` must hold"):
        repetitions_needed(0.05, 0)
