"""Fine-tuning under a new head to a target with classes of its own.

The setting of L2-SP, DELTA, BSS, Co-Tuning and TRED.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from tasks import data, fetching, methods, precision, problem, recipe, revisions, tested
from tasks.methods.method import OF_BACKBONE
from tasks.settings import (
    MODEL_SETTINGS,
    SOURCE_SETTINGS,
    by_content,
    canonical_model,
    fitting,
    learnt_stage,
    of_method,
    recipe_problems,
    shape,
    training_problems,
    training_settings,
    weightless,
    without_idle,
)
from tasks.task import Evidence, Keeps, Setting, Trajectory, Workspace, declare, filled
from tasks.trajectories import trajectory_of

OFFERS = frozenset({"source_head", *OF_BACKBONE})
"""What the task offers to methods if the backbone and the source provide it."""
TRAINING_SETTINGS = training_settings(
    # As in the released code of Co-Tuning and BSS: backbone 0.001, head 0.01, batch 48, decay 5e-4.
    learning_rate=1e-3,
    head_learning_rate_factor=10.0,
    batch_size=48,
    weight_decay=5e-4,
)
PROBLEM = {
    "dataset": Setting(
        str,
        "mnist-uci",
        choices=data.known_for_fine_tuning,
        each=data.each,
        path=data.root_of,
        open=True,
        doc="the source and the target domain",
    ),
    "fraction": Setting(
        float,
        1.0,
        low=0.001,
        high=1.0,
        doc="share of each class's training images; 0.15 to 1 in the papers",
    ),
    **problem.DIVISION,
}
BASE = {
    **PROBLEM,
    "method": Setting(
        str,
        methods.EMPTY,
        choices=lambda: methods.known(OFFERS),
        describe=methods.describe,
        open=True,
        doc="or a chain a+b, or your own as module:function",
    ),
    **TRAINING_SETTINGS,
    **recipe.VIEWS,
    **MODEL_SETTINGS,
    **SOURCE_SETTINGS,
    **precision.PRECISION,
}
SETTINGS = {**BASE, **methods.settings(new_head=True)}
COSTS = ("seconds", "peak_memory_bytes", "trainable_parameters")
METRICS = (
    "test/overall_accuracy",
    "test/class_accuracy",
    "test/loss",
    "validation/seen_accuracy",
    "validation/loss",
    "train/loss",
    "train/smallest_singular_value",
    "train/largest_singular_value",
    *methods.measures(methods.known(OFFERS)),
    "epoch",
    *COSTS,
)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config: defaults filled in, the chain ordered, keys without effect removed."""
    method = methods.canonical(config.get("method") or methods.EMPTY)
    own = _settings_of(method)
    full = {
        key: value
        for key, value in filled(own, config).items()
        if key in own or not (key in SETTINGS or "." in key)
    }
    full["method"] = method
    full |= canonical_model(full)
    full["dataset"] = data.canonical(full["dataset"])
    full = precision.canonical(recipe.canonical(problem.canonical(full)))
    if full["dataset"].startswith(f"{data.PRETRAINED}-"):
        full = {key: value for key, value in full.items() if key not in SOURCE_SETTINGS}
    else:
        full = without_idle(full, data.resized(full["dataset"]))
    return precision.chosen(full, lambda: problem.pixels(full))


def problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a resolved config: (key, message)."""
    own = _settings_of(config["method"])
    wrong = [
        (key, f"the task has no key '{key}'; it has {', '.join(own)}")
        for key in config
        if key not in own
    ]
    wrong += [("dataset", text) for text in data.fine_tuning_problems(config["dataset"])]
    wrong += weightless(config)
    pretrained = config["dataset"].startswith(f"{data.PRETRAINED}-")
    # A source model trained here has a classifier even if the pretrained weights lack it.
    wrong += fitting(config, () if pretrained else ("source_head",))
    known = not any(key == "dataset" for key, _ in wrong)
    if known:
        wrong += problem.problems(config)
    wrong += recipe_problems(config, problem.target(config) if known else None, wrong)
    if not wrong:
        source, target = data.fine_tuning_domains(config["dataset"])
        moving = methods.moves_norms(config["method"]) and not config.get("freeze_bn")
        wrong += training_problems(config, source, target if moving else None)
    return wrong


def notes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a user should know about the data and the weights of a resolved config."""
    return problem.notes(config)


