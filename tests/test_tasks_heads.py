"""Linear heads that train together equal, within 1e-5, heads that train alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_tasks_replaying import SMALL, Laboratory

from tasks import fine_tuning, holistic_transfer

APART = {"seconds", "peak_memory_bytes"}
ONE_IMAGE = 1.0 / 100
"""One image of the seen, or of the missing, classes among some hundred test images."""
RECIPES = st.fixed_dictionaries(
    {
        "learning_rate": st.sampled_from([0.001, 0.02, 0.3]),
        "momentum": st.sampled_from([0.0, 0.5, 0.9]),
        "weight_decay": st.sampled_from([0.0, 0.01]),
        "head_learning_rate_factor": st.sampled_from([0.0, 1.0, 10.0]),
        "schedule": st.sampled_from(["cosine", "constant"]),
    }
)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("heads"))


def near(shared: list[dict[str, Any]], alone: list[dict[str, Any]]) -> None:
    """Losses within 1e-5; what counts images may differ by one where two classes are all but tied."""
    for own, other in zip(shared, alone, strict=True):
        assert list(own) == list(other)
        for key in own.keys() - APART - {"test/oracle_gamma"}:
            # The best constant may be another of two that are all but equally good.
            counted = not key.endswith(("loss", "value"))
            tolerance = ONE_IMAGE if counted else 1e-5
            assert own[key] == pytest.approx(other[key], abs=tolerance, rel=1e-5), key


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    recipe=RECIPES,
    others=st.lists(RECIPES, min_size=1, max_size=3),
    task=st.sampled_from([holistic_transfer.holistic_transfer, fine_tuning.fine_tuning]),
)
def test_together_equals_alone(
    laboratory: Laboratory, recipe: Mapping[str, Any], others: list[Mapping[str, Any]], task: Any
) -> None:
    config = task.resolve({**SMALL, "method": "linear_probe", **recipe})
    recorded = [
        task.trajectory(task.resolve({**SMALL, "method": "linear_probe", **other})).recorded
        for other in others
    ]
    assert task.trajectory(config).task.endswith(":heads")
    near(laboratory.shared(task, config, *recorded), laboratory.alone(task, config))


@pytest.mark.parametrize("method", ["linear_probe+wise_ft", "linear_probe+source_ensemble"])
def test_what_acts_after_training_and_proxy_runs_too(laboratory: Laboratory, method: str) -> None:
    task = holistic_transfer.holistic_transfer
    config = task.resolve({**SMALL, "method": method, "pcv": 1})
    near(laboratory.shared(task, config), laboratory.alone(task, config))


def test_only_a_head_on_frozen_features_trains_with_others() -> None:
    task = holistic_transfer.holistic_transfer
    for method in ("plain", "lp_ft", "bn_affine", "linear_probe+l2sp", "linear_probe+swa"):
        config = task.resolve({**SMALL, "method": method})
        assert task.trajectory(config).task == "holistic_transfer:trained", method
    assert task.trajectory(task.resolve({**SMALL, "method": "linear_probe", "amp": True})).task == (
        "holistic_transfer:trained"
    )


def test_features_are_computed_once_for_all_heads(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = holistic_transfer.holistic_transfer
    first, second = (
        task.resolve({**SMALL, "method": "linear_probe", "learning_rate": rate})
        for rate in (0.1, 0.2)
    )
    trains, whole, workspace = laboratory.training(task, first, task.trajectory(second).recorded)
    list(trains(whole, workspace))
    passes: list[int] = []
    convolve = torch.nn.Conv2d.forward

    def counted(self: torch.nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
        passes.append(len(images))
        return convolve(self, images)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", counted)
    for config in (first, second):
        tail = laboratory._equipped(task, config, training=None)
        tail.trajectory = workspace.output
        assert len(list(task(config, tail))) == SMALL["epochs"] + 1
    assert not passes
