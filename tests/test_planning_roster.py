"""Which rows of a ledger are a plan's: the same whether the plan is listed or too large for that."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from large import BILLION, MILLION, TASKS, Built

from htsweep.ledger import Ledger, Record, Store
from htsweep.planning.plan import Plan, Point, plan
from htsweep.planning.reading import read
from htsweep.planning.roster import COLUMNS, Roster, rows

GRID = "task: toy\ngrid: {noise: [0.0, 0.01]}\nrepetitions: 2\nsearch: {spaces: {all: {x: [0.1, 0.2, 0.3], steps: [1, 2]}}}\n"
QMC = (
    "task: toy\ngrid: {steps: [1, 2]}\nsearch: {sampler: qmc, trials: 20, spaces: {all: {x: {low: "
    "0, high: 1, default: 0.5}, "
    "y: 0.5}}}\n"
)
MERGING = (
    "task: large_tasks:merging\ngrid: {b: [1, 2]}\nrepetitions: 2\n"
    "search: {spaces: {all: {a: [0.1, 0.2, 0.9, 1.1, 2.6], c: [x, y]}}}\n"
)
DROPPING = "task: large_tasks:dropping\ngrid: {q: [1, 2]}\nsearch: {spaces: {all: {a: [0, 1], b: [1, 2, 3]}}}\n"


@pytest.fixture
def planned(study_file: Callable[..., Path]) -> Callable[..., Plan]:
    study_file(TASKS, "large_tasks.py")
    return lambda text, *overrides: plan(read(study_file(text), overrides))


def row(of: Plan, point: Point, repetition: int, **other: Any) -> dict[str, Any]:
    job = of.job(point, repetition)
    return {
        "trial": job.trial,
        "kind": "trial",
        "task": job.task,
        "status": "done",
        "sweep": job.sweep,
        "point": job.point,
        "point_index": job.index,
        "repetition": repetition,
        "config": json.dumps(dict(job.config), sort_keys=True),
        "stages": json.dumps(dict(job.stages)),
    } | other


def every(of: Plan, count: int = 200) -> Iterator[dict[str, Any]]:
    """The rows of the plan's trials, and of their stages."""
    trials = list(itertools.islice(of.trials(), count))
    yield from (row(of, point, repetition) for point, repetition, _ in trials)
    for trial, stage in of.stages((point, repetition) for point, repetition, _ in trials).items():
        yield {
            "trial": trial,
            "kind": "stage",
            "task": stage.task,
            "status": "done",
            "sweep": "",
            "point": stage.point,
            "point_index": 0,
            "repetition": stage.repetition,
            "config": json.dumps(dict(stage.config)),
            "stages": json.dumps(dict(stage.stages)),
        }


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        *(
            (text, changes)
            for text in (GRID, QMC, MERGING, DROPPING)
            for changes in ((), ("repetitions=1",), ("repetitions=3",))
        ),
        *((text, ("search.trials=3",)) for text in (GRID, QMC, MERGING, DROPPING)),
        (GRID, ("search.spaces.all.x=[0.05, 0.1, 0.15, 0.3]",)),
        (GRID, ("grid.noise=[0.01]",)),
        (GRID, ("fixed.fail=''",)),
        (
            GRID,
            (
                "search.spaces.all.x={choices: [0.3, 0.2, 0.1], default: 0.2}",
                "search.spaces.all.steps=[2, 1]",
            ),
        ),
        (QMC, ("search.spaces.all.x={low: 0, high: 1}",)),
        (QMC, ("search.spaces.all.y=0.25",)),
        (QMC, ("grid.steps=[2, 3]",)),
        (MERGING, ("search.spaces.all.a=[2.6, 1.1, 0.0]",)),
        (MERGING, ("grid.b=[2, 3]",)),
        (MERGING, ("grid={a: [0.1, 1.1]}", "search.spaces.all={b: [1, 2], c: [x, y]}")),
        (DROPPING, ("search.spaces.all.b=[3, 1]",)),
        (DROPPING, ("search.spaces.all.a=[1]",)),
    ],
)
def test_a_plan_that_is_not_listed_has_the_same_rows(
    planned: Callable[..., Plan],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    changes: tuple[str, ...],
) -> None:
    """What was run of a study before it was changed, and what was not: to look a row up gives what a list gives."""
    before = planned(text)
    listed = planned(text, *changes)
    expected = {row["trial"]: points for row, points in Roster(listed).own(every(before))}
    monkeypatch.setattr("htsweep.planning.plan.MOST_LISTED", 0)
    large = planned(text, *changes)
    assert not large.exact
    found = {row["trial"]: points for row, points in Roster(large).own(every(before))}
    assert found.keys() == expected.keys()
    for trial, points in found.items():
        assert [(point.sweep, point.id) for point in points] == [
            (point.sweep, point.id) for point in expected[trial]
        ]


def test_rows_of_a_large_plan_are_found_without_a_walk(
    planned: Callable[..., Plan], built: Built
) -> None:
    for text in (BILLION, MILLION):
        found = planned(text)
        mine = list(every(found, 30))
        built.points = 0
        roster = Roster(found)
        assert [len(roster.points(one)) for one in mine] == [1] * 30
        assert built.points <= 60
        # A point far away is as near.
        sweep = found.sweeps[-1]
        far = found.at(sweep, 600_000)
        assert far is not None
        assert roster.points(row(found, far, 0, sweep="of another study", point_index=7))[:1] == (
            (far,) if found.sampler == "grid" else ()
        )
        assert roster.points(row(found, far, 0)) == (far,)


def test_other_rows_are_nobody_s(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in (20_000, 0):
        monkeypatch.setattr("htsweep.planning.plan.MOST_LISTED", most)
        found = planned(GRID)
        [first, *_] = every(found)
        roster = Roster(found)
        assert roster.points(first)
        for other in (
            {"task": "another"},
            {"kind": "stage"},
            {"repetition": 2},
            {"repetition": None},
            {"trial": "0" * 20},
            {"point": "0" * 16, "config": "{}"},
        ):
            assert roster.points({**first, **other}) == (), other
        # A row that does not name its point has it in its config.
        assert roster.points(
            {**first, "point": None, "sweep": None, "point_index": None}
        ) == roster.points(first)
        assert roster.points({**first, "point": None, "config": None}) == ()
        assert roster.points({**first, "point": "", "config": '{"x": "none of this"}'}) == ()


def test_stages_are_those_that_the_trials_need(planned: Callable[..., Plan]) -> None:
    mine, other = planned(MERGING), planned(MERGING, "grid.b=[7]")
    found = [
        one["trial"]
        for one, points in Roster(mine).own([*every(mine), *every(other)])
        if not points
    ]
    needed = mine.stages((point, repetition) for point, repetition, _ in mine.trials())
    assert sorted(found) == sorted(needed)
    assert len(needed) == 2 * (1 + 2)  # each repetition has an inner stage, and one for each b


def test_a_table_is_read_a_few_rows_at_a_time(tmp_path: Path, planned: Callable[..., Plan]) -> None:
    ledger = Ledger(Store(tmp_path / "results"))
    found = planned(GRID)
    for one in every(found):
        ledger.append(Record(**one), [])
    table = ledger.trials()
    assert list(rows(table, [*COLUMNS, "trial"])) == table.select(list(COLUMNS)).to_pylist()
    assert (
        len([one for one, points in Roster(found).own(rows(table, COLUMNS)) if points])
        == found.trial_count
    )
