"""Tests of paired differences, and the verdict on each of a family of them.

Repetitions that draw their test images from one pool share images, so that a test that takes them
for independent draws finds differences between models of equal accuracy far too often. Where more
is known of the images, a difference therefore counts as shown only if a test for new images shows
it as well (`new_images`), and its interval is that test's. benchmarks/level.py measures how often
each is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np

from htsweep.analysis import new_images
from htsweep.analysis.interval import LEVEL, stacked, student
from htsweep.analysis.new_images import Spread
from htsweep.planning.power import DRAWS, EXACT, least_p
from htsweep.planning.task import BOUND

ALPHA = 0.05
_KEPT = 100
"""The sign patterns of up to this many pairs are cached for the next test: at most 10 MB each."""
_BLOCK = 4_000_000
"""How many signs are multiplied at a time."""
_DIGITS = 12
"""Numbers are rounded to this many decimals: equal sums stay equal in any order of addition."""
_TIE = 1e-9
"""Sums that differ by less, as a share of the sum of absolute differences, count as equal: rounding
must not decide what is as extreme.
"""
JUDGED = (
    "n",
    "difference",
    "low",
    "high",
    "p",
    "p_new_images",
    "new_images",
    "p_holm",
    "least_p",
    "verdict",
    "wilcoxon",
)
"""What `judge` says of each difference."""


@final
@dataclass(frozen=True, eq=False)
class Paired:
    """The differences of one compared value from another, one per repetition."""

    values: np.ndarray
    """NaNs do not count."""
    tested: float = float("nan")
    """The share of a pool of images that each repetition tests, drawn anew; NaN: not known, or all
    repetitions test the same images.
    """
    spread: Spread | None = None
    """How much other images would change the mean; None: not known."""
    bound: bool = False
    """Whether an upper bound, which nobody can choose, has a part in it."""


def judge(families: Sequence[Sequence[Paired]], level: float = LEVEL) -> list[list[dict[str, Any]]]:
    """What may be said of each difference of each family: a dict with the keys of `JUDGED`.

    `n` differences and their mean `difference`; `low` and `high`, the ends of the mean's interval:
    that of the test for new images where there is one, else by Student's t; `p` of the exact
    two-sided sign-flip test; `p_new_images` of the test for new images, and in `new_images` which
    it is (`crossed` where the spread over images is known, `resampled` where only the tested share
    is; NaN and empty where neither is); `p_holm`, the larger of the two after Holm's correction for
    the family; `least_p`, the smallest p that n differences can reach in the sign-flip test,
    uncorrected; `verdict`; `wilcoxon`, p of the signed-rank test. All numbers are NaN, but for n,
    where there is no difference.

    The larger of two p-values whose tests hold their level holds it too. An upper bound takes no
    part in its family: its `p_holm` is NaN and its verdict `bound`.
    """
    known = [[_known(difference.values) for difference in differences] for differences in families]
    flat = [values for family in known for values in family]
    ends = np.full((2, len(flat)), np.nan)
    cell = np.repeat(np.arange(len(flat)), [len(values) for values in flat])
    for which, numbers in stacked(np.concatenate([np.array([]), *flat]), cell):
        ends[:, which] = student(numbers, level)
    told = iter(zip(ends.T, sign_flips(flat), signed_ranks(flat), strict=True))
    return [
        _family(family, values, [next(told) for _ in family], level)
        for family, values in zip(families, known, strict=True)
    ]


def _known(values: np.ndarray) -> np.ndarray:
    known = np.asarray(values, float)
    return np.sort(known[~np.isnan(known)]).round(_DIGITS)


def _family(
    family: Sequence[Paired],
    known: Sequence[np.ndarray],
    told: Sequence[tuple[np.ndarray, float, float]],
    level: float,
) -> list[dict[str, Any]]:
    """What is said of each difference of a family.

    `told`: of each, the ends of its interval, and its p by the sign-flip and signed-rank tests.
    """
    rows = []
    for one, values, ((low, high), p, ranked) in zip(family, known, told, strict=True):
        other = new_images.judged(values, one.spread, one.tested, level)
        if other is not None:
            low, high = other["low"], other["high"]
        rows.append(
            {
                "n": len(values),
                "difference": round(float(values.mean()), _DIGITS) if len(values) else np.nan,
                "low": low,
                "high": high,
                "p": p,
                "p_new_images": np.nan if other is None else other["p"],
                "new_images": "" if other is None else other["test"],
                "least_p": least_p(len(values)),
                "wilcoxon": ranked,
            }
        )
    bound = np.array([one.bound for one in family], bool)
    # The exact p is NaN where nothing can be said, which the other must not overrule.
    larger = [
        row["p"]
        if row["p_new_images"] != row["p_new_images"]
        else np.maximum(row["p"], row["p_new_images"])
        for row in rows
    ]
    adjusted = holm(np.where(bound, np.nan, np.array(larger, float)))
    least = least_holm(np.where(bound, 0, np.array([row["n"] for row in rows], int)))
    for row, out, p, reachable in zip(rows, bound, adjusted, least, strict=True):
        row["p_holm"] = p
        row["verdict"] = BOUND if out else verdict(p, row["low"], row["high"], reachable)
    return rows


def sign_flip(differences: np.ndarray) -> float:
    """The two-sided p of the paired sign-flip (permutation) test that the mean difference is 0.

    It is the share of sign patterns whose sum is at least as far from 0 (Fisher 1935, section 21):
    of all 2^n up to 16 differences, beyond that of 99,999 random ones and the given one (fixed
    seed). NaNs do not count. No differences, or infinite ones, give NaN; only zeros give 1.
    """
    return float(sign_flips([np.asarray(differences, float)])[0])


def sign_flips(many: Sequence[np.ndarray]) -> np.ndarray:
    """The p of `sign_flip` of each array; of equally many differences, all at once."""
    p = np.full(len(many), np.nan)
    alike: dict[int, list[tuple[int, np.ndarray]]] = {}
    for place, differences in enumerate(many):
        sizes = differences[~np.isnan(differences)]
        if len(sizes) and np.isfinite(np.abs(sizes).sum()):
            alike.setdefault(len(sizes), []).append((place, sizes))
    for count, tests in alike.items():
        # As many at a time as leave the sums no larger than the signs.
        for start in range(0, len(tests), count):
            part = tests[start : start + count]
            values = np.array([sizes for _, sizes in part])
            p[[place for place, _ in part]] = _extreme(values)
    return p


def _extreme(values: np.ndarray) -> np.ndarray:
    """The share of sign patterns as extreme as the given one, of each row of differences."""
    count = values.shape[1]
    bound = np.abs(values.sum(axis=1)) - _TIE * np.abs(values).sum(axis=1)
    # The sums are the same whatever signs the differences have: sorted by size, neither order nor
    # direction matters.
    ordered = np.sort(np.abs(values), axis=1).T
    extreme = np.zeros(len(values), int)
    for signs in _blocks(count):
        extreme += (np.abs(signs @ ordered) >= bound).sum(axis=0)
    share: np.ndarray = (
        extreme / 2 ** (count - 1) if count <= EXACT else (extreme + 1) / (DRAWS + 1)
    )
    return share


def signed_rank(differences: np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed-rank test (1945), zeros dropped; NaNs do not count.

    It is the sign-flip test of the signed ranks, and thus exact with ties too, unlike the tables of
    scipy.
    """
    return float(signed_ranks([np.asarray(differences, float)])[0])


