"""A trial that is measured from a shared training measures, bit for bit, what it would have by itself."""

from __future__ import annotations

import importlib
import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workspace import Workspace, same

from tasks import fine_tuning, holistic_transfer

SMALL: dict[str, Any] = {
    "dataset": "mnist-uci",
    "epochs": 2,
    "steps_per_epoch": 4,
    "source_epochs": 1,
    "source_steps_per_epoch": 10,
}
Rows = list[dict[str, Any]]


class Laboratory:
    """Runs trials of a task alone and from shared trainings; stages are made once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stages: dict[str, Path] = {}
        self._numbers = itertools.count()

    def workspace(self) -> Workspace:
        return Workspace(self.root / str(next(self._numbers)), cache=self.root / "cache")

    def alone(self, task: Any, config: Mapping[str, Any]) -> Rows:
        return list(task(config, self._equipped(task, config, training=None)))

    def shared(self, task: Any, config: Mapping[str, Any], *others: Mapping[str, Any]) -> Rows:
        """With `others`, what other trials have recorded too."""
        workspace = self._equipped(task, config, training=others)
        return list(task(config, workspace))

    def training(self, task: Any, config: Mapping[str, Any], *others: Mapping[str, Any]) -> Any:
        """(task, config, workspace) of the training that a config is measured from."""
        shared = task.trajectory(config)
        members = [one for one in (shared.recorded, *others) if one]
        whole = {**shared.config, **({"members": members} if members else {})}
        trains = _task(shared.task)
        return trains, whole, self._equipped(trains, whole, training=None)

    def _equipped(
        self, task: Any, config: Mapping[str, Any], training: tuple[Mapping[str, Any], ...] | None
    ) -> Workspace:
        workspace = self.workspace()
        stages = task.stages(config) if hasattr(task, "stages") else {}
        workspace.stages = {
            name: self._stage(_task(reference), raw, training)
            for name, (reference, raw) in stages.items()
        }
        if training is not None and hasattr(task, "trajectory"):
            trains, whole, own = self.training(task, config, *training)
            list(trains(whole, own))
            workspace.trajectory = own.output
        return workspace

    def _stage(
        self, task: Any, raw: Mapping[str, Any], training: tuple[Mapping[str, Any], ...] | None
    ) -> Path:
        config = task.resolve(raw) if hasattr(task, "resolve") else raw
        name = json.dumps([task.__name__, config, training is None], sort_keys=True)
        if name not in self._stages:
            workspace = self._equipped(task, config, training)
            assert list(task(config, workspace))
            self._stages[name] = workspace.output
        return self._stages[name]


def _task(reference: str) -> Any:
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(f"tasks.{module}"), function)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("replaying"))


HOLISTIC = [
    {"method": "plain"},
    {"method": "wise_ft", "wise_ft.alpha": 0.3},
    {"method": "source_ensemble"},
    {"method": "swa", "swa.start": 0.3},
    {"method": "l2sp+swa+wise_ft"},
    {"method": "ewc+source_ensemble+wise_ft"},
    {"method": "stochnorm+wise_ft"},
    {"method": "lp_ft+swa"},
    {"method": "lolsgd+wise_ft"},
    {"method": "oracle+wise_ft"},
    {"method": "bn_statistics+wise_ft"},
    {"method": "co_tuning+wise_ft"},
    {"method": "wise_ft", "pcv": 2},
    {"method": "swa", "pcv": 1},
    {"method": "l2sp+wise_ft", "augmentation": "digits", "optimizer": "adamw", "dropout": 0.3},
    {"method": "lolsgd+ema", "augmentation": "flip_crop", "sampling": "class_balanced"},
    {"method": "lp_ft", "schedule": "step", "milestones": [1], "warmup_steps": 2, "clip_norm": 0.5},
    {"method": "wise_ft", "test_transform": "ten_crop", "freeze_bn": True, "drop_last": False},
    {"method": "lora+wise_ft", "backbone": "test_vit"},
    {"method": "ia3+swa", "backbone": "test_vit"},
    {"method": "adaptformer+vpt+swa", "backbone": "test_vit"},
    {"method": "ssf+ema"},
    {"method": "bitfit+l2sp+source_ensemble"},
    {"method": "linear_probe", "augmentation": "digits", "label_smoothing": 0.1},
    {"method": "linear_probe", "test_transform": "center_crop", "pcv": 1},
]


@pytest.mark.parametrize(
    "changed", HOLISTIC, ids=lambda changed: "-".join(map(str, changed.values()))
)
def test_shared_equals_alone(laboratory: Laboratory, changed: Mapping[str, Any]) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve({**SMALL, **changed})
    if task.problems(config):
        pytest.fail(f"not a case: {task.problems(config)}")
    rows = laboratory.shared(task, config)
    assert len(rows) == SMALL["epochs"] + 1
    assert same(rows, laboratory.alone(task, config))
    assert len({row["test/loss"] for row in rows}) > 1  # something was trained


@pytest.mark.parametrize("method", ["plain", "l2sp", "swa", "co_tuning+swa", "bi_tuning"])
@pytest.mark.parametrize("augmentation", ["none", "digits"])
def test_under_a_new_head_too(laboratory: Laboratory, method: str, augmentation: str) -> None:
    task = fine_tuning.fine_tuning
    config = task.resolve({**SMALL, "method": method, "augmentation": augmentation})
    assert same(laboratory.shared(task, config), laboratory.alone(task, config))


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    starts=st.lists(
        st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), min_size=2, max_size=4, unique=True
    ),
    base=st.sampled_from(["plain", "l2sp", "bn_affine"]),
)
def test_observers_do_not_disturb_each_other(
    laboratory: Laboratory, starts: list[float], base: str
) -> None:
    task = holistic_transfer.holistic_transfer
    first, *others = (
        task.resolve({**SMALL, "method": f"{base}+swa", "swa.start": start}) for start in starts
    )
    recorded = [task.trajectory(other).recorded for other in others]
    assert same(laboratory.shared(task, first, *recorded), laboratory.alone(task, first))


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    epochs=st.integers(2, 3),
    longer=st.integers(3, 5),
    method=st.sampled_from(["plain", "l2sp", "wise_ft", "bn_affine"]),
    schedule=st.sampled_from(
        [
            {"schedule": "constant"},
            {"schedule": "constant", "warmup_steps": 3, "augmentation": "digits"},
            {"schedule": "step", "milestones": [1, 4], "optimizer": "adamw"},
        ]
    ),
)
def test_at_a_steady_rate_a_short_run_is_the_beginning_of_a_long_one(
    laboratory: Laboratory, epochs: int, longer: int, method: str, schedule: Mapping[str, Any]
) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve({**SMALL, "method": method, "epochs": epochs, **schedule})
    assert not task.problems(config)
    rows = laboratory.shared(task, config, {"epochs": longer})
    assert len(rows) == epochs + 1
    assert same(rows, laboratory.alone(task, config))


def test_a_killed_training_goes_on_and_leaves_the_same(laboratory: Laboratory) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve({**SMALL, "epochs": 4, "method": "l2sp+swa"})
    trains, whole, workspace = laboratory.training(task, config)
    before = list(itertools.islice(trains(whole, workspace), 3))  # ended while it waits to go on
    assert workspace.state is not None
    after = list(trains(whole, workspace))
    assert 0 < len(after) < 4  # it goes on from its last state
    undisturbed = laboratory.shared(task, config)
    tail = laboratory._equipped(task, config, training=None)
    tail.trajectory = workspace.output
    assert same(list(task(config, tail)), undisturbed)
    assert [row["epoch"] for row in (*before, *after)][-1] == 4


def test_a_training_that_diverges_fails_each_trial_and_not_the_stage(
    laboratory: Laboratory,
) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve(
        {**SMALL, "method": "l2sp+wise_ft", "learning_rate": 10.0, "l2sp.backbone": 1e3}
    )
    alone = laboratory.alone(task, config)
    assert math.isnan(alone[-1]["train/loss"])
    trains, whole, workspace = laboratory.training(task, config)
    rows = list(trains(whole, workspace))
    assert all(math.isfinite(row.get("train/loss", 0.0)) for row in rows)
    shared = laboratory.shared(task, config)
    assert math.isnan(shared[-1]["train/loss"])
    clocks = {"seconds", "peak_memory_bytes"}
    for own, other in zip(shared, alone, strict=True):  # as text, since NaN is not itself
        assert {key: str(own[key]) for key in own.keys() - clocks} == {
            key: str(other[key]) for key in other.keys() - clocks
        }


def test_what_it_costs_includes_the_training(laboratory: Laboratory) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve({**SMALL, "method": "wise_ft"})
    trains, whole, workspace = laboratory.training(task, config)
    training = list(trains(whole, workspace))
    tail = laboratory._equipped(task, config, training=None)
    tail.trajectory = workspace.output
    rows = list(task(config, tail))
    for own, row in zip(training, rows, strict=True):
        assert row["seconds"] > own["seconds"]
        assert row["trainable_parameters"] == own["trainable_parameters"]
        assert row["peak_memory_bytes"] >= own["peak_memory_bytes"]


def test_a_training_keeps_weights_that_load_without_code(laboratory: Laboratory) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve({**SMALL, "method": "swa"})
    trains, whole, workspace = laboratory.training(task, config)
    list(trains(whole, workspace))
    files = sorted(path.name for path in workspace.output.iterdir())
    assert files == ["epoch-0.pt", "epoch-1.pt", "epoch-2.pt", "rows.json"]
    state = torch.load(workspace.output / "epoch-2.pt", weights_only=True)
    assert set(state) == {"student", "kept"}
    assert len(state["kept"]) == 1
