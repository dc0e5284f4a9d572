"""Selection protocols: which point of a sweep, at which step, speaks for it.

A protocol is a pure function: measurements in, one (sweep, point, step) per sweep out. All but `oracle` are handed tables
that have no `test/` column, so that none of them can look at one, whatever it is written like. Choices are over points, as
means over their repetitions; a point of which any repetition stopped early, failed or is still to come takes no part
(`left_out` says which these are, and why).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from htsweep.errors import HtsweepError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    Protocol = Callable[[pd.DataFrame], pd.DataFrame]

TEST = "test/"
"""What the names of columns that only `oracle` may read begin with."""
SEEN = "validation/seen_accuracy"
LOSS = "validation/loss"
OVERALL = "test/overall_accuracy"
CHOICE = ["sweep", "point", "step"]
"""What a protocol returns: these columns, one row per sweep."""
NAMES: Mapping[str, str] = {
    "last": "the first configuration of each sweep (its defaults) at its last step",
    "seen_validation": "the highest mean accuracy on held-out target data of the seen classes",
    "oracle": "the highest mean accuracy on the test data: an upper bound, no result",
}
"""The protocols that come with htsweep, a line on each; any other is `module:function`."""
_READS: Mapping[str, Sequence[str]] = {"last": (), "seen_validation": (SEEN, LOSS), "oracle": (OVERALL,)}
_DIGITS = 12
"""Means are compared to so many decimals: beyond, they depend on the order of the sum, and ties would be broken by it."""


def choose(measurements: pd.DataFrame, protocol: str = "last", repetitions: int | None = None) -> pd.DataFrame:
    """The measurements, of all repetitions, of the point and step that `protocol` picks in each sweep.

    Args:
        measurements: one row per measurement (docs/architecture.md).
        protocol: a name of `NAMES`, or `module:function`.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.

    Raises:
        HtsweepError: nothing answers to the name, or the protocol lacks a column or breaks its contract.
    """
    return at(measurements, choice(measurements, protocol, repetitions))


def choice(measurements: pd.DataFrame, protocol: str = "last", repetitions: int | None = None) -> pd.DataFrame:
    """What `protocol` picks: (sweep, point, step), at most one row per sweep; a sweep without a whole point has none."""
    ask = find(protocol)
    handed = whole(_numbered(measurements), repetitions).reset_index(drop=True)
    if protocol != "oracle":
        handed = handed.drop(columns=[name for name in handed.columns if str(name).startswith(TEST)])
    return _checked(ask(handed), handed, protocol)


def columns(protocol: str) -> list[str] | None:
    """The metrics that `protocol` reads; None: it does not say (a user's may carry them as its attribute `columns`)."""
    reads = _READS.get(protocol) if protocol in _READS else getattr(find(protocol), "columns", None)
    return None if reads is None else list(reads)


def find(protocol: str) -> Protocol:
    """The protocol called `protocol`.

    Raises:
        HtsweepError: nothing answers to the name.
    """
    if protocol in _PROTOCOLS:
        return _PROTOCOLS[protocol]
    module, colon, function = protocol.partition(":")
    if not colon:
        raise HtsweepError(f"no protocol '{protocol}'; {did_you_mean(protocol, NAMES)} (or one's own as module:function)")
    try:
        found = getattr(importlib.import_module(module), function, None)
    except Exception as error:  # a user's module may raise anything at import
        raise HtsweepError(f"protocol '{protocol}': importing {module} raised {type(error).__name__}: {error}") from None
    if not callable(found):
        raise HtsweepError(f"protocol '{protocol}': {module} has no function '{function}'")
    return found  # type: ignore[no-any-return]


def whole(measurements: pd.DataFrame, repetitions: int | None = None) -> pd.DataFrame:
    """The rows of the points of which every repetition is done."""
    trials = measurements[["trial", "sweep", "point", "status"]].drop_duplicates("trial")
    counts = _counts(trials)
    expected = _expected(counts, repetitions)
    kept = counts[(counts["done"] >= max(expected, 1)) & (counts["done"] == counts["ended"])]
    inside = trials.merge(kept.reset_index()[["sweep", "point"]], on=["sweep", "point"])["trial"]
    return measurements if len(inside) == len(trials) else measurements[measurements["trial"].isin(inside)]


def left_out(trials: pd.DataFrame, repetitions: int | None = None) -> pd.DataFrame:
    """The points that no protocol may pick: (sweep, point), how many trials are `done`, `stopped`, `failed`, `to_come`."""
    counts = _counts(trials)
    counts["to_come"] = (_expected(counts, repetitions, "ended") - counts["ended"]).clip(lower=0)
    partial = counts[(counts["done"] < counts["ended"]) | (counts["to_come"] > 0)]
    return partial.reset_index()[["sweep", "point", "done", "stopped", "failed", "to_come"]]


def at(measurements: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """The rows of `measurements` at the (sweep, point, step) of `steps`, in their own order."""
    # A point has one step, so a look-up by point is enough, and cheaper than a join on three keys.
    near = measurements[measurements["point"].isin(steps["point"])]
    joined = near[CHOICE].merge(steps[CHOICE].assign(_here=True), on=CHOICE, how="left")
    return near[joined["_here"].notna().to_numpy()].reset_index(drop=True)


def last_steps(measurements: pd.DataFrame) -> pd.DataFrame:
    """(sweep, point, step): the last step of each point that all its repetitions reached."""
    reached = _reached(measurements, [])
    latest = reached.sort_values("step", kind="stable").drop_duplicates(["sweep", "point"], keep="last")
    return latest.sort_index()[CHOICE].reset_index(drop=True)


def last(measurements: pd.DataFrame) -> pd.DataFrame:
    """The first point of each sweep at its last step; a sweep whose first point is not whole has no choice."""
    return last_steps(measurements[measurements["point_index"] == 0])


def seen_validation(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean validation accuracy on seen classes.

    Ties go to the lower mean validation loss (where it is measured), the earlier step, the smaller point id.
    """
    ties = [LOSS] if LOSS in measurements.columns else []
    return _best(measurements, SEEN, ties)


def oracle(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point and step with the highest mean test accuracy over all classes; ties to the earlier step, the smaller id."""
    return _best(measurements, OVERALL, [])


_PROTOCOLS: Mapping[str, Protocol] = {"last": last, "seen_validation": seen_validation, "oracle": oracle}


def _best(measurements: pd.DataFrame, metric: str, lower: Sequence[str]) -> pd.DataFrame:
    """The (sweep, point, step) of the highest mean of `metric`; ties to lower means of `lower`, step, point id."""
    if metric not in measurements.columns:
        known = [str(name) for name in measurements.columns if "/" in str(name)]
        raise HtsweepError(f"the protocol reads '{metric}', which no trial measured; {did_you_mean(metric, known)}")
    means = _reached(measurements, [metric, *lower])
    means = means[means[metric].notna()]
    order = ["sweep", metric, *lower, "step", "point"]
    ranked = means.sort_values(order, ascending=[True, False, *[True] * (len(lower) + 2)], kind="stable")
    return ranked.drop_duplicates("sweep")[CHOICE].reset_index(drop=True)


def _reached(measurements: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """(sweep, point, step) that all repetitions of the point reached, with the means of `metrics`.

    A mean is NaN where a repetition lacks the metric: over fewer repetitions it would be a lucky mean.
    """
    # Integer codes: grouping a million rows by strings costs ten times as much.
    point = measurements.groupby(["sweep", "point"], sort=False, observed=True, dropna=False).ngroup().to_numpy()
    coded = measurements[["step", *metrics]].assign(_point=point)
    grouped = coded.groupby(["_point", "step"], sort=True)
    found: pd.DataFrame = grouped.size().rename("_size").to_frame()
    for metric in metrics:
        told = grouped[metric].agg(["mean", "count"])
        found[metric] = told["mean"].where(told["count"] == found["_size"]).round(_DIGITS)
    found = found.reset_index()
    names = measurements[["sweep", "point", "trial"]].assign(_point=point).drop_duplicates("trial")
    about = names.groupby("_point").agg(sweep=("sweep", "first"), point=("point", "first"), _trials=("trial", "size"))
    found = found.join(about, on="_point")
    return found.loc[found["_size"] == found["_trials"], [*CHOICE, *metrics]].reset_index(drop=True)


def _counts(trials: pd.DataFrame) -> pd.DataFrame:
    """Per (sweep, point), in order of appearance: how many trials ended, and how."""
    ended = trials[["sweep", "point"]].assign(
        ended=1, **{status: (trials["status"] == status).astype(int) for status in ("done", "stopped", "failed")})
    return ended.groupby(["sweep", "point"], sort=False, observed=True).sum()


def _expected(counts: pd.DataFrame, repetitions: int | None, column: str = "done") -> int:
    return repetitions if repetitions is not None else int(counts[column].max() if len(counts) else 0)


def _numbered(measurements: pd.DataFrame) -> pd.DataFrame:
    """The measurements with `point_index`; where they lack it, points count in order of appearance in their sweep."""
    if "point_index" in measurements.columns:
        return measurements
    points = measurements[["sweep", "point"]].drop_duplicates()
    points = points.assign(point_index=points.groupby("sweep", sort=False, observed=True).cumcount())
    return measurements.merge(points, on=["sweep", "point"], how="left")


def _checked(picked: Any, handed: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """What a protocol returned, if it is what a protocol returns."""
    missing = [name for name in CHOICE if name not in getattr(picked, "columns", ())]
    if missing:
        raise HtsweepError(f"protocol '{protocol}' must return a table with the columns {', '.join(CHOICE)}, "
                           f"but it lacks {', '.join(missing)}")
    found: pd.DataFrame = picked[CHOICE].reset_index(drop=True)
    twice = found["sweep"].duplicated()
    if twice.any():
        raise HtsweepError(f"protocol '{protocol}' must return one row per sweep, but sweep "
                           f"'{found['sweep'][twice].iloc[0]}' has more")
    known = found.merge(last_steps(handed)[["sweep", "point"]], on=["sweep", "point"])
    if len(known) < len(found):
        raise HtsweepError(f"protocol '{protocol}' picked a point that its sweep does not have, or that is not whole")
    return found
