"""Datasets by name: `mnist-uci`, `uci-mnist`, and `folder:ROOT:SOURCE-TARGET` for images of one's own.

A dataset is a source and a target domain with the same classes. A domain's name is `mnist`, `uci`
or `folder:ROOT:DOMAIN`, or one of them corrupted: `uci@blur`, `uci@noise5` (`corruptions.py`).
Nothing here decodes an image until `load` is called.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import os
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tasks.data import corruptions, splits

DIGITS = ("mnist", "uci")
DIGITS_SIZE = 16
"""Pixels a side of digits, which need no `image_size`."""
NAMES = ("mnist-uci", "uci-mnist")
PRETRAINED = "pretrained"
"""In place of a source domain: the source model is the backbone's pretrained weights."""


@final
@dataclass(frozen=True, eq=False)
class Images:
    """The images of a domain, decoded: float32 in [0, 1] or uint8, [N, channels, height, width], with labels int64 [N]."""

    pixels: Any
    labels: Any
    classes: tuple[str, ...]


def known() -> dict[str, str]:
    """The datasets there are by name: name -> a line about it."""
    return {
        "mnist-uci": "MNIST digits (5,000 images) to UCI optical digits (1,797), ten classes, 1x16x16",
        "uci-mnist": "UCI optical digits to MNIST digits, ten classes, 1x16x16",
        "mnist-uci@blur3": "a domain corrupted, as either may be, a folder's too: "
        + ", ".join(f"@{kind}" for kind in corruptions.KINDS)
        + "; severity 1 to 5",
    }


def canonical(dataset: str) -> str:
    """The dataset's name with an absolute root, from the working folder: a worker has another one than the launch."""
    if "folder:" not in dataset:
        return _canonical(dataset, "")
    return _canonical(dataset, os.getcwd())


@functools.cache
def _canonical(dataset: str, working: str) -> str:
    before, folder, after = dataset.partition("folder:")
    root, _, pair = after.rpartition(":")
    if folder and root:
        # No such user, a link in a circle: for `problems` to judge
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            dataset = f"{before}folder:{(Path(working) / Path(root).expanduser()).resolve()}:{pair}"
    return _with_severities(dataset) if "@" in dataset else dataset


def domains(dataset: str) -> tuple[str, str]:
    """The names of the source and the target domain.

    Raises:
        ValueError: no such dataset; says what is wrong and what there is.
    """
    return (
        _folder().domains(dataset) if dataset.startswith("folder:") else _domains_of_digits(dataset)
    )


