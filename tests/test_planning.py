"""A plan is a function, and only grows when a study grows."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.jobs import digest, seed_for
from htsweep.planning import Plan, plan
from htsweep.study import Study, read

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
    return Study(study="s", task="toy", grid={"x": list(xs), "y": list(ys)}, repetitions=repetitions)


UNIT = st.lists(st.floats(0, 1), min_size=1, max_size=4, unique=True)


@settings(max_examples=50, deadline=None)
@given(UNIT, UNIT, st.integers(1, 3), st.data())
def test_a_plan_is_a_function_and_only_grows(xs: list[float], ys: list[float], repetitions: int, data: st.DataObject) -> None:
    whole = plan(study_of(xs, ys, repetitions))
    assert [trial for *_, trial in whole.trials()] == [trial for *_, trial in plan(study_of(xs, ys, repetitions)).trials()]
    assert len(ids(whole)) == whole.trial_count == len(xs) * len(ys) * repetitions
    part = study_of(data.draw(st.lists(st.sampled_from(xs), min_size=1, unique=True)), ys,
                    data.draw(st.integers(1, repetitions)))
    assert ids(plan(part)) <= ids(whole)
    assert ids(plan(study_of(xs[::-1], ys[::-1], repetitions))) == ids(whole)


def test_what_cannot_matter_makes_no_sweep(planned: Callable[..., Plan]) -> None:
    """l2sp.backbone says nothing to plain fine-tuning."""
    found = planned(HOLISTIC)
    assert len(found.sweeps) == 2 * (1 + 2)
    assert found.trial_count == 12
    assert all("l2sp.backbone" not in sweep.factors for sweep in found.sweeps if sweep.factors["method"] == "plain")


def test_a_source_model_is_shared_by_all_that_mean_the_same(planned: Callable[..., Plan]) -> None:
    assert len(stages(planned(HOLISTIC))) == 2
    assert stages(planned(HOLISTIC, "grid.method=[plain, lolsgd]")) == stages(planned(HOLISTIC))
    assert len(stages(planned(HOLISTIC, "grid.dataset=[mnist-uci, uci-mnist]"))) == 4
    assert not stages(planned(HOLISTIC)) & stages(planned(HOLISTIC, "fixed.source_epochs=1"))


def test_a_chain_has_one_name(planned: Callable[..., Plan]) -> None:
    text = HOLISTIC.replace("[plain, l2sp]", "[[lolsgd, l2sp]]")
    assert ids(planned(text)) == ids(planned(text.replace("[[lolsgd, l2sp]]", '["lolsgd+l2sp"]')))


def test_defaults_written_out_mean_the_same(planned: Callable[..., Plan]) -> None:
    assert ids(planned(HOLISTIC)) == ids(planned(HOLISTIC, "fixed.batch_size=64"))
    assert not ids(planned(HOLISTIC)) & ids(planned(HOLISTIC, "fixed.batch_size=32"))


def test_budget_resources_and_name_are_not_identity(planned: Callable[..., Plan]) -> None:
    changed = planned(HOLISTIC, "budget.trials=3", "resources.cpu=2", "study=other", "select=oracle", "retry.attempts=5")
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
    found = planned("task: toy\nobjectives: [{metric: validation/score}]\nrepetitions: 2\n"
                    "search: {sampler: tpe, trials: 7, spaces: {all: {x: {low: 0, high: 1}}}}\n")
    assert (found.points, found.trial_count) == ((), 14)


def test_a_digest_is_of_meaning() -> None:
    assert digest({"a": 1, "b": [1.0, "x"]}) == digest({"b": [1, "x"], "a": 1.0})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest([1, [2]]) != digest([[1], 2])


@given(st.integers(0, 50), st.lists(st.text(max_size=3), max_size=3))
def test_seeds_come_from_names(repetition: int, names: list[str]) -> None:
    seed = seed_for(repetition, *names)
    assert 0 <= seed < 2**31
    assert seed == seed_for(repetition, *names)
    assert seed != seed_for(repetition + 1, *names)
    assert seed != seed_for(repetition, *names, "more")


def test_seeds_are_pinned() -> None:
    """Another value would silently change every study's numbers."""
    assert seed_for(0, "class split", "mnist-uci") == 1039211318
