"""The target that a config poses, as far as it is known without decoding: classes, parts, missing.

`tasks.loading.target_of` draws what is said here to be drawn.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from tasks import data, given, precision, recipe, speed, text_heads, weights
from tasks.data import corruptions, listing, parts, splits
from tasks.data.parts import Part, Way
from tasks.outputs import SOURCE, TEST, VALIDATION
from tasks.task import Evidence, Keeps, Setting, Timed

NATURAL, OFFICIAL = "natural", "official"
DIVISION = {
    "split": Setting(
        str,
        parts.OFFICIAL,
        choices=lambda: parts.SPLITS,
        doc="which images test and which validate",
    ),
    "test_share": Setting(
        float,
        splits.TEST,
        low=0.01,
        high=0.9,
        doc="share of the images that test, where no official split says which",
    ),
    "validation_share": Setting(
        float,
        splits.VALIDATION,
        low=0.0,
        high=0.5,
        doc="share of the images that validate, where no official split says which",
    ),
}
"""How the target's images are divided; a config without these keys has their defaults."""
CLASSES = {
    "missing_ratio": Setting(
        float, 0.5, low=0.0, high=0.99, doc="share of the classes without target training images"
    ),
    "missing_classes": Setting(
        list, None, doc="the missing classes by name or index, in place of a ratio"
    ),
    "missing": Setting(
        str,
        "",
        choices=lambda: {
            "": "those of missing_ratio or missing_classes",
            NATURAL: "the classes that the target's training part lacks, and no other",
            OFFICIAL: "those that the benchmark's paper takes as missing",
        },
        doc="which classes are missing, in place of a ratio or a list",
    ),
    "drop": Setting(
        str,
        "",
        choices=lambda: {
            "": "nothing",
            parts.UNKNOWN_CLASSES: "target images of classes that the source lacks",
        },
        doc="what is left out of the target",
    ),
}
"""Which of the target's classes are missing."""


