"""Images that belong together in all domains of a folder, as `ROOT/groups.json` lists them.

The file has the form `{CLASS: [GROUP, ...]}`, where a group is the name of images without their
suffix, or a list of such names. All images of a class with the names of one group, in whichever
domain, belong together: one emoji, say, that several vendors drew. A repetition draws groups in
place of images, so that nobody trains on one member of a group and tests another, not even in
another domain: source training leaves out what the target tests or validates.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.data import contents
from tasks.data.listing import composed, shown, some
from tasks.data.splits import Order

FILE = "groups.json"
FORM = (
    "it must be {CLASS: [GROUP, ...]}, where a group is the name of images without their suffix, "
    "or a list of names; each name stands once in its class"
)
NOTE = f"images of one name ({FILE}) are on one side of a split in all domains"
Groups = Mapping[str, Sequence[Sequence[str]]]
"""Class -> its groups -> the names of each."""


def of(root: Path) -> Groups | None:
    """The groups of a folder of domains; None if it has none.

    Raises:
        ValueError: the file cannot be read, or has another form.
    """
    path = root / FILE
    try:
        status = path.stat()
    except OSError:
        return None
    return _read(path, (status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def problems(root: Path, files: Sequence[tuple[str, Path]]) -> list[str]:
    """Why the groups of a folder cannot be used for the images of a domain."""
    try:
        groups = of(root)
    except ValueError as error:
        return [str(error)]
    if groups is None:
        return []
    known = {name: {stem for own in listed for stem in own} for name, listed in groups.items()}
    strange = [path for name, path in files if _stem(path) not in known.get(name, ())]
    if not strange:
        return []
    names = some(shown(path.relative_to(root).as_posix()) for path in strange)
    return [
        f"{shown(root / FILE)} lists which images belong together, but not {len(strange):,} of "
        f"{len(files):,} images: {names}; add their names without the suffix to their classes, or "
        "remove the images"
    ]


def fingerprint(root: Path) -> str:
    """Identifies the groups of a folder; empty if it has none."""
    groups = of(root)
    return "" if groups is None else contents.named([(json.dumps(groups, sort_keys=True), "")])


def group_of(root: Path, file: tuple[str, Path]) -> tuple[str, str]:
    """What tells an image's group: its class and the group's first name; without groups, its path.

    Args:
        root: the folder of the domains.
        file: the class and the path of the image.
    """
    groups = of(root)
    if groups is None:
        return file[0], str(file[1])
    stem = _stem(file[1])
    return file[0], next((own[0] for own in groups[file[0]] if stem in own), stem)


def order(root: Path, files: Sequence[tuple[str, Path]], seed: int) -> Order | None:
    """A random order of each class's groups, in which each image has its group's place.

    The place of a group among others depends on the seed and their names alone, so that it is the
    same in all domains, whichever images a domain lacks. None if the folder has no groups.

    Args:
        root: the folder of the domains.
        files: the class and path of each of the domain's images, [N].
        seed: seed of the draw.
    """
    groups = of(root)
    if groups is None:
        return None
    places = {
        name: {
            stem: place
            for place, group in enumerate(_shuffled(name, listed, seed))
            for stem in group
        }
        for name, listed in groups.items()
    }
    return Order(
        np.array([places[name][_stem(path)] for name, path in files], dtype=np.intp),
        np.array([len(groups[name]) for name, _ in files], dtype=np.intp),
    )


def _shuffled(name: str, listed: Sequence[Sequence[str]], seed: int) -> list[Sequence[str]]:
    """The groups of a class in random order; where each stands depends on its first name."""
    return sorted(
        listed, key=lambda group: hashlib.sha256(f"{seed}\0{name}\0{min(group)}".encode()).digest()
    )


def _stem(path: Path) -> str:
    return composed(path.stem)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _stamp: tuple[int, ...]) -> Groups:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{shown(path)} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"{shown(path)} is no JSON: {error}; {FORM}") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{shown(path)} is no mapping of classes; {FORM}")
    groups = {
        composed(name): [_names(group) for group in listed] if isinstance(listed, list) else []
        for name, listed in content.items()
    }
    for name, listed in groups.items():
        stems = [stem for group in listed for stem in group]
        if not all([listed, *listed, *stems]) or len(set(stems)) < len(stems):
            raise ValueError(f"{shown(path)}: class {shown(name)} is wrong; {FORM}")
    return groups


def _names(group: Any) -> list[str]:
    """The names of a group as it stands in the file; empty if that is none."""
    names = group if isinstance(group, list) else [group]
    return [composed(name) for name in names] if all(isinstance(n, str) for n in names) else []
