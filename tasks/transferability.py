"""Transferability scores: how well a source model will serve a target, before any adaptation.

A trial computes one score of one source model on one target. Its rows enter the same ledger as
those of the trials that it predicts: in each repetition it uses the same images of the same classes
that they train on. The features are a stage shared by all scores, ratios and fractions; the source
model is the stage that `holistic_transfer` and `fine_tuning` use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tasks import backbones, data, fetching, given, precision, problem, scores
from tasks.data import splits
from tasks.scores import solver
from tasks.settings import (
    MODEL_SETTINGS,
    SOURCE_SETTINGS,
    by_content,
    canonical_model,
    model_problems,
    training_problems,
    weightless,
    without_idle,
)
from tasks.task import Evidence, Setting, Workspace, declare, filled

SOURCE = {**MODEL_SETTINGS, **SOURCE_SETTINGS}
BASE = {
    "dataset": Setting(
        str,
        "mnist-uci",
        choices=data.known_for_fine_tuning,
        each=data.each,
        path=data.root_of,
        open=True,
        doc="the source and the target domain",
    ),
    **problem.CLASSES,
    "missing_ratio": replace(problem.CLASSES["missing_ratio"], default=0.0),
    **problem.DIVISION,
    "source": given.SETTING,
    "fraction": Setting(
        float, 1.0, low=0.001, high=1.0, doc="share of each class's training images"
    ),
    "score": Setting(
        str,
        "logme",
        choices=scores.known,
        open=True,
        describe=lambda name: scores.described(scores.find(name)),
        doc="or your own as module:function",
    ),
    **SOURCE,
}
SETTINGS = {**BASE, **scores.settings()}
TARGET = (*problem.CLASSES, "fraction", *problem.DIVISION)
COSTS = ("epoch", "seconds", "peak_memory_bytes")
PREDICTS = "transferability"
METRICS = (
    PREDICTS,
    *dict.fromkeys(part for name in scores.NAMES for part in scores.parts(name)),
    *COSTS,
)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config: defaults filled in, keys without effect on this score removed."""
    own = _settings_of(config.get("score") or BASE["score"].default)
    # Unknown keys stay, for `problems` to report.
    full = {
        key: value
        for key, value in filled(own, config).items()
        if key in own or not (key in SETTINGS or "." in key)
    }
    full["score"] = full["score"] or BASE["score"].default
    full |= canonical_model(full)
    full["dataset"] = data.canonical(full["dataset"])
    full = problem.canonical(full)
    if not full.get("source"):
        full.pop("source", None)
    if full.get("missing_classes") == []:
        # An empty list of missing classes means the same as a ratio of 0.
        del full["missing_classes"]
        full["missing_ratio"] = 0.0
    return _without_idle(full)


def meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config with data and weights identified by content, not by location."""
    source, target = data.fine_tuning_domains(config["dataset"])
    held = [
        source if source == data.PRETRAINED else data.fingerprint(source),
        data.fingerprint(target),
    ]
    return {**config, "dataset": held, **by_content(config)}


def problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a resolved config: (key, message)."""
    own = _settings_of(config["score"])
    problems_found = [
        (key, f"the task has no key '{key}'; it has {', '.join(own)}")
        for key in config
        if key not in own
    ]
    problems_found += [("dataset", text) for text in data.fine_tuning_problems(config["dataset"])]
    if config.get("source"):
        problems_found.append(
            (
                "source",
                "a score takes a given model by its dataset, "
                f"{data.PRETRAINED}-TARGET, with `weights`; leave `source` out",
            )
        )
    problems_found += weightless(config) + model_problems(config)
    wrong = scores.problem(config["score"])
    problems_found += [("score", wrong)] if wrong else []
    # The needs of a score can be checked only if score, dataset and backbone exist.
    return (
        problems_found
        or problem.problems(config, tested=False)
        or _unmet(config)
        or list(precision.problems(config))
        or training_problems(config, data.fine_tuning_domains(config["dataset"])[0], None)
    )


def notes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a user should know about the data and the weights of a resolved config."""
    return problem.notes(config)


def stages(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The features, shared by all scores, missing classes and fractions."""
    own = {key: config[key] for key in ("dataset", *SOURCE) if key in config}
    return {"features": ("transferability:features", own)}


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """What two configs must share for the higher score to mean the better source.

    It is the target data and the score. Everything else (source domain, backbone, source training,
    weights) is what the score chooses between.
    """
    target = data.fine_tuning_domains(config["dataset"])[1]
    own = {
        key: config[key]
        for key in (*TARGET, "score", *scores.parameters(config["score"]))
        if key in config
    }
    return {"target": target.rpartition(":")[2], "content": data.fingerprint(target), **own}


def evidence(config: Mapping[str, Any]) -> Evidence:
    """The data that the score of a resolved config rests on."""
    own = {key: config[key] for key in SOURCE if key in config}
    return problem.evidence(config, own)


