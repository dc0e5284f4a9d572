"""Classes given by name or by index, and ratios of missing classes, made into one form."""

from __future__ import annotations

import difflib
import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

from tasks.data import registry, splits
from tasks.data.names import fine_tuning_domains


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


def missing_names(dataset: str, missing: list[str | int]) -> list[str | int]:
    """The missing classes by name in the order of their indices; as given where they or the dataset are wrong."""
    try:
        names = registry.find(fine_tuning_domains(dataset)[1]).classes
        return [names[index] for index in class_indices(missing, names)]
    except (ValueError, OSError):
        return missing


def missing_ratio(dataset: str, ratio: float) -> float:
    """The ratio that stands for all with which equally many of the target's classes are missing; as given where it is wrong."""
    try:
        count = len(registry.find(fine_tuning_domains(dataset)[1]).classes)
    except (ValueError, OSError):
        return ratio
    return (
        _ratio(count, ratio)
        if count > 1 and isinstance(ratio, int | float) and 0 <= ratio < 1
        else ratio
    )


_ratio = functools.cache(splits.canonical_ratio)
