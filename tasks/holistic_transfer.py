"""Adaptation to a target domain where only some classes have training images.

The setting of Holistic Transfer (Tu et al., NeurIPS 2023).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from tasks import (
    data,
    fetching,
    given,
    methods,
    precision,
    problem,
    recipe,
    revisions,
    tested,
    text_heads,
)
from tasks.data import splits
from tasks.methods.method import NEEDS, OF_BACKBONE
from tasks.settings import (
    MANY,
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
    without_idle,
)
from tasks.task import Evidence, Keeps, Setting, Trajectory, Workspace, declare, filled
from tasks.trajectories import trajectory_of

OFFERS = frozenset(NEEDS) - set(OF_BACKBONE)
TRAINING_SETTINGS = training_settings(
    # Of plain fine-tuning's ten rates from 0.00005 to 0.05, the one with the best mean by the
    # protocol source_validation, which sees no test label, on corrupted digits that no other study
    # reports (studies/digits_defaults.yaml). Other data wants a search of its own.
    learning_rate=2e-4,
    head_learning_rate_factor=1.0,
    batch_size=64,
    weight_decay=0.0,
)
SOURCE = {
    **MODEL_SETTINGS,
    **SOURCE_SETTINGS,
    # A head made of class names needs no training: zero-shot CLIP is a source model.
    "source_epochs": dataclasses.replace(SOURCE_SETTINGS["source_epochs"], low=0),
    **text_heads.SETTINGS,
}
PROBLEM = {
    "dataset": Setting(
        str,
        "mnist-uci",
        choices=data.known,
        each=data.each,
        path=data.root_of,
        open=True,
        doc="the source and the target domain",
    ),
    **problem.CLASSES,
    **problem.DIVISION,
    "source": given.SETTING,
    "other_classes": given.OTHER_CLASSES,
}
BASE = {
    **PROBLEM,
    "method": Setting(
        str,
        methods.EMPTY,
        choices=methods.known,
        describe=methods.describe,
        open=True,
        examples=("source", methods.EMPTY, "l2sp", "wise_ft", "oracle"),
        doc="or a chain a+b, or your own as module:function",
    ),
    "pcv": Setting(
        int,
        0,
        low=0,
        high=20,
        doc="runs of pseudo cross-validation, a training each (the paper: 3), for its "
        "calibration and for protocol pseudo_missing",
    ),
    **TRAINING_SETTINGS,
    **recipe.VIEWS,
    **SOURCE,
    **precision.PRECISION,
}
SETTINGS = {**BASE, **methods.settings()}
COSTS = ("seconds", "peak_memory_bytes", "trainable_parameters")
CALIBRATIONS = ("alg", "alg_code", "oracle", "pcv", "pcv_code")
METRICS = (
    *(
        f"test/{name}"
        for name in (
            "overall_accuracy",
            "seen_accuracy",
            "missing_accuracy",
            "seen_within_accuracy",
            "missing_within_accuracy",
            "harmonic_mean",
            "ausuc",
            "curve_seen",
            "curve_missing",
            "ncm_overall_accuracy",
            "ncm_seen_accuracy",
            "ncm_missing_accuracy",
            "other_share",
            "seen_other_share",
            "missing_other_share",
            "loss",
        )
    ),
    *(
        f"test/{rule}_{name}"
        for rule in CALIBRATIONS
        for name in (
            "overall_accuracy",
            "seen_accuracy",
            "missing_accuracy",
            "harmonic_mean",
            "other_share",
        )
    ),
    "validation/alg_gamma",
    "validation/pcv_gamma",
    "validation/pcv_code_gamma",
    "test/alg_code_gamma",
    "test/oracle_gamma",
    "validation/seen_accuracy",
    "validation/loss",
    *(f"validation/source_{name}_accuracy" for name in ("overall", "seen", "missing")),
    *(f"validation/pseudo_{name}_accuracy" for name in ("seen", "missing")),
    "train/loss",
    "epoch",
    *COSTS,
)
MEASURED_WITH = {
    "validation/pseudo_missing_accuracy": "pcv",
    "validation/source_missing_accuracy": "source_validation",
}
"""Column -> the setting that must be above 0 for it to be measured."""
OF_MISSING = (
    "test/harmonic_mean",
    "test/ausuc",
    "test/curve_seen",
    *(name for name in METRICS if name.startswith("test/") and "missing" in name),
    *(name for name in METRICS if name.partition("/")[2].startswith(CALIBRATIONS)),
)
"""Columns that need test images of missing classes."""
OF_OTHERS = tuple(name for name in METRICS if name.endswith("other_share"))
"""Columns that need classes that are neither seen nor missing."""
OF_VALIDATION = (
    "validation/seen_accuracy",
    "validation/loss",
    "validation/alg_gamma",
    "validation/pcv_gamma",
    "validation/pcv_code_gamma",
    *(f"validation/pseudo_{name}_accuracy" for name in ("seen", "missing")),
)
"""Columns that need validation images."""
SOURCE_METRICS = ("train/loss", "train/accuracy", "validation/accuracy", "epoch", *COSTS)
PSEUDO_METRICS = (
    "validation/pseudo_gamma",
    "validation/pseudo_code_gamma",
    "validation/pseudo_seen_accuracy",
    "validation/pseudo_missing_accuracy",
    "train/loss",
    "epoch",
    *COSTS,
)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config: defaults filled in, the chain ordered, keys without effect removed."""
    method = methods.canonical(config.get("method") or methods.EMPTY)
    own = _settings_of(method)
    # Parameters of methods outside the chain have no effect; unknown keys stay, for `problems` to
    # report.
    full = {
        key: value
        for key, value in filled(own, config).items()
        if key in own or not (key in SETTINGS or "." in key)
    }
    full["method"] = method
    full |= canonical_model(full)
    full["dataset"] = data.canonical(full["dataset"])
    full = given.canonical(problem.canonical(full))
    if not full.get("pcv") or not methods.trains(method):
        full.pop("pcv", None)
    full = text_heads.canonical(recipe.canonical(full), lambda: _named_by(full["dataset"]))
    full = without_idle(full, data.resized(full["dataset"]))
    return precision.chosen(full, lambda: problem.pixels(full))


def problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a resolved config: (key, message)."""
    own = {**_settings_of(config["method"]), "pseudo": None}
    wrong = [
        (key, f"the task has no key '{key}'; it has {', '.join(own)}")
        for key in config
        if key not in own
    ]
    dropping = "drop" in config
    is_given = given.is_given(config)
    found = data.problems(config["dataset"], dropping=dropping, pretrained=is_given)
    wrong += [("dataset", text) for text in found]
    if is_given:
        wrong += [] if wrong else given.problems(config, problem.space(config))
    elif "other_classes" in config:
        wrong.append(
            (
                "other_classes",
                "a source model that is trained knows the classes of its domain and no other; "
                "give `source`, or leave `other_classes` out",
            )
        )
    elif not wrong:
        wrong += text_heads.problems(config, data.classes(data.domains(config["dataset"])[0]))
    wrong += fitting(config, OFFERS)
    known = not any(key == "dataset" for key, _ in wrong)
    if known:
        wrong += problem.problems(config) or [*_too_many(config), *_unvalidated(config)]
    wrong += recipe_problems(config, problem.target(config) if known else None, wrong)
    return wrong or _untrainable(config)


def notes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a user should know about the data and the weights of a resolved config."""
    return problem.notes(config)


def unmeasured(config: Mapping[str, Any]) -> dict[str, str]:
    """Columns that no trial of a resolved config can measure, each with the reason.

    The reason is always a set of images that is empty in every repetition.
    """
    source = {} if given.is_given(config) else data.counts(_trained_on(config))
    target = problem.sizes(config)
    missing, seen = problem.missing_and_seen(config)
    reasons: dict[str, str] = {}
    if "other_classes" not in config:
        reasons |= dict.fromkeys(
            OF_OTHERS,
            "each class is seen or missing: give `other_classes: keep` with a source model that "
            "knows more classes",
        )
    if not missing:
        reasons |= dict.fromkeys(OF_MISSING, "no class is missing")
    elif target and not any(target[name].tested for name in missing):
        reasons |= dict.fromkeys(
            OF_MISSING, "no missing class has a test image: a class of one image trains with it"
        )
    if not problem.validates(config, seen):
        reasons |= dict.fromkeys(
            OF_VALIDATION,
            "no seen class has an image to validate with: that takes three images of a class, and "
            "a validation_share above 0",
        )
    if given.is_given(config):
        held = (name for name in METRICS if name.startswith("validation/source_"))
        return reasons | dict.fromkeys(
            held, "the source model is given, so that no image was held out of its training"
        )
    groups = {"overall": list(source), "seen": seen, "missing": missing}
    reasons |= {
        f"validation/source_{name}_accuracy": "the source holds out no image of these classes: "
        "that takes two of a class"
        for name, classes in groups.items()
        if source
        and not any(
            splits.held_out(source[class_name], config["source_validation"])
            for class_name in classes
        )
    }
    return reasons


def meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config with data and weights identified by content, not by location."""
    source, target = data.fine_tuning_domains(config["dataset"])
    # Of the source of a given model only the names of the classes matter.
    start = list(problem.space(config)) if given.is_given(config) else data.fingerprint(source)
    held = [start, data.fingerprint(target)]
    return {**config, "dataset": held, **by_content(config), **revisions.meaning(config)}


def stages(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The stages of a trial: source training, learning stages of methods, pseudo cross-validation.

    The source model is the same for all targets, ratios and methods.
    """
    needed = stages_of_part(config)
    needed |= learnt_stage("holistic_transfer", config, {**PROBLEM, **SOURCE})
    alone = {key: value for key, value in config.items() if key != "pcv"}
    return needed | {
        f"pseudo-{number}": ("holistic_transfer:pseudo", {**alone, "pseudo": number})
        for number in range(config.get("pcv", 0))
    }