@functools.cache
def _domains_of_digits(dataset: str) -> tuple[str, str]:
    parts = dataset.split("-")
    decoded = [part.partition("@")[0] for part in parts]
    if "-".join(decoded) in NAMES:
        source, target = map(corruptions.canonical, parts)
        return source, target
    if len(parts) == 2 and decoded[0] == decoded[1] and decoded[0] in DIGITS:
        raise ValueError(corruptions.SAME_IMAGES.format(dataset=dataset))
    near = difflib.get_close_matches("-".join(decoded), NAMES, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise ValueError(
        f"no dataset '{dataset}'; {hint}known: {', '.join(known())} and folder:ROOT:SOURCE-TARGET"
    )


def fine_tuning_domains(dataset: str) -> tuple[str, str]:
    """The names of the source and the target domain where their classes may differ: `pretrained-uci`, `mnist-uci`.

    Raises:
        ValueError: no such dataset; says what is wrong and what there is.
    """
    if not dataset.startswith(f"{PRETRAINED}-"):
        return domains(dataset)
    target = dataset.removeprefix(f"{PRETRAINED}-")
    if target.partition("@")[0] in DIGITS or target.startswith("folder:"):
        return PRETRAINED, corruptions.canonical(target)
    raise ValueError(
        f"no domain '{target}' in '{dataset}'; known: {', '.join(DIGITS)} and folder:ROOT:DOMAIN"
    )


def known_for_fine_tuning() -> dict[str, str]:
    """The datasets there are by name where the target has classes of its own."""
    return known() | {
        "pretrained-uci": "pretrained weights, ImageNet's say, to UCI optical digits",
        "pretrained-mnist": "pretrained weights to MNIST digits (5,000 images)",
    }


def fine_tuning_problems(dataset: str) -> list[str]:
    """What is wrong with a dataset whose domains may have different classes; each image of a folder is looked at once."""
    return _problems(dataset, fine_tuning_domains)


def classes(domain: str) -> tuple[str, ...]:
    """The names of the domain's classes in the order of their indices; looks at folder names only."""
    decoded = corruptions.base(domain)
    return tuple("0123456789") if decoded in DIGITS else _folder().classes(decoded)


def channels(domain: str) -> int:
    """Channels of the domain's images."""
    return 1 if corruptions.base(domain) in DIGITS else 3


def problems(dataset: str) -> list[str]:
    """What is wrong with the dataset, each with the remedy; each image of a folder is looked at once."""
    found = _problems(dataset, domains)
    with contextlib.suppress(ValueError, OSError):  # told by the above
        own = _folders_of(dataset)
        found += _folder().differing(*own) if len(own) == 2 else []
    return found


def notes(dataset: str) -> list[str]:
    """What is used of a dataset's folders and what is left out; nothing of digits, of which all is used."""
    own = _folders_of(dataset)
    told = [text for domain in own for text in _folder().notes(domain)]
    return told + (_folder().shared(*own) if len(own) == 2 else [])


def counts(domain: str) -> Mapping[str, int]:
    """The number of images of each class of a folder; nothing of digits, which have hundreds of each. No image is decoded."""
    decoded = corruptions.base(domain)
    return {} if decoded in DIGITS else _folder().counts(decoded)


def _problems(dataset: str, parts: Callable[[str], tuple[str, str]]) -> list[str]:
    """What is wrong with a dataset's name and folders; `parts` gives its domains."""
    try:
        parts(dataset)
        dataset.encode()
        return [text for domain in _folders_of(dataset) for text in _folder().problems(domain)]
    except UnicodeEncodeError:
        return [f"the path of '{_folder().shown(dataset)}' is not UTF-8; rename its folders"]
    except (ValueError, OSError) as error:
        return [str(error)]


def _folders_of(dataset: str) -> list[str]:
    """The domains of a dataset that are folders, without their corruptions, each once."""
    if "folder:" not in dataset:
        return []
    own = map(corruptions.base, fine_tuning_domains(dataset))
    return [domain for domain in dict.fromkeys(own) if domain.startswith("folder:")]


def fingerprint(domain: str) -> str:
    """A name for what the domain holds, from its content alone: 16 hexadecimal digits; no image is decoded."""
    decoded, corruption = corruptions.parts(domain)
    content = (
        _digits().fingerprint(decoded) if decoded in DIGITS else _folder().fingerprint(decoded)
    )
    return content if corruption is None else corruptions.fingerprint(content, corruption)


def load(domain: str, cache: Path, image_size: int) -> Images:
    """The domain's images, decoded, and corrupted where its name says so, once per node into `cache`."""
    decoded, corruption = corruptions.parts(domain)
    images: Images = (
        _digits().load(decoded, cache)
        if decoded in DIGITS
        else _folder().load(decoded, cache, image_size)
    )
    if corruption is None:
        return images
    kept = cache / "corrupted" / f"{fingerprint(domain)}-{images.pixels.shape[-1]}.npy"
    return corruptions.corrupted(images, corruption, kept)


def class_indices(names: Sequence[Any], classes: Sequence[str]) -> list[int]:
    """The sorted indices of classes given by name or index; a number is a name first, as in folders called 1, 2, 10.

    Raises:
        ValueError: names the ones that are no class, and the numbers that could be two.
    """
    meant = [(given, _meant(given, classes)) for given in names]
    for given, places in meant:
        if len(places) > 1:
            raise ValueError(
                f"{given} could be {' or '.join(repr(classes[index]) for index in places)}: a "
                "class is called so, "
                "and another has this index from 0; write the name that you mean in quotes"
            )
    wrong = [given for given, places in meant if not places]
    if wrong:
        raise ValueError(
            f"no class {', '.join(map(repr, wrong))}; {_near(wrong, classes)}the {len(classes)} "
            "classes are "
            f"{', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''} (or their indices "
            "from 0)"
        )
    return sorted({index for _, places in meant for index in places})


def _meant(given: Any, classes: Sequence[str]) -> list[int]:
    """The indices of the classes that a name or a number may stand for."""
    if isinstance(given, str):
        name = unicodedata.normalize("NFC", given)
        return [index for index, own in enumerate(classes) if own == name]
    if type(given) is not int:  # true is no 1 here, and neither is 1.0
        return []
    called = {
        index
        for index, own in enumerate(classes)
        if own.isascii() and own.isdigit() and int(own) == given
    }
    return sorted(called | ({given} & set(range(len(classes)))))


def _near(wrong: Sequence[Any], classes: Sequence[str]) -> str:
    """What may have been meant by names of no class."""
    quoted = [
        own
        for given in wrong
        if not isinstance(given, str)
        for own in classes
        if own.lower() == str(given).lower()
    ]
    if quoted:
        return (
            f"a name that YAML does not read as text takes quotes: {', '.join(map(repr, quoted))}; "
        )
    near = [
        match for given in wrong for match in difflib.get_close_matches(str(given), classes, n=1)
    ]
    return f"did you mean {', '.join(near)}? " if near else ""


def _with_severities(dataset: str) -> str:
    """The name with the severity of each corruption written out; as given where it is wrong, for `problems` to judge."""
    try:
        source, target = fine_tuning_domains(dataset)
    except (ValueError, OSError):
        return dataset
    return f"{source}-{target if source == PRETRAINED else target.rpartition(':')[2]}"


def missing_names(dataset: str, missing: list[str | int]) -> list[str | int]:
    """The missing classes by name in the order of their indices; as given where they or the dataset are wrong."""
    try:
        names = classes(fine_tuning_domains(dataset)[1])
        return [names[index] for index in class_indices(missing, names)]
    except (ValueError, OSError):
        return missing


def missing_ratio(dataset: str, ratio: float) -> float:
    """The ratio that stands for all with which equally many of the target's classes are missing; as given where it is wrong."""
    try:
        count = len(classes(fine_tuning_domains(dataset)[1]))
    except (ValueError, OSError):
        return ratio
    return (
        _ratio(count, ratio)
        if count > 1 and isinstance(ratio, int | float) and 0 <= ratio < 1
        else ratio
    )


_ratio = functools.cache(splits.canonical_ratio)


def _digits() -> Any:
    return importlib.import_module("tasks.data.digits")


def _folder() -> Any:
    return importlib.import_module("tasks.data.folder")
