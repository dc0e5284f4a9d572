"""Studies that are too large to list, and tasks whose points mean the same in some way."""

from dataclasses import dataclass

UNIT = "{low: 0, high: 1}"
BILLION = f"task: toy\nsearch: {{sampler: random, trials: 1000000000, spaces: {{all: {{x: {UNIT}, y: {UNIT}}}}}}}\n"
HUNDRED = ", ".join(f"{value / 100:.2f}" for value in range(1, 101))
SECONDS = ", ".join(f"{value / 1000:.3f}" for value in range(16))
MILLION = (
    "task: toy\ngrid: {noise: [0.0, 0.01]}\nrepetitions: 3\n"
    f"search: {{spaces: {{all: {{x: [{HUNDRED}], y: [{HUNDRED}], steps: [0, 1, 2, 3], seconds: "
    f"[{SECONDS}]}}}}}}\n"
)
PARTS = ", ".join(f"{value / 300:.6f}" for value in range(300))
MERGED = f"task: large_tasks:merging\nsearch: {{spaces: {{all: {{a: [{PARTS}], c: {list(range(300))}}}}}}}\n"
TASKS = '''\
"""Tasks of whose points some mean the same."""


def stage(config, workspace):
    (workspace.output / "made").touch()
    yield {"step": 0, "loss": 1.0}


def inner(config, workspace):
    (workspace.output / "made").touch()
    yield {"step": 0, "loss": 1.0}


stage.stages = lambda config: {"inner": (__name__ + ":inner", {"z": 1})}


def merging(config, workspace):
    """Only the whole part of `a` matters."""
    yield {"step": 0, "test/score": float(config.get("a", 0)), "test/other": 1.0}


merging.meaning = lambda config: {**config, "a": round(float(config.get("a", 0)))}
merging.stages = lambda config: {"stage": (__name__ + ":stage", {"of": config.get("b", 0)})}


def dropping(config, workspace):
    """`b` does not matter where `a` is 0."""
    yield {"step": 0, "test/score": float(config.get("a", 0)), "test/other": 1.0}


dropping.resolve = lambda config: {key: value for key, value in config.items() if not (key == "b" and config.get("a") == 0)}
'''


@dataclass
class Built:
    """How many points were made."""

    points: int = 0
