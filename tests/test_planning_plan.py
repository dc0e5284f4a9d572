"""A plan is a function, only grows when a study grows, and may be of any size."""

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from large import BILLION, MERGED, MILLION, TASKS, Built

from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.planning.screen import plan_of
from htsweep.study.schema import Study

HOLISTIC = """\
task: holistic_transfer
grid:
  dataset: [mnist-uci]
  missing_ratio: [0.3, 0.5]
  method: [plain, l2sp]
  l2sp.backbone: [0.01, 0.1]
repetitions: 2
"""


@pytest.fixture
def planned(study_file: Callable[..., Path]) -> Callable[..., Plan]:
    def make(text: str, *overrides: str) -> Plan:
        return plan(read(study_file(text), overrides))

    return make


def ids(planned: Plan) -> set[str]:
    return {trial for _, _, trial in planned.trials()}


def stages(planned: Plan) -> set[str]:
    return set(planned.stages((point, repetition) for point, repetition, _ in planned.trials()))


def study_of(xs: Sequence[float], ys: Sequence[float], repetitions: int) -> Study:
    return Study(
        study="s", task="toy", grid={"x": list(xs), "y": list(ys)}, repetitions=repetitions
    )


UNIT = st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True)


@settings(max_examples=50, deadline=None)
@given(UNIT, UNIT, st.integers(1, 3), st.data())
def test_a_plan_is_a_function_and_only_grows(
    xs: list[float], ys: list[float], repetitions: int, data: st.DataObject
) -> None:
    whole = plan(study_of(xs, ys, repetitions))
    assert [trial for *_, trial in whole.trials()] == [
        trial for *_, trial in plan(study_of(xs, ys, repetitions)).trials()
    ]
    assert len(ids(whole)) == whole.trial_count == len(xs) * len(ys) * repetitions
    part = study_of(
        data.draw(st.lists(st.sampled_from(xs), min_size=1, unique=True)),
        ys,
        data.draw(st.integers(1, repetitions)),
    )
    assert ids(plan(part)) <= ids(whole)
    assert ids(plan(study_of(xs[::-1], ys[::-1], repetitions))) == ids(whole)


def test_what_cannot_matter_makes_no_sweep(planned: Callable[..., Plan]) -> None:
    """l2sp.backbone says nothing to plain fine-tuning."""
    found = planned(HOLISTIC)
    assert [found.sizes[sweep.id] for sweep in found.sweeps] == [1, 2, 1, 2]
    assert found.trial_count == 12
    assert all(
        "l2sp.backbone" not in sweep.factors
        for sweep in found.sweeps
        if sweep.factors["method"] == "plain"
    )


def test_a_source_model_is_shared_by_all_that_mean_the_same(planned: Callable[..., Plan]) -> None:
    assert len(stages(planned(HOLISTIC))) == 2
    assert stages(planned(HOLISTIC, "grid.method=[l2sp, lolsgd]")) == stages(planned(HOLISTIC))
    assert len(stages(planned(HOLISTIC, "grid.dataset=[mnist-uci, uci-mnist]"))) == 4
    assert not stages(planned(HOLISTIC)) & stages(planned(HOLISTIC, "fixed.source_epochs=1"))


def test_a_chain_has_one_name(planned: Callable[..., Plan]) -> None:
    text = HOLISTIC.replace("[plain, l2sp]", "[[lolsgd, l2sp]]")
    assert ids(planned(text)) == ids(planned(text.replace("[[lolsgd, l2sp]]", '["lolsgd+l2sp"]')))


def test_defaults_written_out_mean_the_same(planned: Callable[..., Plan]) -> None:
    assert ids(planned(HOLISTIC)) == ids(planned(HOLISTIC, "fixed.batch_size=64"))
    assert not ids(planned(HOLISTIC)) & ids(planned(HOLISTIC, "fixed.batch_size=32"))


def test_budget_resources_and_name_are_not_identity(planned: Callable[..., Plan]) -> None:
    changed = planned(
        HOLISTIC,
        "budget.trials=3",
        "resources.cpu=2",
        "study=other",
        "select=test_accuracy",
        "retry.attempts=5",
    )
    assert ids(changed) == ids(planned(HOLISTIC))


def test_a_search_opens_points_in_each_sweep(planned: Callable[..., Plan]) -> None:
    text = "task: toy\ngrid: {y: [0.1, 0.2]}\nrepetitions: 3\nsearch: {spaces: {all: {x: [0.1, 0.2, 0.3, 0.4]}}}\n"
    found = planned(text)
    assert (len(found.sweeps), len(found.points), found.trial_count) == (2, 8, 24)
    assert ids(planned(text, "search.trials=2")) < ids(found)
    assert planned(text, "search.trials=2").trial_count == 12


def test_random_points_do_not_depend_on_the_sweep(planned: Callable[..., Plan]) -> None:
    text = "task: toy\ngrid: {y: [0.1, 0.2]}\nsearch: {sampler: random, trials: 5, spaces: {all: {x: {low: 0, high: 1}}}}\n"
    points: dict[str, list[object]] = {}
    for point in planned(text).points:
        points.setdefault(point.sweep, []).append(point.parameters["x"])
    first, second = points.values()
    assert first == second
    assert len(set(first)) == 5


def test_an_adaptive_sampler_s_points_are_counted_not_known(planned: Callable[..., Plan]) -> None:
    found = planned(
        "task: toy\nobjectives: [{metric: validation/score}]\nrepetitions: 2\n"
        "search: {sampler: tpe, trials: 7, spaces: {all: {x: {low: 0, high: 1}}}}\n"
    )
    assert (found.points, found.trial_count) == ((), 14)


# -- ids that are kept
# ------------------------------------------------------------------------------------------------------


STUDIES = Path(__file__).parent.parent / "studies"


