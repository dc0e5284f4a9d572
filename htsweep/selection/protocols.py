"""The rules by which protocols pick: what each reads, and the (sweep, point, step) that it takes; `selection` applies them.

All compare points by means over their repetitions, at steps that all repetitions reached; a mean of
which a repetition lacks the number takes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from htsweep.errors import HtsweepError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    Protocol = Callable[[pd.DataFrame], pd.DataFrame]

SEEN = "validation/seen_accuracy"
LOSS = "validation/loss"
SOURCE_MISSING = "validation/source_missing_accuracy"
PSEUDO_MISSING = "validation/pseudo_missing_accuracy"
OVERALL = "test/overall_accuracy"
CHOICE = ["sweep", "point", "step"]
"""What a protocol returns: these columns, one row per sweep."""
NAMES: Mapping[str, str] = {
    "last": "the first configuration of each sweep (its defaults) at its last step",
    "seen_validation": "the highest mean accuracy on held-out target data of the seen classes",
    "source_validation": "the highest mean of seen accuracy on target data and missing accuracy on source data, both held out",
    "pseudo_missing": "the highest mean of seen accuracy and the accuracy of seen classes that proxy runs hide, both held out",
    "hypervolume": "of the front on seen accuracy and its stand-in for missing accuracy, the point with the largest product",
    "oracle": "the highest mean accuracy on the test data: an upper bound, no result",
}
"""The protocols that come with htsweep, a line on each; any other is `module:function`."""
READS: Mapping[str, Sequence[str]] = {
    "last": (),
    "seen_validation": (SEEN, LOSS),
    "source_validation": (SEEN, SOURCE_MISSING),
    "pseudo_missing": (SEEN, PSEUDO_MISSING),
    "hypervolume": (SEEN, SOURCE_MISSING, PSEUDO_MISSING),
    "oracle": (OVERALL,),
}
NEEDS: Mapping[str, Sequence[Sequence[str]]] = {
    "seen_validation": ((SEEN,),),
    "source_validation": ((SEEN, SOURCE_MISSING),),
    "pseudo_missing": ((SEEN, PSEUDO_MISSING),),
    "hypervolume": ((SEEN, PSEUDO_MISSING), (SEEN, SOURCE_MISSING)),
    "oracle": ((OVERALL,),),
    "last": ((),),
}
"""What each cannot do without: all columns of one of the alternatives."""
_DIGITS = 12
"""Means are compared to so many decimals: beyond, they depend on the order of the sum, and ties
would be broken by it.
"""


def last_steps(measurements: pd.DataFrame) -> pd.DataFrame:
    """(sweep, point, step): the last step of each point that all its repetitions reached."""
    latest = (
        reached(measurements, [])
        .sort_values("step", kind="stable")
        .drop_duplicates(["sweep", "point"], keep="last")
    )
    return latest.sort_index()[CHOICE].reset_index(drop=True)


def last(measurements: pd.DataFrame) -> pd.DataFrame:
    """The first point of each sweep at its last step; a sweep whose first point is not whole has no choice."""
    return last_steps(measurements[measurements["point_index"] == 0])


def seen_validation(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean validation accuracy on seen classes.

    Ties go to the lower mean validation loss (where it is measured), the earlier step, the smaller
    point id.
    """
    ties = [LOSS] if LOSS in measurements.columns and measurements[LOSS].dtype != object else []
    return _best(measurements, SEEN, ties)