def spaces(config: Mapping[str, Any]) -> list[str]:
    """The members of the chain that have parameters."""
    return list(methods.spaces(config["method"]))


def role(config: Mapping[str, Any]) -> str:
    """Its role in a comparison: `source`, `bound`, or empty for a competitor."""
    return methods.role(config["method"], config)


def trajectory(config: Mapping[str, Any]) -> Trajectory | None:
    """The training behind a resolved config of a trial or of pseudo cross-validation."""
    return trajectory_of("holistic_transfer:trained", config, resolve)


def stages_of_training(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Source training and learning stages; a run of pseudo cross-validation learns by itself."""
    return stages_of_part(config) if "pseudo" in config else stages(config)


def evidence(config: Mapping[str, Any]) -> Evidence:
    """The data that the numbers of a resolved config rest on."""
    own = {key: config[key] for key in SOURCE if key in config}
    return problem.evidence(config, own)


def keeps(config: Mapping[str, Any]) -> Keeps | None:
    """The outputs that a trial of a resolved config passes on."""
    return problem.kept(config, _trained_on(config))


def resolve_source(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config of source training."""
    full = filled(SOURCE, config)
    full = text_heads.canonical(full | canonical_model(full), lambda: full["domain"])
    return without_idle(full, data.size(full["domain"]) is None)


def meaning_of_source(config: Mapping[str, Any]) -> dict[str, Any]:
    """The source's config with domain and weights identified by content."""
    return {**config, "domain": data.fingerprint(config["domain"]), **by_content(config)}


def stages_of_part(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Source training only, unless the source model is given: what parts of a trial need."""
    if given.is_given(config):
        return {}
    own = {key: config[key] for key in SOURCE if key in config}
    source = data.domains(config["dataset"])[0]
    return {"source": ("holistic_transfer:source", {"domain": source} | own)}


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
    measured_with=MEASURED_WITH,
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
def holistic_transfer(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Adapts a source model to a target without images of some classes; measures both groups."""
    from tasks.adaptation import adapt

    yield from adapt(resolve(config), workspace)


@declare(
    settings={"domain": Setting(str, "mnist", doc="the domain to train on"), **SOURCE},
    resolve=resolve_source,
    meaning=meaning_of_source,
    metrics=SOURCE_METRICS,
)
def source(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Trains the source model on all classes of a domain."""
    from tasks.adaptation import train_source

    yield from train_source(resolve_source(config), workspace)


@declare(meaning=meaning, stages=stages_of_part)
def learnt(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The learning stage of a method, on the source model and the images of the seen classes."""
    from tasks.adaptation import learn

    yield from learn(config, workspace)


@declare(meaning=meaning, stages=stages_of_part, trajectory=trajectory, metrics=PSEUDO_METRICS)
def pseudo(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """One training of pseudo cross-validation, on half of the seen classes."""
    from tasks.adaptation import cross_validate

    yield from cross_validate(config, workspace)


@declare(meaning=meaning, stages=stages_of_training, metrics=("train/loss", "epoch", *COSTS))
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
    return of_method(BASE, TRAINING_SETTINGS, method)


def _trained_on(config: Mapping[str, Any]) -> str:
    """The domain that the source model is trained on; `data.PRETRAINED` if it is given."""
    return data.PRETRAINED if given.is_given(config) else data.domains(config["dataset"])[0]


def _named_by(dataset: str) -> str:
    """The domain whose classes name a head of text: the source, or the target if there is none."""
    source, target = data.fine_tuning_domains(dataset)
    return target if source == data.PRETRAINED else source


def _untrainable(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why an otherwise valid config cannot train, in at least one repetition."""
    source, target = _trained_on(config), problem.target(config)
    sizes = problem.sizes(config)
    _, seen = problem.missing_and_seen(config)
    fewest = sorted(sizes[name].trained for name in seen) if sizes else []
    own = (
        len(seen)
        if "missing_classes" in config
        else len(seen) - splits.missing_count(len(seen), config["missing_ratio"])
    )
    moving = methods.moves_norms(config["method"]) and not config.get("freeze_bn")
    trained = target if moving else None
    return training_problems(config, source, trained, sum(fewest[:own]) or MANY)


def _unvalidated(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why there is nothing for pseudo cross-validation to measure, if it is asked for."""
    if not config.get("pcv") or problem.validates(config, problem.missing_and_seen(config)[1]):
        return []
    return [
        (
            "pcv",
            "pseudo cross-validation needs images of seen classes that validate, which takes three "
            "images of a class and a validation_share above 0; give more, or leave `pcv` out",
        )
    ]


def _too_many(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Parameters of methods that are above the count of seen classes."""
    names = problem.space(config)
    seen = len(names) - problem.missing_count(config)
    return [
        (
            key,
            f"got {config[key]} classes, but only {seen} of {len(names)} are seen; give "
            f"at most {max(seen - 1, 0)}",
        )
        for key in methods.counts_seen_classes(config["method"])
        if config.get(key, 0) > seen
    ]
