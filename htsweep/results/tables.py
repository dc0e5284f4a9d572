"""The ledger's tables as tidy pandas tables of one study's trials; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from htsweep.ledger.objects import set_aside
from htsweep.planning import task
from htsweep.planning.plan import Plan, Point
from htsweep.planning.roster import COLUMNS, Roster, rows
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def trials(planned: Plan, recorded: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    """One row per ended trial and sweep of the plan that has it, with its `role`.

    Rows are in the order of the study's file.

    Args:
        planned: the plan whose trials to list.
        recorded: the ledger's trials, each with the end that counts.
        names: the factors and parameters that get a column.
    """
    import pandas as pd

    members = Members(planned, names)
    listed = [
        (row["trial"], *place) for row in rows(recorded, COLUMNS) for place in members.places(row)
    ]
    # A factor with the name of a ledger column (`steps`) takes the name, since it is what tells the
    # rows apart.
    ended = recorded.to_pandas().drop(
        columns=["sweep", "point", "point_index", "role", "kind", *members.names], errors="ignore"
    )
    frame = pd.DataFrame(
        listed, columns=["trial", "sweep", "point", "point_index", "role", *members.names]
    )
    table = frame.merge(ended, on="trial", how="inner")
    # In the order of the study's file, whatever ended first.
    order = {sweep.id: number for number, sweep in enumerate(planned.sweeps)}
    places = pd.DataFrame(
        {
            "sweep": table["sweep"].map(order),
            "point": table["point_index"],
            "repetition": table["repetition"],
        }
    )
    return table.loc[places.sort_values([*places], kind="stable").index].reset_index(drop=True)


def measurements(
    study: Study, ended: pd.DataFrame, measured: pa.Table, names: Sequence[str]
) -> pd.DataFrame:
    """One row per measurement of the trials `ended`: `keys(names)`, `step`, and what was measured.

    Args:
        study: whose trials these are.
        ended: as `trials` returns them.
        measured: their measurements, as the ledger returns them.
        names: the factors and parameters that get a column.
    """
    frame = measured.to_pandas()
    columns = keys(names)
    # Tasks of an earlier version could measure something with the name of a key column.
    clash = [name for name in frame.columns if name in columns[1:]]
    for name in clash:
        set_aside(
            f"the measurement '{name}' of study '{study.name}'",
            "the study's tables have a column of that name",
        )
    return ended[columns].merge(frame.drop(columns=clash), on="trial", how="inner")


def keys(names: Sequence[str]) -> list[str]:
    """The columns of measurements that identify a row's trial and what was varied in it."""
    return ["trial", "sweep", "point", "point_index", "role", "repetition", "status", *names]


def rows_of(recorded: pa.Table, trials: Sequence[str]) -> pa.Table:
    """The rows of the ledger's trials that belong to `trials`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return recorded.filter(pc.is_in(recorded.column("trial"), pa.array(trials, pa.string())))


def baseline(study: Study) -> Any:
    """The study's `baseline` as tables have it, a chain by its single name; None without one."""
    if study.baseline is None or study.compared is None:
        return None
    config = task.of(study).resolve({**study.fixed, study.compared: study.baseline})
    return cell(config.get(study.compared, study.baseline))


def cell(value: Any) -> Any:
    """A value of a config as the tables have it: lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def varied(planned: Plan) -> list[str]:
    """The factors, and the parameters that are searched in any sweep."""
    return list(dict.fromkeys([*planned.factors, *planned.searched]))


class Members:
    """Which trials are a study's, and what was varied in each."""

    def __init__(self, planned: Plan, names: Sequence[str] | None = None) -> None:
        """The members of `planned`, each with the values of `names`; None: all that varies."""
        self.names = varied(planned) if names is None else list(names)
        self._planned, self._roster = planned, Roster(planned)
        self._places: dict[str, list[tuple[Any, ...]]] = {}

    def places(self, row: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """(sweep, point, index, role, what was varied...) for each place of a ledger row's trial.

        Empty if the trial is not the study's. A row needs the columns `trial`, `kind`, `task`,
        `sweep`, `point`, `point_index`, `repetition` and `config`.
        """
        points = self._roster.points(row)
        if not points or self._planned.adaptive:
            return [self._place(point) for point in points]
        name = points[0].id
        if name not in self._places:
            self._places[name] = [self._place(point) for point in points]
        return self._places[name]

    def _place(self, point: Point) -> tuple[Any, ...]:
        return (
            point.sweep,
            point.id,
            point.index,
            self._planned.task.role(point.config),
            *_values(point.config, self._planned.by_id[point.sweep].factors, self.names),
        )


def _values(
    config: Mapping[str, Any], factors: Mapping[str, Any], names: Sequence[str]
) -> list[Any]:
    return [cell(config.get(name, factors.get(name))) for name in names]
