"""The protocols: rules that pick a point and step of each sweep; `choose` applies them.

All compare points by means over their repetitions, at steps that all repetitions reached; where a
repetition lacks the number, the mean takes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from htsweep.errors import HtsweepError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    Pick = Callable[[pd.DataFrame], pd.DataFrame]

VALIDATION_SEEN = "validation/seen_accuracy"
VALIDATION_LOSS = "validation/loss"
SOURCE_MISSING = "validation/source_missing_accuracy"
PSEUDO_MISSING = "validation/pseudo_missing_accuracy"
TEST = "test/"
"""The prefix of test columns, which only protocols that declare one of them may read."""
TEST_SEEN, TEST_MISSING = "test/seen_accuracy", "test/missing_accuracy"
TEST_OVERALL = "test/overall_accuracy"
CHOICE = ["sweep", "point", "step"]
"""The columns of what a protocol returns, with one row per sweep."""


@final
@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A rule that picks one point and step of each sweep; a study names its own `module:VALUE`."""

    name: str
    line: str
    """What it picks, in a line, for lists and reports."""
    pick: Pick
    """The measurements of whole points in, `CHOICE` out: one row per sweep, or none for a sweep
    without an answer.

    The table has a column `point_index` (0 is the sweep's first point), and test columns only if
    `reads` has one.
    """
    reads: Sequence[str] | None = None
    """The metrics that it looks at; None: any except test columns."""
    needs: Sequence[Sequence[str]] = ((),)
    """The columns that it needs: all of one of these alternatives."""
    submit: Pick | None = None
    """The points that it would submit as a front, several per sweep; None: only what it picks."""

    last_step: bool = False
    """Whether it picks no step of a point but the last one."""

    @property
    def reads_test(self) -> bool:
        """Whether it looks at test data, so that its results are upper bounds."""
        return any(name.startswith(TEST) for name in self.reads or ())


_DIGITS = 12
"""Means are rounded to this many decimals: further ones depend on the order of the sum, and would
break ties.
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
    """The first point of each sweep at its last step.

    A sweep whose first point is not whole has no choice.
    """
    return last_steps(measurements[measurements["point_index"] == 0])


def seen_validation(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean validation accuracy on seen classes.

    Ties go to the lower mean validation loss (where it is measured), the earlier step, the smaller
    point id.
    """
    ties = (
        [VALIDATION_LOSS]
        if VALIDATION_LOSS in measurements.columns and measurements[VALIDATION_LOSS].dtype != object
        else []
    )
    return _best(measurements, VALIDATION_SEEN, ties)


