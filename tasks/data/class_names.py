"""Brings classes given by name or index, and ratios of missing classes, into canonical form."""

from __future__ import annotations

import difflib
import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

from tasks.data import parts, registry, splits
from tasks.data.names import PRETRAINED, fine_tuning_domains


def class_indices(names: Sequence[Any], classes: Sequence[str]) -> list[int]:
    """The sorted indices of classes given by name or index.

    A number may also be a name, as in folders called 1, 2, 10.

    Raises:
        ValueError: a name or number is not a class, or a number could mean two classes.
    """
    meant = [(given, _meant(given, classes)) for given in names]
    for given, places in meant:
        if len(places) > 1:
            raise ValueError(
                f"{given} could be {' or '.join(repr(classes[index]) for index in places)}: a "
                "class is called so, and another has this index from 0; write the name that you "
                "mean in quotes"
            )
    wrong = [given for given, places in meant if not places]
    if wrong:
        raise ValueError(
            f"no class {', '.join(map(repr, wrong))}; {_near(wrong, classes)}the {len(classes)} "
            f"classes are {', '.join(classes[:20])}{', ...' if len(classes) > 20 else ''} (or "
            "their indices from 0)"
        )
    return sorted({index for _, places in meant for index in places})


def _meant(given: Any, classes: Sequence[str]) -> list[int]:
    """The indices of the classes that a name or a number may mean."""
    if isinstance(given, str):
        name = unicodedata.normalize("NFC", given)
        return [index for index, own in enumerate(classes) if own == name]
    if type(given) is not int:  # neither True nor 1.0 means 1 here
        return []
    called = {
        index
        for index, own in enumerate(classes)
        if own.isascii() and own.isdigit() and int(own) == given
    }
    return sorted(called | ({given} & set(range(len(classes)))))


def _near(wrong: Sequence[Any], classes: Sequence[str]) -> str:
    """A hint at the intended classes; empty if there is none."""
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


def label_space(dataset: str, *, dropping: bool = False) -> tuple[str, ...]:
    """The classes that labels and missing classes of a dataset are places in.

    They are the source's if it has all classes of the target, or if others are dropped; otherwise
    the target's own.

    Raises:
        ValueError: there is no such dataset.
    """
    source, target = fine_tuning_domains(dataset)
    own = registry.find(target).classes
    if source == PRETRAINED:
        return own
    space = registry.find(source).classes
    return space if dropping or not parts.unknown(space, own) else own


def official_missing(dataset: str) -> list[str] | None:
    """The classes that the paper takes as missing for a dataset; None if it names none."""
    try:
        source, target = fine_tuning_domains(dataset)
        named = registry.find(target).official_missing(source.rpartition(":")[2])
    except (ValueError, OSError):
        return None
    return None if named is None else list(named)


def missing_names(dataset: str, missing: list[str | int]) -> list[str | int]:
    """The missing classes by name, sorted by index; unchanged if they or the data are invalid."""
    try:
        names = label_space(dataset)
        return [names[index] for index in class_indices(missing, names)]
    except (ValueError, OSError):
        return missing


def missing_ratio(dataset: str, ratio: float, way: parts.Way = parts.USUAL) -> float:
    """The canonical ratio for the number of classes with training images; unchanged if invalid."""
    try:
        space = label_space(dataset)
        absent = parts.absent(fine_tuning_domains(dataset)[1], way, space)
    except (ValueError, OSError):
        return ratio
    if absent is None:
        return ratio
    count = len(space) - len(absent)
    return (
        _ratio(count, ratio)
        if count > 1 and isinstance(ratio, int | float) and 0 <= ratio < 1
        else ratio
    )


_ratio = functools.cache(splits.canonical_ratio)