def source_validation(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean of two accuracies: seen classes on target data, missing classes on source data.

    Both are on held-out images. The stand-in forgets what the domains have not in common: a model
    that did not move is best at it. Equal weights, whatever share of the classes is missing; ties
    go to the higher seen accuracy, then as elsewhere.
    """
    return _balanced(measurements, SOURCE_MISSING)


def pseudo_missing(measurements: pd.DataFrame) -> pd.DataFrame:
    """As `source_validation`, with the accuracy of seen classes that proxy runs hide in place of the missing classes'.

    The proxy runs are those of pseudo cross-validation (Mai et al., NeurIPS 2024): the same
    training on half of the seen classes, measured on held-out target images of the other half at
    the same epoch.
    """
    return _balanced(measurements, PSEUDO_MISSING)


def hypervolume(measurements: pd.DataFrame) -> pd.DataFrame:
    """Of the front that `submitted` gives, the point and step with the largest product of the two accuracies.

    The product is the area that the point dominates by itself: what a front of one point is worth.
    """
    return _highest(_areas(measurements), "_area", [SEEN])


def front(measurements: pd.DataFrame) -> pd.DataFrame:
    """The front that each sweep would submit: (sweep, point, step), several rows per sweep, one per point at most.

    Non-dominated on the mean seen accuracy and the mean of its stand-in for missing accuracy (of
    proxy runs where there are any, else on source data), each point at the step with the largest
    product.
    """
    from htsweep.selection.fronts import non_dominated

    means = _areas(measurements).sort_values(
        ["sweep", "point", "_area", "step"], ascending=[True, True, False, True], kind="stable"
    )
    means = means[means["_area"].notna()].drop_duplicates(["sweep", "point"])
    stand_in = means[_stand_in(measurements)].fillna(0.0)
    kept = non_dominated(means[SEEN], stand_in, means["sweep"].to_numpy())
    return means[kept][CHOICE].reset_index(drop=True)


def oracle(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean test accuracy over all classes; ties to the earlier step, the smaller id."""
    return _best(measurements, OVERALL, [])


def _stand_in(measurements: pd.DataFrame) -> str:
    return PSEUDO_MISSING if PSEUDO_MISSING in measurements.columns else SOURCE_MISSING


def _judged(measurements: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    """The measurements, if trials measured `metrics`.

    Raises:
        HtsweepError: no trial measured one of them, or some measured it as a list.
    """
    for metric in metrics:
        if metric in measurements.columns and measurements[metric].dtype == object:
            raise HtsweepError(
                f"the protocol reads '{metric}' as a number, but the trials measured lists of that "
                "name"
            )
        if metric not in measurements.columns:
            known = [str(name) for name in measurements.columns if "/" in str(name)]
            raise HtsweepError(
                f"the protocol reads '{metric}', which no trial measured; "
                f"{did_you_mean(metric, known)}"
            )
    return measurements


def _areas(measurements: pd.DataFrame) -> pd.DataFrame:
    """What `reached` gives, with the product of seen accuracy and its stand-in as `_area`; 0 where there is no choice."""
    stand_in = _stand_in(measurements)
    means = reached(_judged(measurements, SEEN, stand_in), [SEEN, stand_in])
    return means.assign(
        _area=(means[SEEN] * means[stand_in]).round(_DIGITS).mask(_only(means, stand_in), 0.0)
    )


def _balanced(measurements: pd.DataFrame, stand_in: str) -> pd.DataFrame:
    means = reached(_judged(measurements, SEEN, stand_in), [SEEN, stand_in])
    mean = ((means[SEEN] + means[stand_in]) / 2).round(_DIGITS)
    return _highest(means.assign(_mean=mean.mask(_only(means, stand_in), 0.0)), "_mean", [SEEN])


def _only(means: pd.DataFrame, metric: str) -> pd.Series:
    """Whether each row is its sweep's only candidate, and lacks `metric`: the source model, which no proxy run trains."""
    return means[metric].isna() & ~means["sweep"].duplicated(keep=False)


def _best(measurements: pd.DataFrame, metric: str, lower: Sequence[str]) -> pd.DataFrame:
    """The (sweep, point, step) of the highest mean of `metric`; ties to lower means of `lower`, step, point id."""
    return _highest(reached(_judged(measurements, metric), [metric, *lower]), metric, [], lower)


def _highest(
    means: pd.DataFrame, metric: str, higher: Sequence[str], lower: Sequence[str] = ()
) -> pd.DataFrame:
    """Of each sweep the row with the highest `metric`; then higher `higher`, lower `lower`, the earlier step."""
    means = means[means[metric].notna()]
    order = ["sweep", metric, *higher, *lower, "step", "point"]
    rising = [True, *[False] * (1 + len(higher)), *[True] * (len(lower) + 2)]
    ranked = means.sort_values(order, ascending=rising, kind="stable")
    return ranked.drop_duplicates("sweep")[CHOICE].reset_index(drop=True)


def reached(measurements: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """(sweep, point, step) that all repetitions of the point reached, with the means of `metrics`.

    A mean is NaN where a repetition lacks the metric: over fewer repetitions it would be a lucky
    mean.
    """
    # Integer codes: grouping a million rows by strings costs ten times as much.
    point = (
        measurements.groupby(["sweep", "point"], sort=False, observed=True, dropna=False)
        .ngroup()
        .to_numpy()
    )
    coded = measurements[["step", *metrics]].assign(_point=point)
    grouped = coded.groupby(["_point", "step"], sort=True)
    found: pd.DataFrame = grouped.size().rename("_size").to_frame()
    for metric in metrics:
        told = grouped[metric].agg(["mean", "count"])
        found[metric] = told["mean"].where(told["count"] == found["_size"]).round(_DIGITS)
    found = found.reset_index()
    names = (
        measurements[["sweep", "point", "trial"]]
        .assign(_point=point)
        .drop_duplicates(["trial", "_point"])
    )
    about = names.groupby("_point").agg(
        sweep=("sweep", "first"), point=("point", "first"), _trials=("trial", "size")
    )
    found = found.join(about, on="_point")
    return found.loc[found["_size"] == found["_trials"], [*CHOICE, *metrics]].reset_index(drop=True)


PROTOCOLS: Mapping[str, Protocol] = {
    "last": last,
    "seen_validation": seen_validation,
    "source_validation": source_validation,
    "pseudo_missing": pseudo_missing,
    "hypervolume": hypervolume,
    "oracle": oracle,
}
