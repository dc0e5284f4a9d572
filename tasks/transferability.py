"""Whether a source model will serve a target, told before anything is adapted: one score of one (source model, target data).

A trial's rows enter the same ledger as those of the trials that it predicts: in a repetition it
looks at the very images of the very classes that they train on. What a model makes of the images is
a stage, made once for all scores, ratios and fractions; the source model is the same stage as that
of `holistic_transfer` and `fine_tuning`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from tasks import backbones, data, scores
from tasks.data import splits
from tasks.settings import (
    MODEL_SETTINGS,
    SOURCE_SETTINGS,
    by_content,
    canonical_model,
    model_problems,
    set_notes,
    training_problems,
    weightless,
    without_idle,
)
from tasks.task import Setting, declare, filled

SOURCE = {**MODEL_SETTINGS, **SOURCE_SETTINGS}
BASE = {
    "dataset": Setting(
        str,
        "mnist-uci",
        choices=data.known_for_fine_tuning,
        open=True,
        doc="or folder:ROOT:SOURCE-TARGET, or pretrained-folder:ROOT:DOMAIN; images in ROOT/DOMAIN/CLASS/IMAGE",
    ),
    "missing_ratio": Setting(
        float, 0.0, low=0.0, high=0.99, doc="share of the classes without target training images"
    ),
    "missing_classes": Setting(
        list, None, doc="the missing classes by name or index, in place of a ratio"
    ),
    "fraction": Setting(
        float, 1.0, low=0.001, high=1.0, doc="share of each class's training images"
    ),
    "score": Setting(
        str, "logme", choices=scores.known, open=True, doc="or one's own as module:function"
    ),
    **SOURCE,
}
SETTINGS = {**BASE, **scores.settings()}
TARGET = ("missing_ratio", "missing_classes", "fraction")
COSTS = ("epoch", "seconds", "peak_memory_bytes")
HELD_OUT = ("source_accuracy", "missing_interference", "missing_retained")
"""The scores that cannot do without source images which source training did not see."""
PREDICTS = "transferability"
METRICS = (
    PREDICTS,
    *dict.fromkeys(part for name in scores.NAMES for part in scores.parts(name)),
    *COSTS,
)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config: defaults filled in, without other scores' parameters and what else cannot matter to this one."""
    own = _settings_of(config.get("score") or BASE["score"].default)
    # A key that nobody knows stays, for `problems` to judge.
    full = {
        key: value
        for key, value in filled(own, config).items()
        if key in own or not (key in SETTINGS or "." in key)
    }
    full["score"] = full["score"] or BASE["score"].default
    full |= canonical_model(full)
    full["dataset"] = data.canonical(full["dataset"])
    missing = full.pop("missing_classes")
    if missing is not None:
        del full["missing_ratio"]
        # None missing by name is none missing by ratio.
        full |= (
            {"missing_classes": data.missing_names(full["dataset"], missing)}
            if missing != []
            else {"missing_ratio": 0.0}
        )
    else:
        full["missing_ratio"] = data.missing_ratio(full["dataset"], full["missing_ratio"])
    return _without_idle(full)


def meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config with data and weights by what they hold, not by where they lie."""
    source, target = data.fine_tuning_domains(config["dataset"])
    held = [
        source if source == data.PRETRAINED else data.fingerprint(source),
        data.fingerprint(target),
    ]
    return {**config, "dataset": held, **by_content(config)}


def problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a resolved config: (key, message)."""
    own = _settings_of(config["score"])
    found = [
        (key, f"the task has no key '{key}'; it has {', '.join(own)}")
        for key in config
        if key not in own
    ]
    found += [("dataset", text) for text in data.fine_tuning_problems(config["dataset"])]
    found += weightless(config) + model_problems(config)
    wrong = scores.problem(config["score"])
    found += [("score", wrong)] if wrong else []
    # What a score needs can only be asked of a score, a dataset and a backbone that there are.
    return (
        found
        or _wrong_classes(config)
        or _unmet(config)
        or training_problems(config, data.fine_tuning_domains(config["dataset"])[0], None)
    )


def notes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a person should know of the data and the weights of a resolved config."""
    return set_notes(config, data.fine_tuning_domains(config["dataset"])[1])


def stages(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The features, the same for all scores, missing classes and fractions."""
    own = {key: config[key] for key in ("dataset", *SOURCE) if key in config}
    return {"features": ("transferability:features", own)}


