"""Which trials can share a training: those that differ only after it; imports no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tasks import backbones, methods, precision, recipe
from tasks.task import Trajectory

OF_HEAD = (
    "learning_rate",
    "head_learning_rate_factor",
    "momentum",
    "weight_decay",
    "schedule",
)
"""The settings in which heads that are trained together may differ."""
MEMBERS = "members"
"""The key of a trajectory's config that lists what it records for the trials that share it."""


def trajectory_of(
    task: str,
    config: Mapping[str, Any],
    resolve: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> Trajectory | None:
    """The training behind a resolved config; None if it does not train.

    It leaves out the members of the chain that act after training, with their parameters,
    calibration by other runs, and the views of measured images. Members that must observe the run
    are recorded. At a learning rate that is constant or falls in steps, a short run equals the
    first epochs of a long one, so that the number of epochs is recorded too, unless a member of the
    chain depends on the length of the run. Linear heads on frozen features train together
    (`tasks/heads.py`).

    Args:
        task: the name of the stage that trains.
        config: a resolved config without problems.
        resolve: returns the canonical config of the task.
    """
    method = config["method"]
    if not methods.trains(method):
        return None
    after = methods.tail(method, config)
    kept = [name for name in method.split("+") if name not in after]
    outside = {key for name in after for key in methods.parameters(name)}
    outside |= {"pcv", *recipe.VIEWS, *recipe.MEASURING}
    alone = {key: value for key, value in config.items() if key not in outside}
    trained = resolve({**alone, "method": kept or methods.EMPTY})
    recorded: dict[str, Any] = {}
    watching = methods.observing(after, config)
    if watching:
        keys = [key for name in watching for key in methods.parameters(name)]
        own = {key: config[key] for key in keys if key in config}
        recorded = {"method": "+".join(watching), **own}
    measured_otherwise = bool(config.get("pcv")) or any(key in config for key in recipe.VIEWS)
    plain = recipe.is_plain(config) and precision.is_plain(config)
    plain = plain and not any(key in config for key in recipe.VIEWS)
    if plain and not watching and methods.head_alone(trained["method"], trained):
        return Trajectory(
            task.partition(":")[0] + ":heads",
            {key: value for key, value in trained.items() if key not in OF_HEAD},
            {key: trained[key] for key in OF_HEAD if key in trained},
            bool(after) or measured_otherwise,
        )
    size = backbones.weight(trained["backbone"]) * int(trained["epochs"])
    prefix = recipe.steady(config) and methods.steady(method, config)
    if prefix:
        recorded["epochs"] = trained.pop("epochs")
    # An observer such as a mean of weights keeps about as much as the model that it observes.
    return Trajectory(
        task,
        trained,
        recorded,
        bool(after or prefix) or measured_otherwise,
        size,
        size * len(watching),
    )


def epochs_of(config: Mapping[str, Any]) -> int:
    """The epochs of a trajectory: those of the longest trial that shares it."""
    if "epochs" in config:
        return int(config["epochs"])
    return max(int(member["epochs"]) for member in config[MEMBERS])


def observers_of(config: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """The observers in the config of a trial or a trajectory: label -> (name, config).

    The label includes the parameters, since trials that share a trajectory may have the same
    observer with different parameters.
    """
    configs = config.get(MEMBERS, ()) if MEMBERS in config else (config,)
    labelled = {}
    for own in configs:
        names = str(own.get("method", methods.EMPTY)).split("+")
        for name in methods.observing(names, own):
            parameters = {key: own[key] for key in methods.parameters(name) if key in own}
            label = json.dumps([name, parameters], sort_keys=True)
            labelled[label] = (name, own)
    return labelled
