"""Which method is best so far: by the objectives, in each group, with what was there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htsweep.cli.standing import HARMONIC, MISSING, SEEN, Standing
from htsweep.launching import agenda_of, launch
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.study.schema import Study

HOLISTIC = """\
task: holistic_transfer
grid:
  method: [oracle, plain, l2sp]      # the compared factor need not come last
  missing_ratio: [0.3, 0.5]
  l2sp.backbone: [0.01, 0.1]
repetitions: 2
"""


def filled(
    planned: Plan, values: Callable[[Mapping[str, object]], tuple[float, float]]
) -> Standing:
    standing = Standing(planned)
    for point, _, _ in planned.trials():
        seen, missing = values(point.config)
        standing.add(point.id, point.sweep, point.config, {SEEN: seen, MISSING: missing})
    return standing


def measured(config: Mapping[str, object]) -> tuple[float, float]:
    if config["method"] == "oracle":
        return 0.99, 0.99
    if config["method"] == "plain":
        return 0.9, 0.1
    return (0.8, 0.4) if config["l2sp.backbone"] == 0.1 else (0.85, 0.2)


def test_the_best_of_each_group_is_beside_the_baseline(study_file: Callable[..., Path]) -> None:
    standing = filled(plan(read(study_file(HOLISTIC))), measured)
    places = standing.places()
    assert [place.group for place in places] == [
        (("missing_ratio", "0.3"),),
        (("missing_ratio", "0.5"),),
    ]
    assert {place.best.label for place in places} == {"l2sp l2sp.backbone=0.1"}
    assert [place.score for place in places] == pytest.approx([2 * 0.8 * 0.4 / 1.2] * 2)
    assert [place.baseline for place in places] == pytest.approx([2 * 0.9 * 0.1 / 1.0] * 2)
    assert standing.line() == (
        "best so far over 2 groups: l2sp with harmonic mean 53.3% (seen 80.0%, missing 40.0%); "
        "baseline plain 18.0%"
    )


def test_methods_have_the_names_that_the_study_gives_them(study_file: Callable[..., Path]) -> None:
    text = HOLISTIC.replace("[0.3, 0.5]", "[0.5]") + "labels: {l2sp: L2-SP, plain: Plain}\n"
    standing = filled(plan(read(study_file(text))), measured)
    assert {place.best.label for place in standing.places()} == {"L2-SP l2sp.backbone=0.1"}
    assert standing.line() == (
        "best so far: L2-SP l2sp.backbone=0.1 with harmonic mean 53.3% (seen 80.0%, missing "
        "40.0%); baseline Plain 18.0%"
    )


def test_where_the_baseline_is_best_the_next_is_named(study_file: Callable[..., Path]) -> None:
    text = HOLISTIC.replace("[0.3, 0.5]", "[0.5]")
    standing = filled(
        plan(read(study_file(text))),
        lambda config: (0.8, 0.8) if config["method"] == "plain" else measured(config),
    )
    assert standing.line() == (
        "best so far: plain with harmonic mean 80.0% (seen 80.0%, missing 80.0%); next l2sp 53.3%"
    )


def test_one_objective_is_the_score(study_file: Callable[..., Path]) -> None:
    objective = "{metric: validation/loss, direction: minimize}"
    text = f"{HOLISTIC}objectives: [{objective}]\n"
    standing = Standing(plan(read(study_file(text))))
    assert standing.metric == "validation/loss"
    planned = plan(read(study_file(text)))
    for point, _, _ in planned.trials():
        loss = 0.5 if point.config["method"] == "plain" else 0.7
        standing.add(point.id, point.sweep, point.config, {"validation/loss": loss, SEEN: 0.1})
    assert standing.line() == (
        "best so far over 2 groups: plain with validation/loss 0.5; next l2sp 0.7"
    )


ACCURACY = st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5])


@given(st.lists(st.tuples(ACCURACY, ACCURACY), min_size=16, max_size=16), st.integers(1, 16))
def test_scores_are_means_over_what_has_ended(
    values: list[tuple[float, float]], ended: int
) -> None:
    grid = {"noise": [0.0, 0.1], "x": [0.1, 0.2, 0.3, 0.4]}
    planned = plan(Study(study="s", task="toy", grid=grid, repetitions=2))
    standing, scores = Standing(planned), dict[str, dict[float, list[float]]]()
    for (point, _, _), (seen, missing) in list(zip(planned.trials(), values, strict=True))[:ended]:
        standing.add(point.id, point.sweep, point.config, {SEEN: seen, MISSING: missing})
        own = scores.setdefault(f"{point.config['noise']:.4g}", {})
        own.setdefault(point.config["x"], []).append(2 * seen * missing / (seen + missing))
    best = {
        group: max(sum(each) / len(each) for each in points.values())
        for group, points in scores.items()
    }
    found = {place.group[0][1]: place.score for place in standing.places()}
    assert found == pytest.approx(best)


def test_trials_that_were_there_count(study_file: Callable[..., Path], tmp_path: Path) -> None:
    study = read(study_file("task: toy\ngrid: {y: [0.5], x: [0.1, 0.9]}\nrepetitions: 2\n"))
    results = str(tmp_path / "results")
    launch(study, results, on="inline", mirror=None)
    again = Results(study, results)
    agenda = agenda_of(again, again.plan)
    standing = Standing(again.plan)
    standing.take(agenda)
    assert {len(point.values) for point in standing._points.values()} == {2}
    (own,) = {place.score for place in standing.places()}
    table = again.measurements([SEEN, MISSING])
    last = table.sort_values("step").groupby(["trial", "x"]).last().reset_index()
    last[HARMONIC] = 2 * last[SEEN] * last[MISSING] / (last[SEEN] + last[MISSING])
    assert own == pytest.approx(last.groupby("x")[HARMONIC].mean().max())
