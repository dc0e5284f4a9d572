"""The cost of runs follows from past runs that are like them in what takes time, and from no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from htsweep.planning import task
from htsweep.results.cost import Past, Run, lasting

NAME = "holistic_transfer"


def config(**changes: Any) -> dict[str, Any]:
    return task.find(NAME).resolve({"method": "l2sp", **changes})


def run(point: str = "wanted", **changes: Any) -> Run:
    return Run("trial", NAME, point, config(**changes), frozenset({"source"}))


def row(seconds: float, device: str = "cpu", ended: float = 0.0, **changes: Any) -> dict[str, Any]:
    gpu = changes.pop("gpu", 0.0)
    return {
        "kind": "trial",
        "task": NAME,
        "status": changes.pop("status", "done"),
        "point": changes.pop("point", "past"),
        "config": json.dumps(config(**changes)),
        "stages": json.dumps({"source": "abc"}),
        "seconds": seconds,
        "gpu": gpu,
        "device": device,
        "ended": ended,
    }


def seconds(*rows: Mapping[str, Any], wanted: Run, gpu: bool = False) -> tuple[float | None, bool]:
    return Past(rows, "method", gpu=gpu).seconds(wanted)


def test_the_time_is_proportional_to_epochs_steps_and_batch() -> None:
    past = row(10.0, epochs=5, steps_per_epoch=60, batch_size=64)
    wanted = run(epochs=10, steps_per_epoch=30, batch_size=128)
    assert seconds(past, wanted=wanted) == (pytest.approx(20.0), True)


def test_a_line_through_two_amounts_leaves_what_each_run_takes_once() -> None:
    rows = [row(7.0, epochs=1), row(9.0, epochs=2)]
    assert seconds(*rows, wanted=run(epochs=20)) == (pytest.approx(5.0 + 20 * 2.0), True)


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": "resnet18"},
        {"dataset": "uci-mnist"},
        {"augmentation": "flip_crop"},
    ],
)
def test_what_costs_otherwise_is_no_basis(other: dict[str, Any]) -> None:
    assert seconds(row(10.0), wanted=run(**other)) == (None, False)
    assert seconds(row(10.0, **other), wanted=run(**other)) == (10.0, True)


@pytest.mark.parametrize(
    "same", [{"learning_rate": 0.5}, {"missing_ratio": 0.3}, {"l2sp.head": 1.0}]
)
def test_fractions_cost_nothing(same: dict[str, Any]) -> None:
    assert seconds(row(10.0), wanted=run(**same)) == (10.0, True)


def test_another_method_is_a_basis_only_where_there_is_no_better_and_is_told() -> None:
    wanted = run(method="lolsgd", epochs=10)
    assert seconds(row(10.0, epochs=5), wanted=wanted) == (20.0, False)
    own = row(70.0, method="lolsgd", epochs=10)
    assert seconds(row(10.0, epochs=5), own, wanted=wanted) == (70.0, True)
    cost = Past([row(10.0, epochs=5)], "method", gpu=False).of([(wanted, 6)])
    assert (cost.hours, cost.borrowed, cost.unknown) == (pytest.approx(120 / 3600), 6, 0)
    assert "6 of 6 have their time from those of other methods" in cost.basis("measure")


def test_a_run_on_another_device_is_no_basis() -> None:
    assert seconds(row(10.0, gpu=1.0), wanted=run()) == (None, False)
    assert seconds(row(10.0, gpu=1.0), wanted=run(), gpu=True) == (10.0, True)
    # Of two GPUs the one that ran last
    rows = [row(50.0, "slow", 1.0, gpu=1.0), row(10.0, "quick", 2.0, gpu=1.0)]
    assert seconds(*rows, wanted=run(), gpu=True) == (10.0, True)


def test_what_failed_is_no_basis() -> None:
    assert seconds(row(10.0, status="failed"), wanted=run()) == (None, False)


def test_a_run_whose_training_others_make_is_another_kind() -> None:
    shared = Run("trial", NAME, "p", config(), frozenset({"source", "trajectory"}))
    assert seconds(row(10.0), wanted=shared) == (None, False)


def test_a_source_model_follows_its_own_epochs() -> None:
    stage = next(iter(task.find(NAME).stages(config()).values()))

    def source(**changes: Any) -> dict[str, Any]:
        return {
            **row(8.0),
            "kind": "stage",
            "task": stage[0],
            "config": json.dumps({**stage[1], **changes}),
            "stages": "{}",
        }

    longer = Run("stage", stage[0], "p", {**stage[1], "source_epochs": 20}, frozenset())
    assert seconds(source(source_epochs=5), wanted=longer) == (pytest.approx(32.0), True)


def test_without_any_it_says_so_and_how_to_learn_it() -> None:
    cost = Past([], "method", gpu=False).of([(run(), 3)])
    assert (cost.hours, cost.unknown) == (None, 3)
    assert cost.basis("htsweep plan s.yaml --measure") == (
        "no run like these yet; to time one of each kind: htsweep plan s.yaml --measure"
    )


def test_nothing_to_run_costs_nothing() -> None:
    assert Past([], "method", gpu=False).of([]).hours == 0


@pytest.mark.parametrize(("given", "said"), [(45.4, "45 s"), (720, "12.0 min"), (5401, "1.5 h")])
def test_durations_are_in_the_unit_that_reads(given: float, said: str) -> None:
    assert lasting(given) == said
