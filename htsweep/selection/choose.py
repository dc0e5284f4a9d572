"""Selection protocols: which point of a sweep represents it, and at which step.

A protocol is a value with a pure function: measurements in, one (sweep, point, step) per sweep out.
Unless it declares that it reads a test column, it is given tables without any, so that it cannot
look at one. Choices are over points, as means over their repetitions; a point with a repetition
that stopped early, failed or has not run yet takes no part (`left_out` says which these are, and
why).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from htsweep.errors import HtsweepError, did_you_mean
from htsweep.selection.infinities import with_infinities
from htsweep.selection.protocols import (
    BEST,
    CHOICE,
    DEFAULT,
    FORMER,
    NAMES,
    PROTOCOLS,
    TEST,
    Protocol,
    judged,
    last_steps,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BEST",
    "CHOICE",
    "DEFAULT",
    "NAMES",
    "PROTOCOLS",
    "TEST",
    "Protocol",
    "at",
    "choice",
    "choose",
    "columns",
    "find",
    "last_steps",
    "left_out",
    "line",
    "needs",
    "possible",
    "submitted",
    "whole",
]

_UNKNOWN = "a protocol of the study"


def choose(
    measurements: pd.DataFrame, protocol: str = DEFAULT, repetitions: int | None = None
) -> pd.DataFrame:
    """The measurements, in all repetitions, at each sweep's point and step that `protocol` picks.

    Args:
        measurements: one row per measurement (docs/contracts.md).
        protocol: a name of `NAMES`, or `module:function`.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.

    Raises:
        HtsweepError: there is no such protocol, or it lacks a column or breaks its contract.
    """
    return at(measurements, choice(measurements, protocol, repetitions))


@with_infinities
def choice(
    measurements: pd.DataFrame, protocol: str = DEFAULT, repetitions: int | None = None
) -> pd.DataFrame:
    """What `protocol` picks: (sweep, point, step), at most one row per sweep.

    A sweep without a whole point has no row.
    """
    asked = find(protocol)
    table = handed(measurements, repetitions, asked)
    if not any(set(needed) <= set(table.columns) for needed in asked.needs):
        judged(table, *asked.needs[-1])
    return _checked(asked.pick(table), table, protocol)


def columns(protocol: str) -> list[str] | None:
    """The metrics that `protocol` reads; None: it does not declare them."""
    reads = find(protocol).reads
    return None if reads is None else list(reads)


def line(protocol: str) -> str:
    """What `protocol` picks, in a line; a generic text if it cannot be imported."""
    try:
        return find(protocol).line
    except HtsweepError:
        return _UNKNOWN


def needs(protocol: str) -> Sequence[Sequence[str]]:
    """The columns that `protocol` needs: all of one of these alternatives.

    For a name that cannot be found, none.
    """
    try:
        return find(protocol).needs
    except HtsweepError:  # the checks of a study report it
        return ((),)


def possible(measured: Iterable[str]) -> list[str]:
    """Those of `NAMES` that tables with the columns `measured` can answer."""
    known = set(measured)
    return [name for name in NAMES if any(known.issuperset(columns) for columns in needs(name))]


@with_infinities
def submitted(
    measurements: pd.DataFrame, protocol: str, repetitions: int | None = None
) -> pd.DataFrame:
    """What `protocol` would submit for each sweep, as (sweep, point, step).

    It is a front where the protocol has one, else its pick.
    """
    asked = find(protocol)
    if asked.submit is None:
        return choice(measurements, protocol, repetitions)
    return asked.submit(handed(measurements, repetitions, asked))


def find(protocol: str) -> Protocol:
    """The protocol called `protocol`: one of `PROTOCOLS`, or a user's own from their module.

    A user's own is `module:VALUE` or `module:function`. A function is a protocol that needs no
    column; its attribute `columns` says which it reads.

    Raises:
        HtsweepError: there is no such protocol.
    """
    if protocol in PROTOCOLS:
        return PROTOCOLS[protocol]
    module, colon, attribute = protocol.partition(":")
    if not colon:
        known = (
            f"it is called '{FORMER[protocol]}' now"
            if protocol in FORMER
            else f"{did_you_mean(protocol, NAMES)} (or your own as module:function)"
        )
        raise HtsweepError(f"unknown protocol '{protocol}'; {known}")
    try:
        value = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:  # a user's module may raise anything at import
        raise HtsweepError(
            f"protocol '{protocol}': importing {module} raised {type(error).__name__}: {error}"
        ) from None
    if isinstance(value, Protocol):
        return value
    if not callable(value):
        raise HtsweepError(f"protocol '{protocol}': {module} has no function '{attribute}'")
    first = (value.__doc__ or "").strip().partition("\n")[0]
    return Protocol(
        name=protocol,
        line=first or _UNKNOWN,
        pick=value,
        reads=getattr(value, "columns", None),
    )


def whole(measurements: pd.DataFrame, repetitions: int | None = None) -> pd.DataFrame:
    """The rows of the points whose repetitions are all done."""
    trials = measurements[["trial", "sweep", "point", "status"]].drop_duplicates(["trial", "sweep"])
    counts = _counts(trials)
    expected = _expected(counts, repetitions)
    kept = counts[(counts["done"] >= max(expected, 1)) & (counts["done"] == counts["ended"])]
    inside = trials.merge(kept.reset_index()[["sweep", "point"]], on=["sweep", "point"])["trial"]
    return (
        measurements
        if len(inside) == len(trials)
        else measurements[measurements["trial"].isin(inside)]
    )


def left_out(trials: pd.DataFrame, repetitions: int | None = None) -> pd.DataFrame:
    """The points that no protocol may pick, with how many of their trials ended in which way.

    Columns: sweep, point, `done`, `stopped`, `failed`, `to_come` (have not run yet).
    """
    counts = _counts(trials)
    counts["to_come"] = (_expected(counts, repetitions, "ended") - counts["ended"]).clip(lower=0)
    partial = counts[(counts["done"] < counts["ended"]) | (counts["to_come"] > 0)]
    return partial.reset_index()[["sweep", "point", "done", "stopped", "failed", "to_come"]]


def at(measurements: pd.DataFrame, steps: pd.DataFrame) -> pd.DataFrame:
    """The rows of `measurements` at the (sweep, point, step) of `steps`, in their own order."""
    # First a look-up by point, which leaves few rows for the costlier join on three keys.
    near = measurements[measurements["point"].isin(steps["point"])]
    joined = near[CHOICE].merge(steps[CHOICE].assign(_here=True), on=CHOICE, how="left")
    return near[joined["_here"].notna().to_numpy()].reset_index(drop=True)


def handed(measurements: pd.DataFrame, repetitions: int | None, protocol: Protocol) -> pd.DataFrame:
    """The whole points, without test columns unless the protocol declares that it reads them."""
    table = whole(numbered(measurements), repetitions).reset_index(drop=True)
    if protocol.reads_test:
        return table
    return table.drop(columns=[name for name in table.columns if str(name).startswith(TEST)])


def _counts(trials: pd.DataFrame) -> pd.DataFrame:
    """Per (sweep, point), in order of appearance: how many trials ended, and how."""
    ended = trials[["sweep", "point"]].assign(
        ended=1,
        **{
            status: (trials["status"] == status).astype(int)
            for status in ("done", "stopped", "failed")
        },
    )
    return ended.groupby(["sweep", "point"], sort=False, observed=True).sum()


def _expected(counts: pd.DataFrame, repetitions: int | None, column: str = "done") -> int:
    return (
        repetitions if repetitions is not None else int(counts[column].max() if len(counts) else 0)
    )


def numbered(measurements: pd.DataFrame) -> pd.DataFrame:
    """The measurements with `point_index`.

    Where they lack it, points are numbered in order of appearance in their sweep.
    """
    if "point_index" in measurements.columns:
        return measurements
    points = measurements[["sweep", "point"]].drop_duplicates()
    points = points.assign(
        point_index=points.groupby("sweep", sort=False, observed=True).cumcount()
    )
    return measurements.merge(points, on=["sweep", "point"], how="left")


def _checked(picked: Any, handed: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """What a protocol returned, if it meets the contract of a protocol."""
    missing = [name for name in CHOICE if name not in getattr(picked, "columns", ())]
    if missing:
        raise HtsweepError(
            f"protocol '{protocol}' must return a table with the columns {', '.join(CHOICE)}, "
            f"but it lacks {', '.join(missing)}"
        )
    choice_made: pd.DataFrame = picked[CHOICE].reset_index(drop=True)
    twice = choice_made["sweep"].duplicated()
    if twice.any():
        raise HtsweepError(
            f"protocol '{protocol}' must return one row per sweep, but sweep "
            f"'{choice_made['sweep'][twice].iloc[0]}' has more"
        )
    known = choice_made.merge(last_steps(handed)[["sweep", "point"]], on=["sweep", "point"])
    if len(known) < len(choice_made):
        raise HtsweepError(
            f"protocol '{protocol}' picked a point that its sweep does not have, or that is not "
            "whole"
        )
    return choice_made
