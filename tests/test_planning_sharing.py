"""What trains alike trains once: which trials share a training, and that their ids do not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.planning.sharing import MEMBERS, NAME
from htsweep.results import Results
from htsweep.results.estimate import estimate
from tasks import backbones

HEAD = "study: s\ntask: holistic_transfer\n"


@pytest.fixture
def planned(study_file: Callable[..., Path]) -> Callable[..., Plan]:
    return lambda text, *overrides: plan(read(study_file(HEAD + text), overrides))


def trainings(whole: Plan) -> dict[str, str | None]:
    """Chain with its parameters -> the training that its trial needs; None: it trains by itself."""
    return {
        " ".join([str(point.config["method"]), *map(str, point.parameters.values())]): (
            stage.point if (stage := whole.needs(point).get(NAME)) else None
        )
        for point in whole.points
    }


def test_trials_that_differ_after_training_share_it(planned: Callable[..., Plan]) -> None:
    whole = planned(
        "grid: {method: [source, plain, l2sp, wise_ft, source_ensemble, [l2sp, wise_ft], bss]}\n"
        "search: {sampler: grid, spaces: {l2sp: {backbone: [0.1], head: [0.0]}, bss: {},"
        " wise_ft: {alpha: [0.2, 0.7]}, source_ensemble: {alpha: [0.4]}}}\n"
    )
    needed = trainings(whole)
    plain = needed["plain"]
    assert plain is not None
    assert {needed["wise_ft 0.2"], needed["wise_ft 0.7"], needed["source_ensemble 0.4"]} == {plain}
    chained = needed["l2sp 0.1 0.0"]
    assert chained not in (None, plain)
    assert needed["l2sp+wise_ft 0.1 0.0 0.2"] == chained == needed["l2sp+wise_ft 0.1 0.0 0.7"]
    assert needed["source"] is None  # does not train
    assert needed[next(name for name in needed if name.startswith("bss"))] is None  # alone
    # 4 of plain, 3 of l2sp, and those of bss; now one of each
    assert whole.sharing is not None
    alone, shared = whole.sharing.trainings
    assert alone - shared == 3 + 2


@pytest.mark.parametrize(
    ("name", "alone", "shared"), [("digits_methods", 176, 138), ("digits_protocols", 168, 96)]
)
def test_what_the_ready_studies_spare_in_each_repetition(
    name: str, alone: int, shared: int
) -> None:
    whole = plan(read(Path(__file__).parent.parent / "studies" / f"{name}.yaml"))
    assert whole.sharing is not None
    assert whole.sharing.trainings == (alone, shared)


def test_an_observer_is_recorded_by_the_training_it_shares(planned: Callable[..., Plan]) -> None:
    whole = planned(
        "grid: {method: [plain, swa]}\n"
        "search: {sampler: grid, spaces: {swa: {start: [0.25, 0.75]}}}\n"
    )
    assert len(set(trainings(whole).values())) == 1
    [stage] = {stage.point: stage for stage in map(_training(whole), whole.points)}.values()
    assert [member["swa.start"] for member in stage.config[MEMBERS]] in ([0.25, 0.75], [0.75, 0.25])


def test_short_runs_are_the_beginning_of_long_ones_only_at_a_constant_rate(
    planned: Callable[..., Plan],
) -> None:
    grid = "grid: {method: [plain, l2sp, lp_ft], epochs: [2, 5]}\n"
    assert set(trainings_of_cells(planned(grid)).values()) == {None}
    needed = trainings_of_cells(planned(grid + "fixed: {schedule: constant}\n"))
    assert needed["plain", 2] == needed["plain", 5] is not None
    assert needed["l2sp", 2] == needed["l2sp", 5] not in (None, needed["plain", 2])
    # It turns from probing to fine-tuning at a share of the run.
    assert needed["lp_ft", 2] is None
    assert needed["lp_ft", 5] is None


def trainings_of_cells(whole: Plan) -> dict[tuple[str, int], str | None]:
    return {
        (point.config["method"], point.config["epochs"]): (
            stage.point if (stage := whole.needs(point).get(NAME)) else None
        )
        for point in whole.points
    }


def test_proxy_runs_share_their_trainings_too(planned: Callable[..., Plan]) -> None:
    whole = planned(
        "grid: {method: [plain, wise_ft]}\nfixed: {pcv: 2}\n"
        "search: {sampler: grid, spaces: {wise_ft: {alpha: [0.2, 0.4, 0.6]}}}\n"
    )
    by_name: dict[str, set[str]] = {}
    for point in whole.points:
        for name, stage in whole.needs(point).items():
            if name != "source":
                training = stage if name == NAME else stage.needs[NAME]
                by_name.setdefault(name, set()).add(training.point)
    assert {name: len(points) for name, points in by_name.items()} == {
        NAME: 1,
        "pseudo-0": 1,
        "pseudo-1": 1,
    }
    assert whole.sharing is not None
    assert whole.sharing.trainings == (12, 3)


@pytest.mark.parametrize(
    "text",
    [
        "share_trainings: false\n",
        "stop: {first: 60}\nobjectives: [{metric: validation/seen_accuracy, direction: maximize}]\n",
    ],
)
def test_nothing_is_shared_where_asked_or_where_trials_may_stop_early(
    planned: Callable[..., Plan], text: str
) -> None:
    whole = planned(f"grid: {{method: [plain, wise_ft]}}\n{text}")
    assert whole.sharing is None
    assert all(NAME not in whole.needs(point) for point in whole.points)


def test_an_adaptive_search_shares_what_will_be_tried_often(planned: Callable[..., Plan]) -> None:
    whole = planned(
        "grid: {method: [plain, l2sp, wise_ft, swa]}\n"
        "objectives: [{metric: validation/seen_accuracy, direction: maximize}]\n"
        "search: {sampler: tpe, trials: 4, spaces: {swa: {start: {low: 0.1, high: 0.9}},"
        " wise_ft: {alpha: {low: 0.1, high: 0.9}}, l2sp: {backbone: {low: 0.1, high: 1.0}}}}\n"
    )
    needed = {}
    for sweep in whole.sweeps:
        proposed = {dimension.key: 0.3 for dimension in sweep.space}
        point = whole.point(sweep, 0, proposed)
        needed[sweep.factors["method"]] = whole.needs(point).get(NAME)
    assert needed["wise_ft"] is not None
    assert needed["plain"] == needed["wise_ft"]
    assert needed["l2sp"] is None
    # What it must watch from the start is known only when it is proposed.
    assert needed["swa"] is None


def test_the_estimate_counts_trainings(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path = study_file(
        HEAD + "grid: {method: [plain, wise_ft]}\nrepetitions: 5\n"
        "search: {sampler: grid, spaces: {wise_ft: {alpha: [0.2, 0.4, 0.6]}}}\n"
    )
    counted = estimate(Results(read(path), str(tmp_path / "results")))
    assert (counted.trainings_alone, counted.trainings) == (20, 5)
    assert any(line.startswith("shared  5 trainings in place of 20") for line in counted.lines())
    alone = estimate(Results(read(path, ["share_trainings=false"]), str(tmp_path / "results")))
    assert not any(line.startswith("shared") for line in alone.lines())


def _training(whole: Plan) -> Callable[..., object]:
    return lambda point: whole.needs(point)[NAME]


WEIGHTS = "grid: {method: [plain, wise_ft, swa, linear_probe]}\nfixed: {epochs: 4}\n"


def test_weights_are_counted_by_training_epoch_and_observer(
    planned: Callable[..., Plan],
) -> None:
    whole = planned(
        WEIGHTS + "repetitions: 3\nsearch: {sampler: grid, spaces:"
        " {swa: {start: [0.25, 0.75]}, wise_ft: {alpha: [0.3]}}}\n"
    )
    # One training for plain, wise_ft and both of swa, which also keeps the two means.
    assert whole.sharing is not None
    assert whole.sharing.size == backbones.weight("lenet_bn") * 4 * (1 + 2) * 3


def test_weights_that_take_too_much_space_are_not_shared_unless_the_study_says_so(
    planned: Callable[..., Plan], study_file: Callable[..., Path], tmp_path: Path, monkeypatch: Any
) -> None:
    text = WEIGHTS.replace("{method", "{learning_rate: [0.1, 0.2], method")
    text += "search: {sampler: grid, spaces: {swa: {start: [0.5]}, wise_ft: {alpha: [0.3]}}}\n"
    size = backbones.weight("lenet_bn") * 4 * 2 * 2
    monkeypatch.setattr("htsweep.planning.plan.LIMIT", size)
    assert all(NAME in whole.needs(point) for whole in [planned(text)] for point in whole.points)
    monkeypatch.setattr("htsweep.planning.plan.LIMIT", size - 1)
    whole = planned(text)
    # Heads keep no weights of the whole model.
    assert {point.config["method"] for point in whole.points if NAME in whole.needs(point)} == {
        "linear_probe"
    }
    path = study_file(HEAD + text)
    [line] = _said(path, tmp_path)
    assert line.startswith("shared  no trainings that keep weights: the weights would take about")
    assert "`share_trainings: true` in the study shares them" in line
    whole = planned(text, "share_trainings=true")
    assert all(NAME in whole.needs(point) for point in whole.points)
    [line] = _said(path, tmp_path, "share_trainings=true")
    assert "; their weights take about 2.27 MB" in line


def test_trials_keep_their_ids_where_nothing_is_shared(
    planned: Callable[..., Plan], monkeypatch: Any
) -> None:
    shared = {trial for _, _, trial in planned(WEIGHTS).trials()}
    monkeypatch.setattr("htsweep.planning.plan.LIMIT", 1)
    assert {trial for _, _, trial in planned(WEIGHTS).trials()} == shared


def test_the_weights_of_points_not_yet_known_are_estimated(planned: Callable[..., Plan]) -> None:
    whole = planned(
        "grid: {method: [wise_ft]}\nfixed: {epochs: 4}\n"
        "objectives: [{metric: validation/seen_accuracy, direction: maximize}]\n"
        "search: {sampler: tpe, trials: 7,"
        " spaces: {wise_ft: {alpha: {low: 0.1, high: 0.9}}}}\nrepetitions: 2\n"
    )
    assert whole.sharing is not None
    assert whole.sharing.size == backbones.weight("lenet_bn") * 4 * 7 * 2


def _said(path: Path, tmp_path: Path, *overrides: str) -> list[str]:
    counted = estimate(Results(read(path, overrides), str(tmp_path / "results")))
    return [line for line in counted.lines() if line.startswith("shared")]