def source_validation(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean of seen target and missing source accuracy.

    These are the accuracies on seen classes of target data and on missing classes of source data,
    both on held-out images. The latter, a stand-in for missing classes of target data, ignores how
    the domains differ: a model that did not move is best at it. The weights are equal, whatever
    share of the classes is missing; ties go to the higher seen accuracy, then the earlier step, the
    smaller point id.
    """
    return _balanced(measurements, SOURCE_MISSING)


def pseudo_missing(measurements: pd.DataFrame) -> pd.DataFrame:
    """As `source_validation`, with seen classes that proxy runs hide standing in for missing ones.

    The proxy runs are those of pseudo cross-validation (Mai et al., NeurIPS 2024): the same
    training on half of the seen classes, measured on held-out target images of the other half at
    the same epoch.
    """
    return _balanced(measurements, PSEUDO_MISSING)


def hypervolume(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step of `front` with the largest product of the two accuracies.

    The product is the area that the point dominates by itself: the hypervolume of one point.
    """
    return _highest(_areas(measurements), "_area", [VALIDATION_SEEN])


def front(measurements: pd.DataFrame) -> pd.DataFrame:
    """The front that each sweep would submit: (sweep, point, step), at most one row per point.

    The points are non-dominated on the mean seen accuracy and the mean of the stand-in for missing
    accuracy (of proxy runs where there are any, else on source data), each at the step with the
    largest product.
    """
    from htsweep.selection.fronts import non_dominated

    means = _areas(measurements).sort_values(
        ["sweep", "point", "_area", "step"], ascending=[True, True, False, True], kind="stable"
    )
    means = means[means["_area"].notna()].drop_duplicates(["sweep", "point"])
    stand_in = means[_stand_in(measurements)].fillna(0.0)
    kept = non_dominated(means[VALIDATION_SEEN], stand_in, means["sweep"].to_numpy())
    return means[kept][CHOICE].reset_index(drop=True)


def test_accuracy(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean test accuracy over all classes.

    Ties go to the earlier step, the smaller point id.
    """
    return _best(measurements, TEST_OVERALL, [])


def test_front(measurements: pd.DataFrame) -> pd.DataFrame:
    """The points and steps of each sweep that are non-dominated on the two mean test accuracies.

    The accuracies are those on seen and on missing classes.
    """
    from htsweep.selection.fronts import non_dominated

    means = reached(judged(measurements, TEST_SEEN, TEST_MISSING), [TEST_SEEN, TEST_MISSING])
    kept = non_dominated(means[TEST_SEEN], means[TEST_MISSING], means["sweep"].to_numpy())
    return means[kept][CHOICE].reset_index(drop=True)


def _stand_in(measurements: pd.DataFrame) -> str:
    return PSEUDO_MISSING if PSEUDO_MISSING in measurements.columns else SOURCE_MISSING


def judged(measurements: pd.DataFrame, *metrics: str) -> pd.DataFrame:
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
    """The table of `reached` with `_area`, the product of seen accuracy and the stand-in.

    It is 0 for the only candidate of a sweep if that lacks the stand-in.
    """
    stand_in = _stand_in(measurements)
    means = reached(judged(measurements, VALIDATION_SEEN, stand_in), [VALIDATION_SEEN, stand_in])
    return means.assign(
        _area=(means[VALIDATION_SEEN] * means[stand_in])
        .round(_DIGITS)
        .mask(_only(means, stand_in), 0.0)
    )


def _balanced(measurements: pd.DataFrame, stand_in: str) -> pd.DataFrame:
    means = reached(judged(measurements, VALIDATION_SEEN, stand_in), [VALIDATION_SEEN, stand_in])
    mean = ((means[VALIDATION_SEEN] + means[stand_in]) / 2).round(_DIGITS)
    return _highest(
        means.assign(_mean=mean.mask(_only(means, stand_in), 0.0)), "_mean", [VALIDATION_SEEN]
    )


def _only(means: pd.DataFrame, metric: str) -> pd.Series:
    """Whether each row is its sweep's only candidate and lacks `metric`.

    The source model is such a candidate: no proxy run trains it.
    """
    return means[metric].isna() & ~means["sweep"].duplicated(keep=False)


def _best(measurements: pd.DataFrame, metric: str, lower: Sequence[str]) -> pd.DataFrame:
    """The (sweep, point, step) of the highest mean of `metric`.

    Ties go to the lower means of `lower`, the earlier step, the smaller point id.
    """
    return _highest(reached(judged(measurements, metric), [metric, *lower]), metric, [], lower)


def _highest(
    means: pd.DataFrame, metric: str, higher: Sequence[str], lower: Sequence[str] = ()
) -> pd.DataFrame:
    """The row of each sweep with the highest `metric`.

    Ties go to higher values of `higher`, lower ones of `lower`, the earlier step, the smaller id.
    """
    means = means[means[metric].notna()]
    order = ["sweep", metric, *higher, *lower, "step", "point"]
    rising = [True, *[False] * (1 + len(higher)), *[True] * (len(lower) + 2)]
    ranked = means.sort_values(order, ascending=rising, kind="stable")
    return ranked.drop_duplicates("sweep")[CHOICE].reset_index(drop=True)


def reached(measurements: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """(sweep, point, step) that all repetitions of the point reached, with the means of `metrics`.

    A mean is NaN where a repetition lacks the metric, since over fewer repetitions it might be a
    lucky one.
    """
    # Integer codes: grouping a million rows by strings costs ten times as much.
    point = (
        measurements.groupby(["sweep", "point"], sort=False, observed=True, dropna=False)
        .ngroup()
        .to_numpy()
    )
    coded = measurements[["step", *metrics]].assign(_point=point)
    grouped = coded.groupby(["_point", "step"], sort=True)
    table: pd.DataFrame = grouped.size().rename("_size").to_frame()
    for metric in metrics:
        statistics = grouped[metric].agg(["mean", "count"])
        table[metric] = (
            statistics["mean"].where(statistics["count"] == table["_size"]).round(_DIGITS)
        )
    table = table.reset_index()
    names = (
        measurements[["sweep", "point", "trial"]]
        .assign(_point=point)
        .drop_duplicates(["trial", "_point"])
    )
    about = names.groupby("_point").agg(
        sweep=("sweep", "first"), point=("point", "first"), _trials=("trial", "size")
    )
    table = table.join(about, on="_point")
    return table.loc[table["_size"] == table["_trials"], [*CHOICE, *metrics]].reset_index(drop=True)


LAST = Protocol(
    name="last",
    line="the first configuration of each sweep (its defaults) at its last step",
    pick=last,
    reads=(),
    last_step=True,
)
TEST_ACCURACY = Protocol(
    name="test_accuracy",
    line="the highest mean accuracy on the test data: an upper bound, no result",
    pick=test_accuracy,
    reads=(TEST_OVERALL,),
    needs=((TEST_OVERALL,),),
    submit=test_front,
)
PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        LAST,
        Protocol(
            name="seen_validation",
            line="the highest mean accuracy on held-out target data of the seen classes",
            pick=seen_validation,
            reads=(VALIDATION_SEEN, VALIDATION_LOSS),
            needs=((VALIDATION_SEEN,),),
        ),
        Protocol(
            name="source_validation",
            line="the highest mean of seen accuracy on target data and missing accuracy on source "
            "data, both held out",
            pick=source_validation,
            reads=(VALIDATION_SEEN, SOURCE_MISSING),
            needs=((VALIDATION_SEEN, SOURCE_MISSING),),
        ),
        Protocol(
            name="pseudo_missing",
            line="the highest mean of seen accuracy and the accuracy of seen classes that proxy "
            "runs hide, both held out",
            pick=pseudo_missing,
            reads=(VALIDATION_SEEN, PSEUDO_MISSING),
            needs=((VALIDATION_SEEN, PSEUDO_MISSING),),
        ),
        Protocol(
            name="hypervolume",
            line="of the front on seen accuracy and its stand-in for missing accuracy, the point "
            "with the largest product",
            pick=hypervolume,
            reads=(VALIDATION_SEEN, SOURCE_MISSING, PSEUDO_MISSING),
            needs=((VALIDATION_SEEN, PSEUDO_MISSING), (VALIDATION_SEEN, SOURCE_MISSING)),
            submit=front,
        ),
        TEST_ACCURACY,
    )
}
"""The protocols that come with htsweep, by name."""
FORMER: Mapping[str, str] = {"oracle": TEST_ACCURACY.name}
"""What a protocol was called before, with its name of today; `oracle` is a method."""
NAMES: Mapping[str, str] = {name: protocol.line for name, protocol in PROTOCOLS.items()}
"""Their names, with a line on each."""
DEFAULT = LAST.name
BEST = TEST_ACCURACY.name
"""The protocol that the others are compared with: it sees the test data, so none picks better."""
