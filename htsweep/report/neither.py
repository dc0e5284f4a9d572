"""What a report says of classes that are neither seen nor missing, if there are any."""

from __future__ import annotations

from htsweep.report.names import PERCENT
from htsweep.results.results import Results

SHARE = "test/other_share"
"""The share of test images for which a class that is neither seen nor missing is predicted."""


def told(results: Results) -> str:
    """A sentence on them with the range of `SHARE` over all trials; "" if no trial measured it."""
    measured = results.measurements([SHARE], kind="numbers")
    shares = measured[SHARE].dropna() if SHARE in measured else measured.iloc[:0, 0]
    if shares.empty:
        return ""
    low, high = (PERCENT * float(bound) for bound in (shares.min(), shares.max()))
    return (
        "the source model knows classes that the target lacks: they compete in each prediction "
        f"over all classes, and one of them is predicted for {low:.1f} to {high:.1f} % of the test "
        f"images ({SHARE})"
    )
