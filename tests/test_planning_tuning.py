"""Equal tuning: settings that methods share are searched alike for each, and what is unequal is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning import tuning
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.estimate import estimate

HEAD = "study: s\ntask: holistic_transfer\n"
GRID = "grid: {method: [source, plain, frozen_classifier, l2sp, oracle]}\n"
TRAINING = "training: {learning_rate: , momentum: [0.0, 0.9]}"


@pytest.fixture
def planned(study_file: Callable[..., Path]) -> Callable[[str], Plan]:
    return lambda text: plan(read(study_file(HEAD + text)))


@pytest.mark.parametrize("sampler", ["grid", "random", "qmc"])
def test_methods_of_equal_spaces_get_equal_points(
    planned: Callable[[str], Plan], sampler: str
) -> None:
    whole = planned(f"{GRID}search: {{sampler: {sampler}, trials: 7, spaces: {{{TRAINING}}}}}\n")
    points: dict[str, list[dict[str, object]]] = {}
    for sweep in whole.sweeps:
        points[str(sweep.factors["method"])] = [
            dict(point.parameters) for point in whole.points_of(sweep)
        ]
    assert points["plain"] == points["frozen_classifier"] == points["oracle"]
    assert len(points["plain"]) == 7
    assert len(points["source"]) == 1  # it does not train


def test_with_a_space_of_its_own_a_method_gets_the_same_shared_values(
    planned: Callable[[str], Plan],
) -> None:
    whole = planned(f"{GRID}search: {{sampler: random, trials: 9, spaces: {{{TRAINING}}}}}\n")
    rates = {}
    for sweep in whole.sweeps:
        walked = list(whole.points_of(sweep))[1:]  # after the defaults
        rates[sweep.factors["method"]] = [point.parameters["learning_rate"] for point in walked]
    assert rates["l2sp"] == rates["plain"]
    assert len(set(rates["plain"])) == 8


@pytest.mark.parametrize(("task", "rate"), [("holistic_transfer", 0.0002), ("fine_tuning", 0.001)])
def test_the_first_point_is_the_task_s_default(
    study_file: Callable[..., Path], task: str, rate: float
) -> None:
    text = f"task: {task}\ngrid: {{method: [plain]}}\nsearch: {{spaces: {{{TRAINING}}}}}\n"
    whole = plan(read(study_file(text)))
    first = whole.points[0].parameters
    assert first == {"learning_rate": rate, "momentum": 0.9}
    # A grid without the default begins with its first value.
    other = text.replace("learning_rate: ,", "learning_rate: [0.3, 0.4],")
    assert plan(read(study_file(other))).points[0].parameters["learning_rate"] == 0.3


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (
            "learning_rte: ",
            "line 3: search.spaces.training.learning_rte: .*did you mean 'learning_rate'",
        ),
        ("backbone: [a]", "'backbone' is no setting of training: .*searched under `all`"),
        ("momentum: [1.5]", "must be at most"),
        ("learning_rate: {low: 2}", "high"),
    ],
)
def test_mistakes_in_the_space_are_said_with_their_line(
    study_file: Callable[..., Path], space: str, said: str
) -> None:
    text = "task: holistic_transfer\ngrid: {method: [plain]}\nsearch: {spaces: {training: {%s}}}\n"
    with pytest.raises(StudyError, match=said):
        read(study_file(text % space))


def test_budgets_are_counted_for_what_competes(planned: Callable[[str], Plan]) -> None:
    whole = planned(
        f"{GRID}search: {{sampler: grid, spaces: {{l2sp: {{backbone: [0.1, 1.0], head: [0.1]}}, {TRAINING}}}}}\n"
    )
    found = {str(budget.value): (budget.points, budget.keys) for budget in tuning.budgets(whole)}
    assert found == {
        "plain": (8, ("learning_rate", "momentum")),
        "frozen_classifier": (8, ("learning_rate", "momentum")),
        "l2sp": (16, ("l2sp.backbone", "learning_rate", "momentum")),
    }
    assert tuning.lines(whole) == [
        "tuned   plain, frozen_classifier: 8 points each over learning_rate, momentum",
        "tuned   l2sp: 16 points each over l2sp.backbone, learning_rate, momentum",
        "tuned   Budgets differ: plain, frozen_classifier have 8 points, l2sp 16; what has more is "
        "more likely to come out ahead by chance.",
    ]


def test_what_is_unequal_is_a_sentence(planned: Callable[[str], Plan]) -> None:
    few = "grid: {method: [plain, l2sp]}\n"
    own = "l2sp: {backbone: [0.1, 1.0], head: [0.1]}"
    assert tuning.unequal(planned(few)).startswith("No setting is searched")
    untuned = tuning.unequal(planned(f"{few}search: {{sampler: grid, spaces: {{{own}}}}}\n"))
    assert "plain has 1 point, l2sp 2" in untuned
    assert "such as the learning rate, are not searched" in untuned
    equal = f"{few}search: {{sampler: random, trials: 6, spaces: {{{TRAINING}}}}}\n"
    assert tuning.unequal(planned(equal)) == ""
    assert tuning.unequal(planned("grid: {method: [plain, oracle]}\n")) == ""  # nothing to compare


def test_plan_says_it(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path = study_file(
        f"{HEAD}{GRID}search: {{sampler: random, trials: 4, spaces: {{{TRAINING}}}}}\n"
    )
    told = estimate(Results(read(path), str(tmp_path / "results"))).lines()
    assert "tuned   plain, frozen_classifier: 4 points each over learning_rate, momentum" in told
