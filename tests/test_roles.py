"""The law of roles: whatever sees all classes is on no front and in no test, rank, pooled effect or "best so far"."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from htsweep import results
from htsweep.analysis.findings import Findings
from htsweep.cli.progress import Progress
from htsweep.execution.agenda import Agenda
from htsweep.execution.trial import Outcome
from htsweep.ledger import Ledger, Store
from htsweep.ledger.record import Record
from htsweep.planning import task
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.report.document import document
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.study.schema import Study
from tasks import fine_tuning, holistic_transfer, methods

SEEN, MISSING, OVERALL = "test/seen_accuracy", "test/missing_accuracy", "test/overall_accuracy"
OWN = '''\
"""Methods of a user's own."""
from tasks.methods import Method


def seer(strength: float = 1.0) -> Method:
    """Trains on images of all classes."""
    return Method(all_classes=True)


def sometimes(cheats: bool = False) -> Method:
    """Trains on images of all classes where it is asked to."""
    return Method(all_classes=cheats)


def ensemble() -> Method:
    """Does not train, and changes what is measured."""
    return Method(adapts=False, output=lambda logits, source_logits: logits + source_logits)
'''


@pytest.fixture(scope="module", autouse=True)
def own_methods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The module `own_roles`, importable."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_roles.py").write_text(OWN)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("own_roles", None)


@pytest.mark.parametrize("name", [*methods.NAMES, "own_roles:seer", "own_roles:ensemble"])
@pytest.mark.parametrize("task_name", ["holistic_transfer", "fine_tuning"])
def test_the_role_of_a_method_is_what_the_method_says_of_itself(task_name: str, name: str) -> None:
    found = task.find(task_name)
    method = methods.find(name)()
    role = found.role(found.resolve({"method": name}))
    assert (role == "bound") == method.all_classes
    assert (role == "source") == (not method.adapts and method.output is None)


def test_the_catalogue_has_one_bound_and_one_source() -> None:
    found = {name: methods.role(name, {}) for name in methods.NAMES}
    assert {name: role for name, role in found.items() if role} == {
        "source": "source",
        "oracle": "bound",
    }


@given(st.lists(st.sampled_from([*methods.NAMES, "own_roles:seer"]), min_size=1, max_size=4))
def test_a_chain_is_a_bound_if_any_member_sees_all_classes(names: list[str]) -> None:
    chain = methods.canonical(names)
    bound = any(methods.find(name)().all_classes for name in names)
    assert (methods.role(chain, {}) == "bound") == bound
    # Alone or beside nothing, the source model is the source; adapted, it competes.
    assert (methods.role(chain, {}) == "source") == (set(chain.split("+")) == {"source"})


def test_parameters_decide_where_the_method_says_so() -> None:
    name = "own_roles:sometimes"
    assert methods.role(name, {f"{name}.cheats": False}) == ""
    assert methods.role(name, {f"{name}.cheats": True}) == "bound"


def test_a_name_that_is_no_method_has_no_role() -> None:
    assert methods.role("nonsense", {}) == ""


def test_a_role_that_is_none_is_refused() -> None:
    wrong = task.Task("mine", lambda config, workspace: iter(()))
    assert wrong.role({}) == ""
    wrong.run.role = lambda config: "judge"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"task 'mine' answers role\(config\) with 'judge'"):
        wrong.role({})


def test_the_empty_chain_is_what_the_tasks_resolve_nothing_to() -> None:
    for module in (holistic_transfer, fine_tuning):
        found = task.find(module.__name__.removeprefix("tasks."))
        assert found.resolve({"method": ""})["method"] == found.empty
        assert found.resolve({})["method"] == found.empty


def test_a_role_is_part_of_no_id(study_file: Callable[..., Path]) -> None:
    study = read(study_file(STUDY))
    before = plan(study)
    role, of = before.task.run.role, before.task.run  # type: ignore[attr-defined]
    try:
        of.role = lambda config: "bound"  # type: ignore[attr-defined]
        after = plan(study)
    finally:
        of.role = role  # type: ignore[attr-defined]
    assert {sweep.role for sweep in after.sweeps} == {"bound"}
    assert [sweep.id for sweep in after.sweeps] == [sweep.id for sweep in before.sweeps]
    assert [each[2] for each in after.trials()] == [each[2] for each in before.trials()]


STUDY = """\
study: roles
task: holistic_transfer
grid:
  missing_ratio: [0.3, 0.5]
  method: [source, plain, oracle, [oracle, l2sp], l2sp, "own_roles:seer"]
repetitions: 6
"""
BOUNDS = {"oracle", "l2sp+oracle", "own_roles:seer"}


def fill(planned: Plan, folder: Path) -> None:
    """A ledger of trials that never ran: bounds are the best of all on everything, and cost least."""
    ledger = Ledger(Store(str(folder)))
    for number, (point, repetition, trial) in enumerate(planned.trials()):
        method = str(point.config["method"])
        better = 0.4 if planned.task.role(point.config) == "bound" else 0.0
        place = 0.02 * planned.factors.index("method") + 0.01 * len(method) + 0.003 * repetition
        seen, missing = 0.3 + better + place, 0.2 + better - 0.5 * place
        record = Record(
            trial=trial,
            kind="trial",
            status="done",
            task=planned.study.task,
            config=json.dumps(point.config),
            repetition=repetition,
            sweep=point.sweep,
            point=point.id,
            point_index=point.index,
            steps=1,
            seconds=1.0,
            started=1.7e9 + number,
            ended=1.7e9 + number + 1,
        )
        measured = {SEEN: seen, MISSING: missing, OVERALL: (seen + missing) / 2}
        extra = {"validation/seen_accuracy": seen, "seconds": 0.1 if better else 1.0}
        ledger.append(record, [{"step": 1, **measured, **extra}])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, str]:
    """The study and a ledger of it."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(STUDY)
    found = read(folder / "study.yaml")
    fill(plan(found), folder / "results")
    return found, str(folder / "results")


@pytest.fixture(scope="module")
def found(study: tuple[Study, str]) -> Findings:
    return build.findings(Results(*study))


def of_bounds(table: pd.DataFrame) -> pd.DataFrame:
    rows = table[table["method"].isin(BOUNDS)]
    assert len(rows), "the table shows the bounds"
    return rows


def test_tables_carry_the_role_of_each_trial(study: tuple[Study, str]) -> None:
    for table in (results.trials(*study), results.measurements(*study)):
        roles = table.groupby("method")["role"].agg(set).to_dict()
        assert roles == {
            "source": {"source"},
            "plain": {""},
            "l2sp": {""},
            **{name: {"bound"} for name in BOUNDS},
        }


def test_a_bound_is_on_no_front(found: Findings) -> None:
    points = of_bounds(found.points)
    assert not points["front"].any()
    assert points["probability"].isna().all()
    assert not of_bounds(found.costs)["front"].any()
    assert of_bounds(found.volumes)["contribution"].isna().all()
    # It takes nothing from the others: each group has a front, and of competitors alone.
    fronts = found.points[found.points["front"]]
    assert fronts.groupby("missing_ratio").size().min() > 0
    assert set(fronts["method"]) <= {"source", "plain", "l2sp"}


def test_a_bound_is_in_no_test_and_has_no_rank(found: Findings) -> None:
    for table in (found.effects, found.pooled):
        rows = of_bounds(table)
        assert set(rows["verdict"]) == {"bound"}
        assert rows["p_holm"].isna().all()
        # Nor does it make the family larger: two competitors against the baseline.
        others = table[~table["method"].isin(BOUNDS)]
        assert (others["p_holm"] <= 2 * others["p"] + 1e-12).all()
    # Ratios of one target are one block, too few for ranks.
    assert found.ranks.empty
    assert found.cliques.empty
    assert not set(found.runners_up["method"]) & BOUNDS
    assert not set(found.runners_up["baseline"]) & BOUNDS


def test_a_bound_is_the_best_of_nothing_in_the_report(found: Findings) -> None:
    text = document(found)["report.md"]
    rows = [line for line in text.splitlines() if line.startswith(tuple(f"| {n} " for n in BOUNDS))]
    assert rows
    assert not any("**" in row for row in rows)
    highest = found.summary.sort_values("mean").groupby(["missing_ratio", "metric"]).tail(1)
    assert len(highest)
    assert set(highest["method"]) <= BOUNDS, "the bounds are the highest of all"
    from htsweep.report.answers import answers

    assert not any(name in line for line in answers(found) for name in BOUNDS)


def test_the_baseline_is_what_the_task_calls_empty(found: Findings) -> None:
    assert found.baseline == "plain"


def test_what_a_launch_shows_as_best_is_no_bound(study: tuple[Study, str]) -> None:
    agenda, shown = Agenda(plan(study[0]), {}), Progress("s", Console(file=io.StringIO()))
    for point, repetition, _ in agenda.plan.trials():
        job = agenda.plan.job(point, repetition)
        high = 0.9 if job.config["method"] in BOUNDS else 0.5
        shown.ended(agenda, job, Outcome(job.trial, "done", values={SEEN: high, MISSING: high}))
    assert shown.standing is not None
    assert {place.best.method for place in shown.standing.places()} <= {"source", "plain", "l2sp"}
    assert {place.score for place in shown.standing.places()} == {0.5}


def test_an_estimate_counts_no_comparison_with_a_bound(study: tuple[Study, str]) -> None:
    # Of six methods three are bounds, and one is the baseline.
    assert estimate(Results(*study)).comparisons == 2


@settings(max_examples=15, deadline=None)
@given(bounds=st.sets(st.sampled_from(["plain", "l2sp", "ewc", "tred"]), max_size=3))
def test_what_a_bound_measures_moves_no_competitor(bounds: set[str]) -> None:
    """Whatever is a bound: the others' front, tests and ranks are as if it were not there."""
    from frames import digits

    from htsweep.analysis.design import design
    from htsweep.analysis.effects import effects
    from htsweep.analysis.frontier import frontier
    from htsweep.analysis.ranks import ranks

    values = {"source": (0.6, 0.6), "plain": (0.9, 0.1), "l2sp": (0.8, 0.4), "ewc": (0.7, 0.3)}
    frame = digits({**values, "tred": (0.85, 0.35)}, datasets=("a", "b"), repetitions=6)
    frame = frame[frame["step"] == 1]
    frame["role"] = ["bound" if name in bounds else "" for name in frame["method"]]
    without = frame[frame["role"] == ""]
    cells = design(frame.columns)
    for of in (
        lambda table: frontier(table, design=cells),
        lambda table: effects(table, cells, [SEEN], "source"),
        lambda table: ranks(table, cells, [SEEN]),
    ):
        both, alone = of(frame), of(without)
        kept = both[~both["method"].isin(bounds)].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, alone.reset_index(drop=True), check_dtype=False)