def unmeasured(config: Mapping[str, Any]) -> dict[str, str]:
    """Columns that no trial of a resolved config can measure, each with the reason."""
    if problem.validates(config):
        return {}
    return dict.fromkeys(
        ("validation/seen_accuracy", "validation/loss"),
        "no class has an image to validate with: that takes three images of a class, and a "
        "validation_share above 0",
    )


def meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config with data and weights identified by content, not by location."""
    source, target = data.fine_tuning_domains(config["dataset"])
    held = [
        source if source == data.PRETRAINED else data.fingerprint(source),
        data.fingerprint(target),
    ]
    return {**config, "dataset": held, **by_content(config), **revisions.meaning(config)}


def stages(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Source training, unless the source is pretrained, and learning stages of methods."""
    return stages_of_part(config) | learnt_stage(
        "fine_tuning", config, {**PROBLEM, **MODEL_SETTINGS, **SOURCE_SETTINGS}
    )


def stages_of_part(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Source training only: the stage that parts of a trial need."""
    source = data.fine_tuning_domains(config["dataset"])[0]
    if source == data.PRETRAINED:
        return {}
    own = {key: config[key] for key in {**MODEL_SETTINGS, **SOURCE_SETTINGS} if key in config}
    return {"source": ("holistic_transfer:source", {"domain": source} | own)}


def spaces(config: Mapping[str, Any]) -> list[str]:
    """The members of the chain that have parameters."""
    return list(methods.spaces(config["method"]))


def role(config: Mapping[str, Any]) -> str:
    """Its role in a comparison: `source`, `bound`, or empty for a competitor."""
    return methods.role(config["method"], config)


def trajectory(config: Mapping[str, Any]) -> Trajectory | None:
    """The training behind a resolved config."""
    return trajectory_of("fine_tuning:trained", config, resolve)


def evidence(config: Mapping[str, Any]) -> Evidence:
    """The data that the numbers of a resolved config rest on."""
    own = {key: config[key] for key in {**MODEL_SETTINGS, **SOURCE_SETTINGS} if key in config}
    return problem.evidence(config, own)


def keeps(config: Mapping[str, Any]) -> Keeps | None:
    """The outputs that a trial of a resolved config passes on."""
    return problem.kept(config, data.PRETRAINED)


@declare(
    settings=SETTINGS,
    resolve=resolve,
    meaning=meaning,
    problems=problems,
    stages=stages,
    trajectory=trajectory,
    spaces=spaces,
    role=role,
    empty=methods.EMPTY,
    metrics=METRICS,
    unmeasured=unmeasured,
    notes=notes,
    keeps=keeps,
    evidence=evidence,
    steps=recipe.steps,
    tested=tested.tested,
    influence=tested.influence,
    timed=problem.TIMED,
    fetched=fetching.fetched,
    shape=shape,
)
def fine_tuning(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Fine-tunes a source model under a new head to a target with classes of its own."""
    from tasks.adaptation import fine_tune

    yield from fine_tune(resolve(config), workspace)


@declare(meaning=meaning, stages=stages_of_part)
def learnt(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The learning stage of a method, on the source model and the target's training images."""
    from tasks.adaptation import learn

    yield from learn(config, workspace)


@declare(
    meaning=meaning,
    stages=stages,
    metrics=("train/loss", "epoch", *COSTS),
)
def trained(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """A training shared by trials; writes what each of them is measured from."""
    from tasks.adaptation import train_trajectory

    yield from train_trajectory(config, workspace)


@declare(meaning=meaning, stages=stages_of_part, metrics=COSTS)
def heads(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The linear heads of trials that differ only in how the head is trained."""
    from tasks.adaptation import train_heads

    yield from train_heads(config, workspace)


@functools.cache
def _settings_of(method: str) -> Mapping[str, Setting]:
    """The settings that affect a canonical chain."""
    return of_method(BASE, TRAINING_SETTINGS, method, new_head=True)
