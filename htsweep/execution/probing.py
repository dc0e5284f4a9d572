"""Probes the shapes of a launch that take `gpu: auto` and that nothing is known of yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from htsweep.execution.conditions import taking
from htsweep.execution.fractions import Fractions
from htsweep.execution.gpu_probe import Measure, Short, gpu_facts, probed
from htsweep.execution.work import Conditions, Work
from htsweep.planning import shapes, task
from htsweep.planning.jobs import Job, point_id, trial_id, with_inner
from htsweep.planning.plan import Plan
from htsweep.planning.resources import Amounts
from htsweep.study.resources import AUTO, Amount

Made = tuple[str, Mapping[str, Any], Amount]
"""A task, a config of a shape of its own, and what the study says that it takes."""


def automatic(planned: Plan) -> Iterator[Made]:
    """One config of each shape, of trials and stages, that takes `gpu: auto`."""
    amounts, seen = Amounts(planned.study, planned.task), set[str]()
    trials = ((planned.study.task, sweep.base) for sweep in planned.sweeps)
    stages = [(stage.task, stage.config) for stage in with_inner(planned.known_stages.values())]
    for reference, config in [*trials, *stages]:
        amount = amounts.of(config)
        if amount.gpu != AUTO:
            continue
        name = f"{shapes.said(shapes.shape_of(reference, config))} {amount.accelerator}"
        if name not in seen:
            seen.add(name)
            yield reference, config, amount


def unmeasured_shapes(planned: Plan, fractions: Fractions, conditions: Conditions) -> list[Work]:
    """A trial, or stage, of each shape that takes `gpu: auto` and that no probe has measured.

    Args:
        planned: the plan.
        fractions: what is known.
        conditions: of the launch.
    """
    works = []
    for reference, config, amount in automatic(planned):
        trial = trial_id(point_id(task.find(reference), config), 0)
        work = Work(Job(trial, "trial", reference, config, 0), taking(conditions, amount))
        if not fractions.has(work):
            works.append(work)
    return works


def probe_missing(
    works: Sequence[Work],
    fractions: Fractions,
    note: Callable[[str], None],
    *,
    facts: Callable[[], Mapping[str, Any]] = gpu_facts,
    measure: Callable[[str, Mapping[str, Any], Conditions], Measure] = Short,
) -> None:
    """Measures the shapes of trials, on this machine's GPU.

    Without a usable GPU nothing is measured, and trials of an unknown shape take a whole one.

    Args:
        works: a trial of each shape, as `unmeasured_shapes` returns them.
        fractions: takes what is measured.
        note: is told what is measured.
        facts: says what GPU this machine has, as `gpu_facts`.
        measure: makes the function that runs trials of a config, as `Short`.
    """
    if not works:
        return
    gpu = facts()
    named = f"{len(works)} kind{'s' if len(works) > 1 else ''} of trial"
    if not gpu["usable"]:
        note(
            f"gpu: auto: {named} not measured yet, and not here: {gpu['why']}. They take a whole "
            "GPU each; `htsweep plan STUDY --measure` on a machine with a GPU, with the same "
            "--results, measures them, and so does a launch with --address on a cluster that has "
            "one"
        )
        return
    for work in works:
        shape = shapes.shape_of(work.job.task, work.job.config)
        accelerator = work.conditions.accelerator
        if accelerator not in gpu["name"]:
            note(
                f"gpu: auto: {shapes.said(shape)} asks for {accelerator}, but the GPU here "
                f"is a {gpu['name']}; it takes a whole one until it is measured there"
            )
            continue
        note(f"gpu: auto: measuring how many share a {gpu['name']}: {shapes.said(shape)}")
        run = measure(work.job.task, work.job.config, work.conditions)
        probe = probed(run, shape, gpu["name"], gpu["total_bytes"], mps=gpu["mps"])
        fractions.add(probe)
        failed = next((runs.failed for runs in probe.runs if runs.failed), "")
        note(f"gpu: auto: {probe}" + (f"; {failed}" if failed else ""))


def lines(planned: Plan, fractions: Fractions) -> list[str]:
    """What is known of each shape that takes `gpu: auto`, a line each, for `plan`."""
    texts = []
    for reference, config, amount in automatic(planned):
        probe = fractions.probe_of(reference, config, amount.accelerator)
        now = fractions.of(reference, config, amount.accelerator)
        text = str(probe) if probe else "not measured yet: a whole GPU until then"
        if probe and now > 1 / probe.count:
            text += f"; {now:g} of a GPU, since memory ran out on less"
        texts.append(f"{shapes.said(shapes.shape_of(reference, config))}: {text}")
    return [f"{'gpu' if number == 0 else '':8}{text}" for number, text in enumerate(texts)]
