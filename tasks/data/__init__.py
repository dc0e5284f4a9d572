"""Classes and images of datasets by name, such as `mnist-uci` or `folder:ROOT:SOURCE-TARGET`.

A dataset is a source and a target domain. `registry.py` finds domains, `names.py` resolves names of
datasets, and `domain.py` defines what a domain provides. No image is decoded before `load` is
called.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import buckets
from tasks.data import contents, corruptions, listing, parts, registry
from tasks.data.class_names import (
    class_indices,
    label_space,
    missing_names,
    missing_ratio,
    official_missing,
)
from tasks.data.domain import Domain, Images, Rows
from tasks.data.names import (
    PRETRAINED,
    canonical,
    domains,
    each,
    fine_tuning_domains,
    pairs,
    root_of,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tasks.data.splits import Order

__all__ = [
    "PRETRAINED",
    "Domain",
    "Images",
    "Rows",
    "canonical",
    "channels",
    "class_indices",
    "classes",
    "counts",
    "domains",
    "each",
    "fine_tuning_domains",
    "fine_tuning_problems",
    "fingerprint",
    "identity",
    "images",
    "known",
    "known_for_fine_tuning",
    "label_space",
    "listed_test",
    "load",
    "missing_names",
    "missing_ratio",
    "notes",
    "official_missing",
    "official_test",
    "order",
    "problems",
    "resized",
    "root_of",
    "rows",
    "size",
]


def known() -> dict[str, str]:
    """The known datasets: name -> one-line description."""
    built_in = {name: registry.find(name) for name in registry.BUILT_IN}
    listed = {}
    for dataset in pairs():
        source, target = (built_in[name] for name in dataset.split("-"))
        listed[dataset] = (
            f"{source.line} to {target.line}; {len(target.classes)} classes, "
            f"{target.channels}x{target.size}x{target.size}"
        )
    kinds = ", ".join(f"@{kind}" for kind in corruptions.KINDS)
    return listed | {
        "mnist-uci@blur3": f"a corrupted domain; any domain may be: {kinds}; severity 1 to 5",
        "mnist-my_data:sketches": "your own domain: what function `sketches` of my_data.py, beside "
        "the study file, returns (tasks/README.md)",
        "folder:ROOT:SOURCE-TARGET": "your own images, in ROOT/DOMAIN/CLASS/IMAGE",
    }


def known_for_fine_tuning() -> dict[str, str]:
    """The known datasets for fine-tuning, where the target has classes of its own."""
    return (
        known()
        | {
            f"{PRETRAINED}-{name}": "pretrained weights, such as ImageNet's, to "
            f"{registry.find(name).line}"
            for name in registry.BUILT_IN
        }
        | {f"{PRETRAINED}-folder:ROOT:DOMAIN": "pretrained weights to your own images"}
    )


def classes(domain: str) -> tuple[str, ...]:
    """The names of the domain's classes by index; reads folder names only."""
    return registry.find(domain).classes


def channels(domain: str) -> int:
    """The number of channels of the domain's images."""
    return registry.find(domain).channels


def size(domain: str) -> int | None:
    """Pixels a side of the domain's images; None if they are resized to `image_size`."""
    return registry.find(domain).size


def resized(dataset: str) -> bool:
    """Whether a dataset's images are resized to `image_size`; True if the dataset is unknown."""
    try:
        return size(fine_tuning_domains(dataset)[1]) is None
    except (ValueError, OSError):
        return True


def counts(domain: str) -> Mapping[str, int]:
    """The number of images of each class; empty if each has so many that nothing depends on it.

    No image is decoded.
    """
    return registry.find(domain).counts()


def images(domain: str) -> int | None:
    """The number of images; None if it is not known before they are loaded."""
    return registry.find(domain).images()


@contents.for_a_moment
def fingerprint(domain: str) -> str:
    """Identifies the domain's content, including its official split; no image is decoded."""
    found_domain = registry.find(domain)
    content, test = found_domain.fingerprint(), found_domain.official_test()
    if test is None:
        return content
    return hashlib.sha256(content.encode() + b" " + test.tobytes()).hexdigest()[:16]


def identity(domain: str) -> str:
    """What the domain is called, wherever it lies: its name, or its content if that says where."""
    return fingerprint(domain) if ":" in domain else domain


def load(domain: str, cache: Path, image_size: int) -> Images:
    """The domain's decoded images, corrupted if its name says so; cached per node in `cache`."""
    return registry.find(domain).load(cache, image_size)


def official_test(domain: str) -> NDArray[np.bool_] | None:
    """[N], True for the images of the domain's official test set; None if it has none."""
    return registry.find(domain).official_test()


def order(domain: str, seed: int) -> Order | None:
    """The order by which groups of the domain's images are drawn; None if single images are."""
    return registry.find(domain).order(seed)


