"""Resolves names of datasets such as `mnist-uci`, `folder:ROOT:SOURCE-TARGET`, `pretrained-uci`.

A dataset is written SOURCE-TARGET, with the names of two domains (`registry.py`).
"""

from __future__ import annotations

import contextlib
import difflib
import fnmatch
import functools
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tasks import buckets
from tasks.data import benchmarks, contents, corruptions, listing, registry

_ROOTED = re.compile(rf"(?:^|-)(?:folder|{'|'.join(benchmarks.NAMES)}):(?=.*:)")
"""What stands before the root of a dataset's name."""
_FIRST = re.compile(r"\[:(\d+)\]$")
"""How many of the datasets of a pattern are meant."""
PRETRAINED = "pretrained"
"""Stands for a source domain if the source model has the backbone's pretrained weights."""


def canonical(dataset: str) -> str:
    """The canonical name of a dataset, with an absolute root: workers run in other folders."""
    return _canonical(dataset, os.getcwd() if _ROOTED.search(dataset) else "")


def root_of(dataset: str) -> tuple[str, str, str] | None:
    """The root in a dataset's name, with what is before and after it; None if it has no root."""
    layout, cut = _ROOTED.search(dataset), _FIRST.search(dataset)
    if layout is None:
        return None
    end = cut.start() if cut else len(dataset)
    root, colon, _ = dataset[layout.end() : end].rpartition(":")
    after = layout.end() + len(root)
    return (dataset[: layout.end()], root, dataset[after:]) if colon and root else None


@functools.cache
def _canonical(dataset: str, working: str) -> str:
    parts = root_of(dataset)
    if parts is not None and buckets.is_uri(parts[1]):
        bare, mark, options = parts[1].partition("?")
        dataset = f"{parts[0]}{bare.rstrip('/')}{mark}{options}{parts[2]}"
    elif parts is not None:
        # No such user, or a circular link: `problems` reports it.
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            place = (Path(working) / Path(parts[1]).expanduser()).resolve()
            dataset = f"{parts[0]}{place}{parts[2]}"
    return _with_severities(dataset) if "@" in dataset else dataset


def _with_severities(dataset: str) -> str:
    """The name with all severities written out; unchanged if it is invalid."""
    try:
        source, target = fine_tuning_domains(dataset)
    except (ValueError, OSError):
        return dataset
    one_root = registry.is_folder(dataset) or benchmarks.is_benchmark(dataset)
    return f"{source}-{target.rpartition(':')[2] if one_root else target}"


def domains(dataset: str) -> tuple[str, str]:
    """The names of the source and the target domain.

    Raises:
        ValueError: no such dataset; says what is wrong and what exists.
    """
    if registry.is_folder(dataset):
        from tasks.data import folder

        return folder.domains(_FIRST.sub("", dataset))
    if benchmarks.is_benchmark(dataset):
        return _of_benchmark(dataset)
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


@contents.for_a_moment
def _of_benchmark(dataset: str) -> tuple[str, str]:
    """The two domains of NAME:ROOT:SOURCE-TARGET; names may contain a '-' or a corruption.

    Raises:
        ValueError: the benchmark is not in the folder, or has no such domains; says which it has.
    """
    name, _, rest = dataset.partition(":")
    root, _, pair = _FIRST.sub("", rest).rpartition(":")
    held = benchmarks.opened(name, root)
    words = pair.split("-")
    ways = [("-".join(words[:cut]), "-".join(words[cut:])) for cut in range(1, len(words))]
    if not ways:
        raise ValueError(f"'{dataset}' must be {name}:ROOT:SOURCE-TARGET")
    bare = [[corruptions.base(part) for part in way] for way in ways]
    fitting = [way for way, own in zip(ways, bare, strict=True) if all(map(held.has, own))]
    if not fitting:
        for part in dict.fromkeys(part for way in ways for part in way):
            corruptions.canonical(part)  # raises if the domain exists but the corruption does not
        absent = min(([part for part in own if not held.has(part)] for own in bare), key=len)
        raise ValueError(benchmarks.no_domain(name, root, absent))
    if len(fitting) > 1:
        said = ", or ".join(f"'{source}' to '{target}'" for source, target in fitting)
        raise ValueError(f"'{pair}' could be {said}; rename one, without a '-'")
    source, target = fitting[0]
    if corruptions.base(target) not in held.others(corruptions.base(source)):
        raise ValueError(corruptions.SAME_IMAGES.format(dataset=pair))
    return (
        corruptions.canonical(f"{name}:{root}:{source}"),
        corruptions.canonical(f"{name}:{root}:{target}"),
    )


def each(dataset: str) -> list[str]:
    """The datasets that a pattern stands for: `femnist:ROOT:pool-*` is one for each other writer.

    SOURCE and TARGET may have `*` and `?`, and `[:N]` behind them takes the first N. A name without
    a pattern, or one that nothing matches, stands for itself.
    """
    layout = _ROOTED.search(dataset)
    cut = _FIRST.search(dataset)
    limit = int(cut[1]) if cut else None
    start, _, pattern = (dataset[: cut.start()] if cut else dataset).rpartition(":")
    if not (layout and start and set("*?") & set(pattern)):
        return [dataset]
    try:
        known, others = _all_domains(f"{start}:")
    except (ValueError, OSError):
        return [dataset]
    if dataset.startswith(f"{PRETRAINED}-"):
        bare, at, corruption = pattern.partition("@")
        return [
            f"{start}:{name}{at}{corruption}" for name in fnmatch.filter(known, bare)[:limit]
        ] or [dataset]
    words = pattern.split("-")
    for cut_at in range(1, len(words)):
        from_, to = "-".join(words[:cut_at]), "-".join(words[cut_at:])
        bare, at, corruption = to.partition("@")
        sources = fnmatch.filter(known, from_) if set("*?") & set(from_) else [from_]
        found = [
            f"{start}:{source}-{target}{at}{corruption}"
            for source in sources
            for target in fnmatch.filter(others(source), bare)
        ]
        if found:
            return found[:limit]
    return [dataset]


def _all_domains(start: str) -> tuple[Sequence[str], Callable[[str], Sequence[str]]]:
    """The domains in a place, `folder:ROOT:` or `office_home:ROOT:`; and those beside a source.

    A source that does not exist has none beside it.

    Raises:
        ValueError: the place does not hold them.
    """
    name, _, root = canonical(start).removeprefix(f"{PRETRAINED}-").partition(":")
    root = root.removesuffix(":")
    if name == "folder":
        known = sorted(listing.folders(buckets.place(root)))
        return (
            known,
            lambda source: [other for other in known if other != source] if source in known else [],
        )
    if name not in benchmarks.NAMES:
        raise ValueError(f"'{start}' is no place of both domains")
    held = benchmarks.opened(name, root)
    return held.names, lambda source: held.others(source) if held.has(source) else []


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
