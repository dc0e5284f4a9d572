"""Every two settings of a task together: what `plan` accepts, launched in this process for a step.

    uv run python benchmarks/setting_pairs.py holistic_transfer [--most SECONDS] [--seed N]

What `plan` refuses is not run. Accepted values are put together, as many as go together, until each
two of them were in a run; a run that fails is made smaller for as long as it still fails, so that
what is printed is what conflicts. Ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from htsweep.execution import registry
from htsweep.execution.conditions import conditions_of
from htsweep.execution.loop import run_agenda
from htsweep.execution.watch import Silent
from htsweep.launching import agenda_of
from htsweep.planning.checks import stopping
from htsweep.planning.plan import Plan, sweep_of
from htsweep.planning.reading import read
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task, find
from htsweep.results import Results
from tasks import methods

Pair = tuple[str, Any]
SHORT = {"epochs": 1, "steps_per_epoch": 1, "source_epochs": 1, "source_steps_per_epoch": 1}
"""What a run has unless the setting itself is tried."""
METHODS = tuple(name for name in methods.NAMES if name != methods.EMPTY)
VALUES: Mapping[str, tuple[Any, ...]] = {
    "dataset": ("uci-mnist", "mnist-uci@blur3"),
    "missing_ratio": (0.0, 0.9),
    "missing_classes": ([0, 1],),
    "missing": ("natural",),
    "drop": ("unknown_classes",),
    "split": ("random", "disjoint"),
    "test_share": (0.5,),
    "validation_share": (0.0, 0.3),
    "fraction": (0.01,),
    "pcv": (1,),
    "epochs": (2,),
    "batch_size": (1, 7),
    "learning_rate": (1e-4,),
    "head_learning_rate_factor": (0.0, 5.0),
    "momentum": (0.0,),
    "weight_decay": (0.01,),
    "optimizer": ("adamw", "rprop", "adagrad(eps=1e-6)", "lamb", "lion"),
    "nesterov": (False,),
    "schedule": ("constant", "linear", "step"),
    "warmup_steps": (1,),
    "milestones": ([1],),
    "milestone_factor": (0.5,),
    "layer_decay": (0.7,),
    "clip_norm": (0.5,),
    "label_smoothing": (0.1,),
    "dropout": (0.5,),
    "drop_path": (0.1,),
    "freeze_bn": (True,),
    "sampling": ("class_balanced",),
    "drop_last": (False,),
    "augmentation": ("digits", "flip_crop", "randaugment", "RandomErasing", "office_home"),
    "mixup": (0.4,),
    "cutmix": (1.0,),
    "measure_every": (2,),
    "test_transform": ("center_crop", "ten_crop"),
    "backbone": ("test_vit", "test_efficientnet", "test_resnet", "test_convnext"),
    "amp": (True,),
    "amp_dtype": ("float16",),
    "channels_last": (False,),
    "source_batch_size": (1, 7),
    "source_validation": (0.0, 0.5),
    "source_momentum": (0.0,),
    "delta.maps": ("convolutions",),
    "delta.attention": ("uniform",),
    "co_tuning.temperature": ("fitted",),
    "tred.criterion": ("both",),
    "lwf.head": ("trained",),
    "wise_ft.of": ("trained",),
    "lora.layers": ("all",),
    "vpt.deep": (False,),
    "method": (*METHODS, "lolsgd+selective_distillation", "bi_tuning+lora", "l2sp+ssf+swa"),
}
"""Values beside the defaults; those of a key that a task lacks are not tried."""
STUDY = """
study: pairs
task: {task}
grid: {{method: [plain]}}
fixed: {{epochs: 1}}
repetitions: 1
select: last
{more}
"""
WAYS = {
    "stopped": "objectives: [{metric: validation/loss, direction: minimize}]\n"
    "stop: {first: 1, eta: 2}\nkeep: features\nmetrics: [ece, worst_class]",
    "shared": "share_trainings: true\nkeep: nothing",
}
"""Keys of a study that are tried with all of them, in turn."""


def values_of(task: Task) -> dict[str, tuple[Any, ...]]:
    """The values that are tried of the task's settings."""
    return {key: values for key, values in VALUES.items() if key in (task.settings or {})}


