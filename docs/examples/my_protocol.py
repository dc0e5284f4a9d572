"""A selection protocol of one's own: `select: my_protocol:SETTLED` in a study beside this file."""

import pandas as pd

from htsweep.selection import Protocol

SEEN = "validation/seen_accuracy"


def settled(measurements: pd.DataFrame) -> pd.DataFrame:
    """The point whose repetitions agree most on validation accuracy at its last step.

    Ties go to the first point.

    Args:
        measurements: one row per trial and step, of points of which every repetition is done;
            test columns are not there.

    Returns:
        `sweep`, `point` and `step`, one row per sweep.
    """
    last = measurements.sort_values("step").drop_duplicates("trial", keep="last")
    spread = (
        last.groupby(["sweep", "point", "point_index"])
        .agg(step=("step", "max"), spread=(SEEN, "std"))
        .reset_index()
        .round({"spread": 12})
    )
    ordered = spread.sort_values(["sweep", "spread", "point_index"])
    return ordered.drop_duplicates("sweep")[["sweep", "point", "step"]]


SETTLED = Protocol(
    name="settled",
    line="the configuration whose repetitions agree most on validation accuracy",
    pick=settled,
    reads=(SEEN,),
    needs=((SEEN,),),
)
