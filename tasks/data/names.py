"""Resolves names of datasets such as `mnist-uci`, `folder:ROOT:SOURCE-TARGET`, `pretrained-uci`.

A dataset is written SOURCE-TARGET, with the names of two domains (`registry.py`).
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
from pathlib import Path

from tasks.data import corruptions, registry

PRETRAINED = "pretrained"
"""Stands for a source domain if the source model has the backbone's pretrained weights."""


def canonical(dataset: str) -> str:
    """The canonical name of a dataset, with an absolute root: workers run in other folders."""
    return _canonical(dataset, os.getcwd() if "folder:" in dataset else "")


@functools.cache
def _canonical(dataset: str, working: str) -> str:
    before, folder, after = dataset.partition("folder:")
    root, _, pair = after.rpartition(":")
    if folder and root:
        # No such user, or a circular link: `problems` reports it.
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            dataset = f"{before}folder:{(Path(working) / Path(root).expanduser()).resolve()}:{pair}"
    return _with_severities(dataset) if "@" in dataset else dataset


def _with_severities(dataset: str) -> str:
    """The name with all severities written out; unchanged if it is invalid."""
    try:
        source, target = fine_tuning_domains(dataset)
    except (ValueError, OSError):
        return dataset
    one_root = dataset.startswith("folder:")
    return f"{source}-{target.rpartition(':')[2] if one_root else target}"


def domains(dataset: str) -> tuple[str, str]:
    """The names of the source and the target domain.

    Raises:
        ValueError: no such dataset; says what is wrong and what exists.
    """
    if registry.is_folder(dataset):
        from tasks.data import folder

        return folder.domains(dataset)
    return _pair(dataset)


def fine_tuning_domains(dataset: str) -> tuple[str, str]:
    """The names of the source and the target domain; the source may be `PRETRAINED`.

    Raises:
        ValueError: no such dataset; says what is wrong and what exists.
    """
    if not dataset.startswith(f"{PRETRAINED}-"):
        return domains(dataset)
    target = dataset.removeprefix(f"{PRETRAINED}-")
    if not _is_name(target):
        raise ValueError(
            f"no domain '{target}' in '{dataset}'; known: {', '.join(registry.BUILT_IN)}, "
            "folder:ROOT:DOMAIN, or your own as module:function"
        )
    return PRETRAINED, corruptions.canonical(target)


def pairs() -> list[str]:
    """The names of all datasets of two built-in domains."""
    names = list(registry.BUILT_IN)
    return [f"{name}-{other}" for name in names for other in names if name != other]


@functools.cache
def _pair(dataset: str) -> tuple[str, str]:
    """The domains of SOURCE-TARGET, split at the first '-': names of domains have none."""
    source, dash, target = dataset.partition("-")
    if not dash and registry.is_own(source):
        raise ValueError(
            f"'{dataset}' is one domain, and a dataset has two: write SOURCE-{dataset} with a "
            f"source domain, or for fine_tuning {PRETRAINED}-{dataset}"
        )
    if not (_is_name(source) and _is_name(target)):
        plain = "-".join(part.partition("@")[0] for part in dataset.split("-"))
        near = difflib.get_close_matches(plain, pairs(), n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(
            f"no dataset '{dataset}'; {hint}known: {', '.join(pairs())}, each with a corruption "
            "such as mnist-uci@blur3, folder:ROOT:SOURCE-TARGET, and your own domains as "
            "SOURCE-module:function"
        )
    if source.partition("@")[0] == target.partition("@")[0]:
        raise ValueError(corruptions.SAME_IMAGES.format(dataset=dataset))
    return corruptions.canonical(source), corruptions.canonical(target)


def _is_name(domain: str) -> bool:
    """Whether a text looks like a domain's name; does not import a user's module."""
    if ":" in domain:
        return True
    return domain.partition("@")[0] in registry.BUILT_IN
