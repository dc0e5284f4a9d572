"""A task that trains nothing and hands over logits, in a module beside a study; and studies of it."""

from __future__ import annotations

from pathlib import Path

from htsweep.execution import trial
from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.study.schema import Study

MODULE = """
import os
import random

import numpy as np

from tasks.outputs import Outputs
from tasks.task import Keeps, Setting, declare

IMAGES, CLASSES = 40, 6
SETTINGS = {
    "spread": Setting(float, 1.0, low=0.0, high=100.0),
    "steps": Setting(int, 2, low=0, high=1000),
    "dies": Setting(str, ""),
}


def kept(config):
    return Keeps({"test": IMAGES, "source": 10}, CLASSES, config.get("steps", 2) + 1)


def outputs(config, seed, step, split, images):
    rng = np.random.default_rng([seed, step, len(split)])
    labels = np.random.default_rng([seed, len(split)]).integers(0, CLASSES, images)
    logits = rng.normal(size=(images, CLASSES)).astype(np.float32) * config.get("spread", 1.0)
    logits[np.arange(images), labels] += step / 3
    return Outputs(logits, labels, (1, 4), split, "", logits[:, :2] - step)


@declare(
    settings=SETTINGS,
    keeps=kept,
    metrics=("test/overall_accuracy", "validation/seen_accuracy", "train/drawn"),
)
def answering(config, workspace):
    steps = config.get("steps", 2)
    for step in range(int(workspace.load() or b"0"), steps + 1):
        mine = {
            split: outputs(config, workspace.seed("data"), step, split, images)
            for split, images in (("test", IMAGES), ("source", 10))
        }
        workspace.keep(step, mine)
        right = float((mine["test"].logits.argmax(1) == mine["test"].labels).mean())
        yield {
            "step": step,
            "test/overall_accuracy": right,
            "validation/seen_accuracy": right,
            "train/drawn": random.random() + np.random.random(),
        }
        workspace.save(lambda: str(step + 1).encode())
        if config.get("dies") and step == 1 and not os.path.exists(config["dies"]):
            open(config["dies"], "w").close()
            os._exit(9)
"""
METRICS = """
import random

import numpy as np


def right(outputs):
    return (outputs.logits.argmax(1) == outputs.labels).mean()


def by_group(outputs):
    of = np.isin(outputs.labels, outputs.missing)
    hit = outputs.logits.argmax(1) == outputs.labels
    return {name: hit[rows].mean() for name, rows in (("seen", ~of), ("missing", of)) if rows.any()}


def drawing(outputs):
    return random.random() + np.random.random()


def broken(outputs):
    return outputs.logits[0, 99]


def late(outputs):
    if outputs.logits.max() > 3:
        raise ValueError("too sure")
    return 1.0


def wide(outputs):
    return -1.0 if outputs.features is None else float(outputs.features.shape[1])


def wordy(outputs):
    return "high"
"""
STUDY = "task: quick_task:answering\ngrid: {spread: [0.5, 2.0]}\nrepetitions: 2\nselect: seen_validation\n"


def answering(folder: Path, more: str = "", text: str = STUDY) -> Study:
    """The study `text` and `more`, beside its task and its metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "quick_task.py").write_text(MODULE, encoding="utf-8")
    (folder / "own_metrics.py").write_text(METRICS, encoding="utf-8")
    (folder / "study.yaml").write_text(text + more, encoding="utf-8")
    return read(folder / "study.yaml")


def run(
    study: Study, results: Path, keep: str = "every", *, features: bool = False
) -> list[Outcome]:
    """Runs the trials of a study in this process, without a report."""
    conditions = Conditions(
        str(results),
        keep=keep,
        features=features,
        metrics=tuple(study.metrics),
        save_seconds=0.0,
    )
    planned = plan(study)
    return [
        trial.run(Work(planned.job(point, repetition), conditions))
        for point, repetition, _ in planned.trials()
    ]