def comparable(config: Mapping[str, Any]) -> dict[str, Any]:
    """What two resolved configs share if the larger of their scores is the better source: the target data and the score.

    Everything else (source domain, backbone, source training, weights) is what is chosen between.
    """
    target = data.fine_tuning_domains(config["dataset"])[1]
    own = {
        key: config[key]
        for key in (*TARGET, "score", *scores.parameters(config["score"]))
        if key in config
    }
    return {"target": target.rpartition(":")[2], "content": data.fingerprint(target), **own}


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
    combined={"otce (fitted)": ("otce_w", "otce_ce")},
    terms="tta/",
    comparable=comparable,
    notes=notes,
)
def transferability(config: Mapping[str, Any], workspace: Any) -> Iterator[dict[str, Any]]:
    """Scores how well a source model will transfer to a target, before anything is adapted; the higher the better."""
    from tasks.scoring import score

    yield from score(resolve(config), workspace)


@declare(resolve=resolve_features, meaning=meaning, stages=stages_of_features, metrics=COSTS)
def features(config: Mapping[str, Any], workspace: Any) -> Iterator[dict[str, Any]]:
    """What the source model makes of the images of the target domain, and of those of its own."""
    from tasks.scoring import extract

    yield from extract(resolve_features(config), workspace)


@functools.cache
def _settings_of(score: str) -> Mapping[str, Setting]:
    """The settings that matter to a score: its parameters alone of all scores'."""
    return BASE if scores.problem(score) else {**BASE, **scores.parameters(score)}


def _without_idle(config: dict[str, Any]) -> dict[str, Any]:
    """Without settings that change nothing: those of source training, its precision too, where the source is pretrained."""
    if config["dataset"].startswith(f"{data.PRETRAINED}-"):
        return {
            key: value
            for key, value in config.items()
            if key not in SOURCE_SETTINGS and key != "amp"
        }
    return without_idle(config, config["dataset"])


def _wrong_classes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Missing classes that are none of the target's, or all."""
    names = data.classes(data.fine_tuning_domains(config["dataset"])[1])
    try:
        given = data.class_indices(config.get("missing_classes", ()), names)
    except ValueError as error:
        return [("missing_classes", str(error))]
    if len(given) < len(names):
        return []
    return [
        ("missing_classes", f"all {len(names)} classes are missing; leave one at least to be seen")
    ]


def _unmet(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the score needs and this source and target do not have."""
    score = config["score"]
    source, target = data.fine_tuning_domains(config["dataset"])
    names = data.classes(target)
    missing = len(config.get("missing_classes", ())) or splits.missing_count(
        len(names), config.get("missing_ratio", 0.0)
    )
    offers = {"missing_classes"} if missing else set()
    if source == data.PRETRAINED:
        # A timm model is looked into only where it matters: timm's import takes seconds.
        if "head" in scores.needs(score) and backbones.classifier(
            config["backbone"], config.get("weights", ""), config.get("image_size", 0)
        ):
            offers.add("head")
        return [("score", text) for text in scores.unmet(score, offers)]
    known = data.classes(source)
    offers |= {"head", "source_data"} | ({"shared_classes"} if known == names else set())
    found = [("score", text) for text in scores.unmet(score, offers)]
    counts = data.counts(source).values()
    if score in HELD_OUT and not config["source_validation"]:
        found.append(
            (
                "source_validation",
                f"'{score}' looks at source images held out of source training, but none are; "
                "give source_validation above 0, or leave the score out",
            )
        )
    elif (
        score in HELD_OUT
        and counts
        and not any(splits.held_out(count, config["source_validation"]) for count in counts)
    ):
        found.append(
            (
                "dataset",
                f"'{score}' looks at source images held out of source training, which takes a "
                "class of two "
                "images; give more images, or leave the score out",
            )
        )
    if scores.group(score) == "tta" and len(names) - missing > len(known):
        found.append(
            (
                "score",
                f"'{score}' maps each class of the source to one of the target, and {len(known)} "
                "source classes "
                f"cannot cover the {len(names) - missing} of the target; take a source of more "
                "classes, or leave it out",
            )
        )
    tested = sorted(
        splits.sizes(count)[0]
        for name, count in data.counts(target).items()
        if name not in config.get("missing_classes", ())
    )
    if scores.group(score) == "tta" and tested and not sum(tested[: len(names) - missing]):
        found.append(
            (
                "dataset",
                f"'{score}' judges its bound by test images of seen classes, and in some "
                "repetition there may "
                "be none, since a class of one image trains with it; give more images, or leave "
                "the score out",
            )
        )
    if config.get("tta.label_map") == "same" and known != names:
        found.append(
            (
                "tta.label_map",
                "'same' maps each class of the source to itself, but the target has other classes; "
                "give 'random'",
            )
        )
    return found