GOLDEN = Path(__file__).parent / "golden" / "ids.json"
"""Of each ready study: how many trials and stages it has, and a digest of their ids in their order,
scores of its screen too.
"""


READY = sorted(
    path.stem for path in STUDIES.glob("*.yaml") if "folder:" not in path.read_text("utf-8")
)
"""The ready studies whose data comes with htsweep: a trial's id depends on its images' content."""


@pytest.mark.parametrize("name", READY)
def test_the_ready_studies_have_the_trials_that_they_always_had(name: str) -> None:
    """What was run of them stays theirs. A study that is new, or changed on purpose, is written into tests/golden/ids.json."""
    # Shared trainings spare work, and change the id of no trial and of no other stage.
    whole = plan(read(STUDIES / f"{name}.yaml", ["share_trainings=false"]))
    shared = plan(read(STUDIES / f"{name}.yaml"))
    assert [trial for *_, trial in shared.trials()] == [trial for *_, trial in whole.trials()]
    scored = plan_of(whole)
    found = {}
    for part, one in (("study", whole), ("scores", scored)):
        if one is not None:
            trials = [trial for *_, trial in one.trials()]
            stages = list(one.stages((point, repetition) for point, repetition, _ in one.trials()))
            found[part] = {
                "trials": len(trials),
                "stages": len(stages),
                "digest": hashlib.sha256("\n".join([*trials, *stages]).encode()).hexdigest()[:16],
            }
    assert json.loads(GOLDEN.read_text())[name] == found


# -- any size
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (BILLION, 10**9),
        (MILLION, 3_840_000),
        (BILLION + "repetitions: 1000000\n", 10**15),
        (MERGED, 600),
        ("task: toy\ngrid: {x: [0.1, 0.2]}\nrepetitions: 500000000000000000\n", 10**18),
        (
            "task: toy\nsearch: {sampler: qmc, trials: 1073741824, spaces: {all: {x: {low: 0, "
            "high: 1}}}}\n",
            2**30,
        ),
        ("task: toy\nsearch: {sampler: random, trials: 1000000000, spaces: {all: {x: 0.5}}}\n", 1),
        (
            "task: toy\nsearch: {sampler: random, trials: 1000000000, spaces: {all: {x: [0.1, "
            "0.2], steps: [1, 2]}}}\n",
            4,
        ),
        (
            "task: toy\nobjectives: [{metric: validation/score}]\n"
            "search: {sampler: tpe, trials: 1000000000, spaces: {all: {x: {low: 0, high: 1}}}}\n",
            10**9,
        ),
    ],
)
def test_a_plan_of_any_size_is_counted_for_few_points(
    planned: Callable[..., Plan],
    study_file: Callable[..., Path],
    built: Built,
    text: str,
    count: int,
) -> None:
    study_file(TASKS, "large_tasks.py")
    found = planned(text)
    assert found.trial_count == count
    assert sum(found.sizes.values()) * found.study.repetitions == count
    assert built.points <= 25_000
    few = list(itertools.islice(found.trials(), 50))
    assert len({trial for *_, trial in few}) == len(few)
    assert len(found.known_stages) <= 3


@pytest.mark.parametrize(
    "text",
    [
        "task: large_tasks:merging\ngrid: {b: [1, 2]}\nrepetitions: 3\n"
        "search: {spaces: {all: {a: [0.1, 0.2, 0.9, 1.1, 2.6], c: [x, y]}}}\n",
        "task: large_tasks:merging\ngrid: {a: [0.1, 0.2, 0.9, 1.1, 2.6], b: [1, 2]}\nrepetitions: "
        "3\n",
        "task: large_tasks:dropping\ngrid: {a: [0, 1, 2]}\nsearch: {sampler: random, trials: 20, "
        "spaces: {all: {b: [1, 2, 3]}}}\n",
        "task: toy\ngrid: {steps: [1, 2]}\nsearch: {sampler: qmc, trials: 20, spaces: {all: {x: "
        "{low: 0, high: 1, default: 0.5}}}}\n",
        HOLISTIC.replace("l2sp.backbone: [0.01, 0.1]", "epochs: [1, 2]")
        + "search: {trials: 5, spaces: {all: {learning_rate: [0.1, 1]}}}\n",
    ],
)
def test_what_is_walked_is_what_is_listed(
    planned: Callable[..., Plan],
    study_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
) -> None:
    """The same trials in the same order, and at least as many are counted."""
    study_file(TASKS, "large_tasks.py")
    listed = planned(text)
    assert listed.exact
    expected = [(point, repetition, trial) for point, repetition, trial in listed.trials()]
    monkeypatch.setattr("htsweep.planning.plan.MOST_LISTED", 0)
    walked = planned(text)
    searched = any(sweep.space for sweep in walked.sweeps)
    assert walked.exact == (not searched)
    assert list(walked.trials()) == expected
    assert [step for step in walked.steps() if step is not None] == list(walked.distinct())
    assert walked.trial_count >= listed.trial_count
    assert all(walked.sizes[sweep] >= size for sweep, size in listed.sizes.items())
    assert walked.counted(10**6) == Counter(point.sweep for point in listed.distinct())
    assert walked.known_stages.keys() >= listed.known_stages.keys()
    for sweep in walked.sweeps:
        for point in walked.points_of(sweep):
            assert walked.at(sweep, point.index) == point


def test_many_repetitions_take_no_time(planned: Callable[..., Plan]) -> None:
    found = planned("task: toy\ngrid: {x: [0.1, 0.2]}\nrepetitions: 1000000000\n")
    assert [
        (point.index, repetition) for point, repetition, _ in itertools.islice(found.trials(), 5)
    ] == [(0, 0), (0, 0), (0, 1), (0, 1), (0, 2)]