def signed_ranks(many: Sequence[np.ndarray]) -> np.ndarray:
    """The p of `signed_rank` of each array."""
    known = [differences[~np.isnan(differences)] for differences in many]
    p = sign_flips([_ranked(differences[differences != 0]) for differences in known])
    zeros = [len(differences) > 0 and not differences.any() for differences in known]
    p[zeros] = 1.0
    return p


def _ranked(known: np.ndarray) -> np.ndarray:
    """Each difference's rank by size, with the difference's sign; ties share their mean rank."""
    sizes = np.abs(known)
    # scipy's rankdata, at a tenth of its cost for so few numbers.
    rank = ((sizes[:, None] > sizes).sum(axis=1) + (sizes[:, None] >= sizes).sum(axis=1) + 1) / 2
    signed: np.ndarray = np.sign(known) * rank
    return signed


def holm(p: np.ndarray) -> np.ndarray:
    """The p-values of one family, adjusted by Holm's method (1979); NaNs take no part.

    An adjusted p bounds the probability of any false claim in the family.
    """
    # statsmodels' multipletests does the same, but runs the garbage collector at each call: half a
    # minute for a large study.
    adjusted = np.array(p, float)
    order = np.argsort(adjusted, kind="stable")[
        : int((~np.isnan(adjusted)).sum())
    ]  # NaNs sort last
    step = np.arange(len(order), 0, -1) * adjusted[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(step), 1.0)
    return adjusted


def verdict(p_holm: float, low: float, high: float, least: float, *, alpha: float = ALPHA) -> str:
    """What may be said of a difference: `better`, `worse`, `not shown` or `too few` pairs.

    Args:
        p_holm: its p after Holm's correction.
        low: lower end of its interval.
        high: upper end.
        least: the smallest p_holm that was possible (`least_holm`); if it is not below `alpha`,
            nothing can be shown.
        alpha: the level that p_holm must be below.
    """
    if not least < alpha:
        return "too few"
    if p_holm < alpha and (low > 0 or high < 0):
        return "better" if low > 0 else "worse"
    return "not shown"


def least_holm(counts: np.ndarray) -> np.ndarray:
    """The smallest adjusted p that each test of a family can reach with its `counts` of pairs.

    NaN where there is no pair. An adjusted p rises with every p of the family, so it is least where
    all tests are at their least: with as many pairs for all, `least_p` times the family's size.
    """
    return holm(np.array([least_p(int(count)) if count > 0 else np.nan for count in counts]))


def _blocks(count: int) -> Iterator[np.ndarray]:
    """Sign patterns (patterns x count), in blocks, since all at once may not fit in memory."""
    rows = max(1, _BLOCK // count)
    if count <= _KEPT:
        kept = _signs(count)
        yield from (kept[start : start + rows].astype(float) for start in range(0, len(kept), rows))
        return
    random = np.random.default_rng(0)
    yield from (_drawn(random, min(rows, DRAWS - start), count) for start in range(0, DRAWS, rows))


@lru_cache(maxsize=4)
def _signs(count: int) -> np.ndarray:
    """Sign patterns (patterns x count): one of each opposite pair; random ones beyond `EXACT`."""
    if count > EXACT:
        return _drawn(np.random.default_rng(0), DRAWS, count).astype(np.int8)
    bits = np.arange(2 ** (count - 1))[:, None] >> np.arange(count)
    return np.where(bits & 1, np.int8(-1), np.int8(1))


def _drawn(random: np.random.Generator, rows: int, count: int) -> np.ndarray:
    return random.choice([-1.0, 1.0], size=(rows, count))