def canonical(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with its classes by name, and without division keys that have their defaults.

    `missing: natural` becomes a ratio of 0, since what a target lacks is always missing, and
    `missing: official` the list that it stands for.
    """
    full = {
        key: value
        for key, value in config.items()
        if not (key in DIVISION and value == DIVISION[key].default)
    }
    if full.get("drop") == "":
        del full["drop"]
    if not _may_miss(config):
        return full
    if full.get("missing") == NATURAL:
        full |= {"missing": "", "missing_classes": None, "missing_ratio": 0.0}
    elif full.get("missing") == OFFICIAL:
        named = data.official_missing(full["dataset"])
        if named is not None:
            full |= {"missing": "", "missing_classes": named}
    if full.get("missing") == "":
        del full["missing"]
    if full.get("missing_classes") is None:
        full.pop("missing_classes", None)
        full["missing_ratio"] = data.missing_ratio(
            full["dataset"], full["missing_ratio"], Way.of(full)
        )
    else:
        full.pop("missing_ratio", None)
        full["missing_classes"] = data.missing_names(full["dataset"], full["missing_classes"])
    return full


def target(config: Mapping[str, Any]) -> str:
    """The name of the target domain."""
    return data.fine_tuning_domains(config["dataset"])[1]


def space(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that labels are places in.

    They are the source's; the target's own where none of them may be missing, or where the source
    model is given and no domain says what it was trained on.
    """
    if not _may_miss(config):
        return data.classes(target(config))
    return data.label_space(config["dataset"], dropping="drop" in config)


def sizes(config: Mapping[str, Any]) -> dict[str, Part]:
    """The images of each class of the label space by part; empty if they are not known."""
    known = parts.sizes(target(config), Way.of(config))
    none = Part(0, 0, 0)
    return {name: known.get(name, none) for name in space(config)} if known else {}


def missing_and_seen(config: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The classes that may be missing, and those that may be seen, in some repetition."""
    names = space(config)
    lacking = parts.absent(target(config), Way.of(config), names)
    if lacking is None:
        return list(names), list(names)
    missing = set(lacking)
    if "missing_classes" in config:
        missing |= {names[index] for index in data.class_indices(config["missing_classes"], names)}
    drawn = config.get("missing_ratio", 0.0) > 0
    return (
        [name for name in names if drawn or name in missing],
        [name for name in names if name not in missing],
    )


def missing_count(config: Mapping[str, Any]) -> int:
    """How many classes of the label space are missing; before groups are drawn, the fewest."""
    names = space(config)
    lacking = set(parts.absent(target(config), Way.of(config), names) or ())
    if "missing_classes" in config:
        given = data.class_indices(config["missing_classes"], names)
        return len(lacking | {names[index] for index in given})
    present = len(names) - len(lacking)
    drawn = splits.missing_count(present, config.get("missing_ratio", 0.0)) if present else 0
    return len(lacking) + drawn


def problems(config: Mapping[str, Any], *, tested: bool = True) -> list[tuple[str, str]]:
    """(key, what is wrong) with the target's division, and with its classes if some may miss.

    Args:
        config: a resolved config whose dataset exists.
        tested: whether there must be an image to test with.
    """
    way, name = Way.of(config), target(config)
    if way.test + way.validation > 0.95:
        return [
            (
                "test_share",
                f"test_share {way.test:g} and validation_share {way.validation:g} leave less than "
                "5 % of the images to train with; give smaller shares",
            )
        ]
    try:
        parts.marks(name, way, 0)
    except ValueError as error:
        return [("split", str(error))]
    wrong = _of_classes(config)
    if wrong:
        return wrong
    known = parts.sizes(name, way)
    if not (tested and known) or any(part.tested for part in known.values()):
        return []
    return [
        (
            "dataset",
            f"no class of {place(name)} has a test image: the only image of each is used for "
            "training; give at least two, or three to have one for validation as well",
        )
    ]


def notes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, note) about the data and the weights of a config without problems."""
    name, way, names = target(config), Way.of(config), space(config)
    known = parts.sizes(name, way)
    untested = [own for own, part in known.items() if part.trained and not part.tested]
    said = [("dataset", text) for text in data.notes(config["dataset"])]
    dropped = parts.unknown(names, data.classes(name))
    if dropped:
        said.append(("drop", f"{place(name)}: images of {_some(dropped)} are left out"))
    if untested:
        what = (
            "classes of one image, which trains"
            if all(known[own].trained == 1 for own in untested)
            else "classes without a test image"
        )
        said.append(
            ("dataset", f"{place(name)}: {what}, so that they are never tested: {_some(untested)}")
        )
    lacking = parts.absent(name, way, names) or []
    if lacking:
        said.append(
            (
                "dataset",
                f"{place(name)}: {len(lacking)} of {len(names)} classes have no image to train "
                f"with, so that they are missing whatever else is: {_some(lacking)}",
            )
        )
    ratio, present = config.get("missing_ratio", 0.0), len(names) - len(lacking)
    count = splits.missing_count(present, ratio) if present else 0
    if abs(ratio * present - count) > 1e-9:
        said.append(("missing_ratio", f"{ratio:g}: {count} of {present} classes are missing"))
    others = given.others(config, names)
    if others:
        said.append(
            (
                "other_classes",
                f"{place(name)}: {len(others):,} classes of the source model are neither seen nor "
                "missing; they compete in each prediction, and test/other_share is how often one "
                "is predicted",
            )
        )
    if text_heads.is_text(config) or config.get("source"):
        return said
    weight_notes = weights.notes(
        config["backbone"], config.get("weights", ""), config.get("image_size", 0)
    )
    return said + [("weights", text) for text in weight_notes]


def pixels(config: Mapping[str, Any]) -> int:
    """Pixels a side of the images of a resolved config; 0 if they are not known."""
    size: int = config.get("image_size") or data.size(target(config)) or 0
    return size


def timed(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The shape of a resolved config, and what `tasks.speed` measures it with."""
    size = pixels(config)
    return precision.shape(config, size), {
        "backbone": config["backbone"],
        "channels": data.channels(target(config)),
        "pixels": size,
        "fitted": bool(config.get("weights") or config.get("source")),
        "classes": len(space(config)),
        "batch_size": config.get("batch_size", 64),
    }


TIMED = Timed("precision", precision.WAYS, "tasks.speed:steps", timed, speed.fastest)


def evidence(config: Mapping[str, Any], model: Mapping[str, Any]) -> Evidence:
    """The data that a trial's numbers rest on: domains without their corruption.

    Args:
        config: a resolved config.
        model: the settings of the source model.
    """
    source, name = data.fine_tuning_domains(config["dataset"])
    way = Way.of(config)
    return Evidence(
        corruptions.base(name),
        corruptions.base(source),
        json.dumps(model, sort_keys=True),
        # Parts of their own are independent draws: nothing is tested twice.
        None if way.split == parts.DISJOINT else parts.tested_share(name, way),
        way.repetitions,
    )


def kept(config: Mapping[str, Any], source: str) -> Keeps | None:
    """The outputs that a trial passes on; None if images are not counted until they are loaded.

    Args:
        config: a resolved config.
        source: the domain whose held-out images are measured; none with `data.PRETRAINED`.
    """
    classes = len(space(config))
    tested, validated = _tested_and_validated(config)
    missing = missing_count(config)
    images = {TEST: tested, VALIDATION: round(validated * (classes - missing) / classes)}
    share = config.get("source_validation", 0.0) if source != data.PRETRAINED else 0.0
    if share:
        counts, whole = data.counts(source), data.images(source)
        held = [splits.held_out(count, share) for count in counts.values()]
        images[SOURCE] = (
            sum(held) if counts else _UNKNOWN if whole is None else round(share * whole)
        )
    if min(images.values()) < 0:
        return None
    steps = recipe.measurements(config.get("epochs", 0), config.get("measure_every", 1))
    return Keeps(images, classes + len(given.others(config, space(config))), steps)


def validates(config: Mapping[str, Any], seen: Collection[str] | None = None) -> bool:
    """Whether any image of these classes, by default of all, may validate in some repetition."""
    known = sizes(config)
    if known:
        return any(part.validated for name, part in known.items() if seen is None or name in seen)
    return _tested_and_validated(config)[1] != 0


def place(domain: str) -> str:
    """A domain's name without its root, in printable form."""
    return listing.shown(domain.rpartition(":")[2])


_UNKNOWN = -1


def _of_classes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, what is wrong) with the missing classes, if a config may have any."""
    if config.get("missing"):
        return [
            (
                "missing",
                f"'{config['missing']}' is no way to say what is missing, or no paper says it for "
                f"'{config['dataset']}': {OFFICIAL} takes a benchmark whose paper names them, and "
                f"{NATURAL} any target; otherwise give missing_ratio or missing_classes",
            )
        ]
    names = space(config)
    if "missing_classes" in config:
        try:
            data.class_indices(config["missing_classes"], names)
        except ValueError as error:
            return [("missing_classes", str(error))]
        if missing_count(config) == len(names):
            return [
                (
                    "missing_classes",
                    f"all {len(names)} classes are missing; leave at least one to be seen",
                )
            ]
    if "missing_ratio" in config and missing_count(config) == len(names):
        return [
            (
                "split",
                f"{place(target(config))} has no image to train with by this split; give another, "
                "such as `split: random`",
            )
        ]
    lacking = parts.absent(target(config), Way.of(config), names)
    if lacking and not _may_miss(config):
        return [
            (
                "split",
                f"no image of {_some(lacking)} is left to train with in {place(target(config))}; "
                "give another split, or take these classes out",
            )
        ]
    return []


def _may_miss(config: Mapping[str, Any]) -> bool:
    """Whether the config is of a task in which classes may be missing."""
    return "missing_ratio" in config or "missing_classes" in config


def _some(names: list[str]) -> str:
    return listing.some(map(listing.shown, names), 10)


def _tested_and_validated(config: Mapping[str, Any]) -> tuple[int, int]:
    """Approximate test and validation sizes with no class missing, or `_UNKNOWN`."""
    name, way = target(config), Way.of(config)
    known = sizes(config).values()
    if known:
        return sum(part.tested for part in known), sum(part.validated for part in known)
    official, whole = data.official_test(name), data.images(name)
    if official is not None and way.split == parts.OFFICIAL:
        return splits.official_sizes(len(official), int(official.sum()), *way.shares)
    return (_UNKNOWN, _UNKNOWN) if whole is None else splits.sizes(whole, *way.shares)
