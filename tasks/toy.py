"""A task with closed-form answers, for tests and trying out studies; a trial takes microseconds."""

from __future__ import annotations

import functools
import os
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.task import Setting, Workspace, declare, filled

SETTINGS = {
    "x": Setting(
        float,
        0.5,
        low=0.0,
        high=1.0,
        doc="how far the model adapts: seen accuracy rises with it, missing falls",
    ),
    "y": Setting(float, 0.5, low=0.0, high=1.0, doc="a nuisance parameter whose best value is 0.5"),
    "steps": Setting(int, 3, low=0, high=1_000_000, doc="measurements after the one at step 0"),
    "seconds": Setting(float, 0.0, low=0.0, high=3600.0, doc="time that each step takes"),
    "noise": Setting(
        float, 0.01, low=0.0, high=1.0, doc="half-width of what the repetition adds to every number"
    ),
    "fail": Setting(
        str,
        "",
        choices=("", "raise", "nan", "exit", "hang", "memory"),
        doc="how the trial breaks at step 1",
    ),
}
METRICS = (
    "validation/score",
    "validation/seen_accuracy",
    "test/seen_accuracy",
    "test/missing_accuracy",
    "test/overall_accuracy",
)


def answer(x: float, y: float, progress: float, noise: float = 0.0) -> dict[str, float]:
    """The toy's measurement in closed form, for `progress` in [0, 1].

    With p = `progress`, seen = 0.5 + 0.4 x p - (y - 0.5)^2 and missing = 0.6 (1 - x p) -
    (y - 0.5)^2, each plus noise and clipped to [0, 1]; overall is their mean. The score is best at
    x = 0.7, y = 0.5.
    """
    off = (y - 0.5) ** 2
    seen = min(1.0, max(0.0, 0.5 + 0.4 * x * progress - off + noise))
    missing = min(1.0, max(0.0, 0.6 * (1 - x * progress) - off + noise))
    return {
        "validation/score": 1 - ((x - 0.7) ** 2 + off) * progress - (1 - progress) + noise,
        "validation/seen_accuracy": seen,
        "test/seen_accuracy": seen,
        "test/missing_accuracy": missing,
        "test/overall_accuracy": (seen + missing) / 2,
    }


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with its defaults."""
    return filled(SETTINGS, config)


@declare(settings=SETTINGS, resolve=resolve, metrics=METRICS)
def toy(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Closed-form accuracies that rise and fall with x and y."""
    config = resolve(config)
    steps = config["steps"]
    noise = random.Random(workspace.seed("noise")).uniform(-1, 1) * config["noise"]
    for step in range(int(workspace.load() or b"0"), steps + 1):
        time.sleep(config["seconds"])
        measured = answer(config["x"], config["y"], step / max(1, steps), noise)
        if step == min(1, steps):
            measured |= _break(config["fail"])
        yield {"step": step, **measured}
        workspace.save(functools.partial(_state, step + 1))


def _state(step: int) -> bytes:
    return str(step).encode()


def _break(how: str) -> dict[str, float]:
    """Fails as `how` says; for `nan`, returns the measurement to report instead."""
    if how == "raise":
        raise RuntimeError("the toy was asked to fail")
    if how == "memory":
        raise MemoryError("the toy was asked to run out of memory")
    if how == "exit":
        os._exit(3)
    while how == "hang":
        time.sleep(0.05)
    return {"validation/score": float("nan")} if how == "nan" else {}
