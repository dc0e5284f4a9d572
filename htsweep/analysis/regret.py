"""What screening by a score would have cost: the best of all pairs minus the best that it keeps."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from htsweep.analysis.correlation import ends
from htsweep.analysis.design import Design
from htsweep.analysis.prediction import ALL
from htsweep.analysis.resample import samples
from htsweep.analysis.summary import METRICS

_DIGITS = 12


def regret(
    scores: pd.DataFrame,
    found: pd.DataFrame,
    achieved: pd.DataFrame,
    design: Design,
    *,
    factors: Sequence[str],
    by: str = "",
) -> pd.DataFrame:
    """One row per target, compared value, metric, score and number of pairs that are kept.

    `keep` (1, 2, ...), `pairs` (those whose score and outcome are known; only they count), `of`
    (all pairs of the target), `best`, `kept_best`, `regret` (best - kept_best), `low`, `high`,
    `random` (the expected regret of as many pairs drawn at random), `spared` (known pairs that are
    not kept), `chosen` (whether the study's own screen kept these). Pairs with equal scores are
    kept together, as a screen does. The interval is the percentile bootstrap's over repetitions,
    drawn for all pairs at once, with the same pairs kept in each sample. The best of several noisy
    means is a little too high, and so is the regret. Only metrics that are known to be better when
    higher have rows, and only targets with at least two known pairs.

    Args:
        scores: what `prediction.transferability` returns.
        found: what `prediction.predicted` returns.
        achieved: what `prediction.outcomes` returns.
        design: which factor is compared.
        factors: the columns that tell pairs apart.
        by: the score that the study screens by; empty: it does not.
    """
    compared = design.compared
    columns = [
        "target",
        compared,
        "metric",
        "score",
        "keep",
        "pairs",
        "of",
        "best",
        "kept_best",
        "regret",
        "low",
        "high",
        "random",
        "spared",
        "chosen",
    ]
    if found.empty:
        return pd.DataFrame(columns=columns)
    kept = scores.drop_duplicates("pair").set_index("pair")["kept"]
    every = scores.groupby("target", observed=True)["pair"].nunique().to_dict()
    targets = scores.drop_duplicates("pair").set_index("pair")["target"]
    is_fitted = found["fitted"].astype(bool)
    combined = found[is_fitted]
    fitted = _by_cell(
        combined.assign(**{compared: ALL}) if compared in factors else combined, compared
    )
    single = found[~is_fitted].drop_duplicates(["score", "pair"])
    plain = single.pivot(index="pair", columns="score", values="value")[
        list(dict.fromkeys(single["score"]))
    ]
    rows = []
    rising = achieved[[_rises(str(name)) for name in achieved["metric"]]]
    cells = rising.assign(target=rising["pair"].map(targets)).groupby(
        ["target", compared, "metric"], sort=False, observed=True, dropna=False
    )
    for (target, name, metric), inside in cells:
        table = (
            inside.pivot(index="repetition", columns="pair", values="value")
            .dropna(axis=1, how="all")
            .dropna()
        )
        values = plain.reindex(table.columns)
        for combination in dict.fromkeys(combined["score"]):
            own = fitted.get((combination, name, metric))
            if own is not None:
                values = values.assign(**{combination: own.reindex(table.columns)})
        outcome, screened = table.to_numpy(float), kept.reindex(table.columns).to_numpy(bool)
        for score, given in zip(values.columns, values.to_numpy(float).T, strict=True):
            known = ~np.isnan(given)
            if known.sum() > 1 and len(outcome):
                rows += [
                    (target, name, metric, score, *row, every[target])
                    for row in _curve(
                        given[known], outcome[:, known], screened[known] if score == by else None
                    )
                ]
    made = pd.DataFrame(
        rows,
        columns=[
            "target",
            compared,
            "metric",
            "score",
            "keep",
            "pairs",
            "best",
            "kept_best",
            "regret",
            "low",
            "high",
            "random",
            "spared",
            "chosen",
            "of",
        ],
    )
    return made[columns]


def expected_best(values: Sequence[float], drawn: int) -> float:
    """The expected highest of `drawn` of these values, drawn at random without replacement.

    The j-th highest of K is the highest of n drawn in C(K-j, n-1) of C(K, n) draws.
    """
    count = len(values)
    ways = [
        math.comb(count - place, drawn - 1) / math.comb(count, drawn)
        for place in range(1, count + 1)
    ]
    return float(np.dot(ways, np.sort(values)[::-1]))


def _curve(
    score: np.ndarray,
    achieved: np.ndarray,
    screened: np.ndarray | None,
) -> list[tuple[float, ...]]:
    """The rows of one score.

    Columns: keep, pairs, best, kept_best, regret, low, high, random, spared, chosen.

    Args:
        score: a value per pair.
        achieved: repetitions x pairs.
        screened: which pairs the study's screen kept; None: it did not use this score.
    """
    order = np.argsort(-score, kind="stable")
    mean = achieved.mean(axis=0)
    count = len(score)
    # Equal scores are kept together: keeping k means all that are as high as the k-th.
    size = [int((score >= score[order[keep - 1]]).sum()) for keep in range(1, count)]
    reached = np.maximum.accumulate(mean[order])
    low, high = _ends(achieved[:, order])
    rows: list[tuple[float, ...]] = []
    known_best = False
    for keep, held in enumerate(size, 1):
        place = held - 1
        is_chosen = (
            not known_best
            and screened is not None
            and held == screened.sum()
            and bool(screened[order[:held]].all())
        )
        known_best = known_best or is_chosen
        by_chance = float(mean.max()) - expected_best(mean.tolist(), held)
        numbers = np.round(
            [
                mean.max(),
                reached[place],
                mean.max() - reached[place],
                low[place],
                high[place],
                by_chance,
            ],
            _DIGITS,
        )
        rows.append((keep, count, *map(float, numbers), count - held, is_chosen))
    return rows


def _ends(achieved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the interval of the regret of keeping the first 1, 2, ... pairs.

    `achieved` is repetitions x pairs, in order of score. With one repetition the ends are NaN.
    """
    repetitions, count = achieved.shape
    if repetitions < 2:
        return np.full(count, np.nan), np.full(count, np.nan)
    counts, share = samples(repetitions)
    mean = counts @ achieved / repetitions
    return ends(mean.max(axis=1, keepdims=True) - np.maximum.accumulate(mean, axis=1), share)


def _by_cell(rows: pd.DataFrame, compared: str) -> dict[tuple[Hashable, ...], pd.Series]:
    """(score, compared value, metric) -> the value of each pair."""
    return {
        key: inside.set_index("pair")["value"]
        for key, inside in rows.groupby(
            ["score", compared, "metric"], sort=False, observed=True, dropna=False
        )
    }


def _rises(metric: str) -> bool:
    """Whether more of the metric is known to be better, which holds only for accuracies."""
    return metric in METRICS or metric.endswith("_accuracy")