def resolve_features(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config of the features of a source model and a target domain."""
    full = filled({"dataset": BASE["dataset"], **SOURCE}, config)
    full |= canonical_model(full)
    full["dataset"] = data.canonical(full["dataset"])
    return _without_idle(full)


def stages_of_features(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The source model, unless it is pretrained."""
    source = data.fine_tuning_domains(config["dataset"])[0]
    if source == data.PRETRAINED:
        return {}
    return {
        "source": (
            "holistic_transfer:source",
            {"domain": source} | {key: config[key] for key in SOURCE if key in config},
        )
    }


@declare(
    settings=SETTINGS,
    resolve=resolve,
    meaning=meaning,
    problems=problems,
    stages=stages,
    metrics=METRICS,
    predicts=PREDICTS,
    fetched=fetching.fetched,
    combined=scores.combined(),
    terms=scores.terms(),
    comparable=comparable,
    evidence=evidence,
    notes=notes,
)
def transferability(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Scores how well a source model will transfer to a target, without adapting it."""
    from tasks.scoring import score

    yield from score(resolve(config), workspace)


@declare(resolve=resolve_features, meaning=meaning, stages=stages_of_features, metrics=COSTS)
def features(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The source model's features of the images of the target domain and of its own."""
    from tasks.scoring import extract

    yield from extract(resolve_features(config), workspace)


@functools.cache
def _settings_of(score: str) -> Mapping[str, Setting]:
    """The settings that affect a score: the shared ones and its own parameters."""
    return BASE if scores.problem(score) else {**BASE, **scores.parameters(score)}


def _without_idle(config: dict[str, Any]) -> dict[str, Any]:
    """The config without keys that have no effect: source training and `amp` if pretrained, say."""
    if config["dataset"].startswith(f"{data.PRETRAINED}-"):
        return {
            key: value
            for key, value in precision.without(config).items()
            if key not in SOURCE_SETTINGS
        }
    return without_idle(config, data.resized(config["dataset"]))


def _unmet(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the score needs but this source and target lack."""
    score = config["score"]
    source, target = data.fine_tuning_domains(config["dataset"])
    offers = set(JUDGED)
    if solver.installed():
        offers.add("transport")
    if problem.missing_count(config):
        offers.add("missing_classes")
    if source == data.PRETRAINED:
        # Inspect a timm model only if it matters: importing timm takes seconds.
        if "head" in scores.needs(score) and backbones.classifier(
            config["backbone"], config.get("weights", ""), config.get("image_size", 0)
        ):
            offers.add("head")
        return [("score", text) for text in scores.unmet(score, offers)]
    offers |= {"head", "source_data"}
    if data.classes(source) == problem.space(config):
        offers.add("shared_classes")
    wrong = [("score", text) for text in scores.unmet(score, offers)]
    for need, check in JUDGED.items():
        if need in scores.needs(score):
            wrong += check(config, source, target)
    return wrong + scores.choices_unmet(score, config, offers)


def _without_held_out(config: Mapping[str, Any], source: str, _: str) -> list[tuple[str, str]]:
    """What is wrong if no source image is held out of source training."""
    score, share = config["score"], config["source_validation"]
    if not share:
        return [
            (
                "source_validation",
                f"'{score}' looks at source images held out of source training, but none are; "
                "give source_validation above 0, or leave the score out",
            )
        ]
    counts = data.counts(source).values()
    if counts and not any(splits.held_out(count, share) for count in counts):
        return [
            (
                "dataset",
                f"'{score}' looks at source images held out of source training, which takes a "
                "class of two images; give more images, or leave the score out",
            )
        ]
    return []


def _uncovered(config: Mapping[str, Any], source: str, target: str) -> list[tuple[str, str]]:
    """What is wrong if the source has fewer classes than the target has seen classes."""
    known, wanted = len(data.classes(source)), _seen_count(config)
    if wanted <= known:
        return []
    return [
        (
            "score",
            f"'{config['score']}' maps each class of the source to one of the target, and {known} "
            f"source classes cannot cover the {wanted} of the target; take a source of more "
            "classes, or leave it out",
        )
    ]


def _untested(config: Mapping[str, Any], _: str, target: str) -> list[tuple[str, str]]:
    """What is wrong if some repetition may have no test image of a seen class."""
    tested = sorted(
        part.tested
        for name, part in problem.sizes(config).items()
        if name not in config.get("missing_classes", ()) and part.trained
    )
    seen = _seen_count(config)
    if not tested or any(tested[:seen]):
        return []
    return [
        (
            "dataset",
            f"'{config['score']}' judges its bound by test images of seen classes, and in some "
            "repetition there may be none, since a class of one image trains with it; give more "
            "images, or leave the score out",
        )
    ]


def _seen_count(config: Mapping[str, Any]) -> int:
    """How many classes are seen."""
    return len(problem.space(config)) - problem.missing_count(config)


JUDGED: Mapping[str, Callable[[Mapping[str, Any], str, str], list[tuple[str, str]]]] = {
    "held_out": _without_held_out,
    "source_covers_target": _uncovered,
    "test_images": _untested,
}
"""A need of scores that depends on the number of images or classes -> its check.

A check takes a config, its source and its target, and returns what is wrong.
"""
