"""What the ledger has of a study, as tidy pandas tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from htsweep.ledger import Ledger, Store
from htsweep.ledger.objects import set_aside
from htsweep.ledger.tables import Kind
from htsweep.planning import task
from htsweep.planning.plan import Plan, Point, plan
from htsweep.planning.roster import COLUMNS, Roster, rows
from htsweep.results import screen
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def trials(study: Study, results: str = "results") -> pd.DataFrame:
    """One row per ended trial of the study: how it ended, its sweep, point and `role`, a column per factor and parameter."""
    planned, ledger = plan(study), Ledger(Store(results))
    return _trials(screen.kept(planned, ledger), ledger.trials(), varied(planned))


def measurements(
    study: Study, results: str = "results", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """One row per measurement of the study's trials: `step`, the numbers (or the `columns` of them), and what was varied."""
    return load(study, results, columns)[1]


def load(
    study: Study,
    results: str = "results",
    columns: Sequence[str] | None = None,
    *,
    everything: bool = False,
    kind: Kind = "any",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of `trials` and `measurements` from one reading of the ledger.

    Args:
        study: whose trials they hold; of a screened one, those of the pairs that are kept.
        results: a folder or a URI.
        columns: of the measurements; None: all.
        everything: also the trials of dropped pairs, as far as the ledger has them.
        kind: `numbers` or `lists` alone; `any`: both, and where trials measured numbers and lists
            under one name, the lists under the name followed by `[]`.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    planned = plan(study)
    ledger = Ledger(Store(results))
    table = ledger.trials()
    ended = _trials(planned if everything else screen.kept(planned, ledger), table, varied(planned))
    wanted = table.filter(
        pc.is_in(table.column("trial"), pa.array(ended["trial"].unique(), pa.string()))
    )
    measured = ledger.measurements(columns, wanted, kind).to_pandas()
    keys = [
        *("trial", "sweep", "point", "point_index", "role", "repetition", "status"),
        *varied(planned),
    ]
    # Tasks of an earlier version could measure something called like a column that says which trial
    # it is of.
    clash = [name for name in measured.columns if name in keys[1:]]
    for name in clash:
        set_aside(
            f"the measurement '{name}' of study '{study.name}'",
            "the study's tables have a column of that name",
        )
    return ended, ended[keys].merge(measured.drop(columns=clash), on="trial", how="inner")


def lists(results: str, columns: Sequence[str], trials: Sequence[str]) -> pd.DataFrame:
    """`trial`, `step` and `columns` of some trials: for lists, of which all together may not fit in memory."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ledger = Ledger(Store(results))
    table = ledger.trials()
    wanted = table.filter(pc.is_in(table.column("trial"), pa.array(list(trials), pa.string())))
    found: pd.DataFrame = ledger.measurements(columns, wanted, "lists").to_pandas()
    return found


def factors(study: Study) -> list[str]:
    """The columns that say which cell of the grid, or which variant of an ablation, a row is from."""
    return list(study.grid) if study.ablate is None else list(plan(study).factors)


def parameters(study: Study) -> list[str]:
    """The parameters that are searched in any sweep, and are no factors."""
    own = factors(study)
    return [name for name in varied(plan(study)) if name not in own]


def baseline(study: Study) -> Any:
    """The study's `baseline` as the tables have it (a chain by its one name); None where the study names none."""
    if study.baseline is None or study.compared is None:
        return None
    found = (
        task.find(study.task)
        .resolve({**study.fixed, study.compared: study.baseline})
        .get(study.compared, study.baseline)
    )
    return json.dumps(found) if isinstance(found, list | dict) else found


def varied(planned: Plan) -> list[str]:
    """The factors, and the parameters that are searched in any sweep."""
    return list(dict.fromkeys([*planned.factors, *planned.searched]))


class Members:
    """Which trials are a study's, and what was varied in each."""

    def __init__(self, planned: Plan, names: Sequence[str] | None = None) -> None:
        """The members of `planned`; `names`: what is told of each, None: all that varies in the plan."""
        self.names = varied(planned) if names is None else list(names)
        self._planned, self._roster = planned, Roster(planned)
        self._places: dict[str, list[tuple[Any, ...]]] = {}

    def places(self, row: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """(sweep, point, index, role, what was varied...) of a row of the ledger's trials; empty where it is not the study's.

        A row needs the columns `trial`, `kind`, `task`, `sweep`, `point`, `point_index`,
        `repetition` and `config`.
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


def _trials(planned: Plan, table: pa.Table, names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    members = Members(planned, names)
    listed = [
        (row["trial"], *place) for row in rows(table, COLUMNS) for place in members.places(row)
    ]
    # A factor that is called like a column of the ledger (`steps`) is what tells the rows apart: it
    # takes the name.
    ended = table.to_pandas().drop(
        columns=["sweep", "point", "point_index", "role", "kind", *members.names], errors="ignore"
    )
    frame = pd.DataFrame(
        listed, columns=["trial", "sweep", "point", "point_index", "role", *members.names]
    )
    # In the order of the study's file, whatever ended first.
    order = {sweep.id: number for number, sweep in enumerate(planned.sweeps)}
    found = frame.merge(ended, on="trial", how="inner")
    places = pd.DataFrame(
        {
            "sweep": found["sweep"].map(order),
            "point": found["point_index"],
            "repetition": found["repetition"],
        }
    )
    return found.loc[places.sort_values([*places], kind="stable").index].reset_index(drop=True)


def _values(
    config: Mapping[str, Any], factors: Mapping[str, Any], names: Sequence[str]
) -> list[Any]:
    found = [config.get(name, factors.get(name)) for name in names]
    return [json.dumps(value) if isinstance(value, list | dict) else value for value in found]