def wrong(task: Task, study: Any, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What `plan` says of a config; ("", ...) where it cannot even be read."""
    try:
        config = task.resolve({**SHORT, **given})
        found = task.problems(config) or [*stopping.problems(study.stop, task, config)]
    except (ValueError, LookupError, OSError) as error:
        return [("", str(error))]
    lacking = [objective.metric for objective in study.objectives]
    return found or [("", lacked) for lacked in task.unmeasured(config) if lacked in lacking]


def accepted(task: Task, study: Any, values: Mapping[str, tuple[Any, ...]]) -> list[set[int]]:
    """For each value by its number, those of other keys that `plan` accepts with it."""
    every = [(key, value) for key, of in values.items() for value in of]
    good: list[set[int]] = [set() for _ in every]
    for (one, (key, value)), (other, (key2, value2)) in itertools.combinations(enumerate(every), 2):
        if key != key2 and not wrong(task, study, {key: value, key2: value2}):
            good[one].add(other)
            good[other].add(one)
    return good


def runs(
    task: Task, study: Any, values: Mapping[str, tuple[Any, ...]], rng: random.Random
) -> Iterator[dict[str, Any]]:
    """Configs in which each two accepted values come together, the fullest first."""
    every = [(key, value) for key, of in values.items() for value in of]
    good = accepted(task, study, values)
    left = {(one, other) for one, others in enumerate(good) for other in others if one < other}
    while left:
        start = min(left, key=lambda pair: (rng.random(), pair))
        chosen = list(start)
        order = [number for number in range(len(every)) if number not in chosen]
        rng.shuffle(order)
        # What is in most pairs that are left comes first.
        order.sort(key=lambda number: -sum(number in pair for pair in left if set(pair) & {*start}))
        for number in order:
            if all(number in good[other] for other in chosen):
                tried = {every[each][0]: every[each][1] for each in [*chosen, number]}
                if not wrong(task, study, tried):
                    chosen.append(number)
        left -= {(min(pair), max(pair)) for pair in itertools.combinations(chosen, 2)}
        yield {every[each][0]: every[each][1] for each in chosen}


def failures(study: Any, task: Task, configs: list[dict[str, Any]]) -> list[str]:
    """Launches the configs here, and returns why trials and stages failed."""
    sweeps = {}
    for config in configs:
        made = sweep_of(study, task, {**SHORT, **config}, Spaces(None))
        sweeps[made.id] = made
    planned = Plan(study, task, tuple(sweeps.values()))
    place = tempfile.TemporaryDirectory(prefix="htsweep-pairs-", ignore_cleanup_errors=True)
    with place as folder:
        results = Results(study, folder)
        agenda = agenda_of(results, planned)
        options = registry.Options(study.resources.cpu, study.resources.gpu, None)
        quiet = contextlib.redirect_stderr(io.StringIO())
        with registry.make("inline", options) as executor, quiet:
            if run_agenda(agenda, executor, conditions_of(study, folder), Silent()):
                raise KeyboardInterrupt
        return [str(outcome.reason) for outcome in agenda.failures]


def smallest(study: Any, task: Task, config: dict[str, Any]) -> dict[str, Any]:
    """The config without all that does not matter to its failing."""
    for key in list(config):
        less = {name: value for name, value in config.items() if name != key}
        if not wrong(task, study, less) and failures(study, task, [less]):
            config = less
    return config


def main() -> None:
    """Prints what fails, and how many runs it took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=["holistic_transfer", "fine_tuning"])
    parser.add_argument("--most", type=float, default=1e9, help="seconds after which it stops")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    task, began, failed, count = find(given.task), time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for name, more in WAYS.items():
            file = Path(folder) / f"{name}.yaml"
            file.write_text(STUDY.format(task=given.task, more=more))
            study = read(file)
            for config in runs(task, study, values_of(task), random.Random(given.seed)):
                if time.perf_counter() - began > given.most:
                    print(f"stopped after {given.most:g} s, not all pairs were run")
                    sys.exit(bool(failed))
                count += 1
                reasons = failures(study, task, [config])
                if reasons:
                    failed += 1
                    print(f"{name}: {reasons[0]}\n    {config}", flush=True)
                    print(f"    which needs no more than {smallest(study, task, config)}")
            spent = time.perf_counter() - began
            print(f"{name}: {count} runs so far, {failed} failed, {spent:.0f} s", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