def listed_test(domain: str) -> NDArray[np.bool_] | None:
    """[N], True for the images that official lists keep for testing; source training leaves them.

    None if there are no such lists.
    """
    known = registry.find(domain).rows()
    return None if known is None or known.split is None else known.split == parts.TEST


def rows(domain: str) -> Rows | None:
    """What is known of each image of the domain without decoding; None if nothing is."""
    return registry.find(domain).rows()


def problems(dataset: str, *, dropping: bool = False, pretrained: bool = False) -> list[str]:
    """What is wrong with a dataset whose label space is the source's, each with the remedy.

    Args:
        dataset: its name.
        dropping: whether images of classes that the source lacks are dropped.
        pretrained: whether the source may be `PRETRAINED`.
    """
    if pretrained and dataset.startswith(f"{PRETRAINED}-"):
        return fine_tuning_problems(dataset)
    texts = _problems(dataset, domains)
    with contextlib.suppress(ValueError, OSError):  # already reported by `_problems`
        texts += _unknown_classes(*domains(dataset), dropping)
    return texts


def fine_tuning_problems(dataset: str) -> list[str]:
    """What is wrong with a dataset whose domains may differ in classes, each with the remedy."""
    return _problems(dataset, fine_tuning_domains)


def notes(dataset: str) -> list[str]:
    """What is used and what is left out of a dataset's folders; empty for digits."""
    bases = _bases(fine_tuning_domains(dataset))
    said = [
        text for root in dict.fromkeys(map(registry.root, bases)) if (text := buckets.note(root))
    ]
    said += [text for name in bases for text in registry.find(name).notes()]
    if len(bases) == 2 and all(map(registry.is_folder, bases)):
        from tasks.data import folder

        said += folder.shared(*bases)
    return said


def _problems(dataset: str, parts: Callable[[str], tuple[str, str]]) -> list[str]:
    """What is wrong with a dataset's name and with its domains, which `parts` returns.

    Each image of a folder is examined once.
    """
    try:
        pair = parts(dataset)
        dataset.encode()
        # Both domains tell what is wrong with a table that they share.
        texts = list(
            dict.fromkeys(text for name in _bases(pair) for text in registry.find(name).problems())
        )
        return texts or _unlike(*pair)
    except UnicodeEncodeError:
        return [f"the path of '{listing.shown(dataset)}' is not UTF-8; rename its folders"]
    except (ValueError, OSError) as error:
        return [str(error)]


def _bases(pair: tuple[str, str]) -> list[str]:
    """The distinct domains of a pair, without corruptions."""
    return list(dict.fromkeys(corruptions.base(name) for name in pair if name != PRETRAINED))


def _unlike(source: str, target: str) -> list[str]:
    """Why a model for the source's images cannot take the target's."""
    if source == PRETRAINED:
        return []
    first, other = registry.find(source), registry.find(target)
    reasons = []
    if first.channels != other.channels:
        reasons.append(
            f"'{source}' has images of {first.channels} channels and '{target}' of "
            f"{other.channels}; one model takes both, so that they must be equal"
        )
    if first.size != other.size:
        sides = [
            f"{side} pixels a side" if side else "the side image_size"
            for side in (first.size, other.size)
        ]
        reasons.append(
            f"'{source}' has images of {sides[0]} and '{target}' of {sides[1]}; one model takes "
            "both, so that they must be equal"
        )
    own = registry.is_own(source) or registry.is_own(target)
    if own and fingerprint(corruptions.base(source)) == fingerprint(corruptions.base(target)):
        reasons.append(corruptions.SAME_IMAGES.format(dataset=f"{source}-{target}"))
    return reasons


def _unknown_classes(source: str, target: str, dropping: bool) -> list[str]:
    """The target's classes that the source lacks: its classifier cannot name them."""
    space, own = classes(source), classes(target)
    unknown = parts.unknown(space, own)
    if not unknown:
        return []
    places = [listing.shown(name.rpartition(":")[2]) for name in (source, target)]
    named = listing.some(map(listing.shown, unknown), 10)
    if dropping:
        return (
            [f"{places[1]} shares no class with {places[0]}, so that dropping {named} leaves none"]
            if len(unknown) == len(own)
            else []
        )
    same = {name.casefold(): name for name in space}
    alike = [
        f"{listing.shown(same[name.casefold()])} for {listing.shown(name)}"
        for name in unknown
        if name.casefold() in same
    ]
    hint = f" (it has {listing.some(alike)}: only upper and lower case differ)" if alike else ""
    return [
        f"the source {places[0]} lacks {len(unknown)} of the classes of {places[1]}: "
        f"{named}{hint}; a source model can only name its own classes: rename them, leave their "
        "images out by `drop: unknown_classes`, or use the task fine_tuning, where classes differ"
    ]
