"""Images that belong together in all domains of a folder, as `ROOT/groups.json` lists them.

The file has the form `{CLASS: [NAME, ...]}`. All images of a class that are called NAME, with any
suffix and in any domain, are one group: one emoji, say, that several vendors drew. A repetition
draws groups in place of images, so that nobody trains on one member of a group and tests another,
not even in another domain: source training leaves out what the target tests or validates.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tasks.data import contents
from tasks.data.listing import composed, shown, some
from tasks.data.splits import Order

FILE = "groups.json"
FORM = "it must be {CLASS: [NAME, ...]}, with the names of images without their suffix, each once"
NOTE = f"images of one name ({FILE}) are on one side of a split in all domains"
Groups = Mapping[str, Sequence[str]]
"""Class -> the names of its groups."""


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
    known = {name: set(names) for name, names in groups.items()}
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
        name: {stem: place for place, stem in enumerate(_shuffled(name, stems, seed))}
        for name, stems in groups.items()
    }
    return Order(
        np.array([places[name][_stem(path)] for name, path in files], dtype=np.intp),
        np.array([len(places[name]) for name, _ in files], dtype=np.intp),
    )


def _shuffled(name: str, stems: Sequence[str], seed: int) -> list[str]:
    return sorted(
        stems, key=lambda stem: hashlib.sha256(f"{seed}\0{name}\0{stem}".encode()).digest()
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
    for name, stems in content.items():
        if (
            not isinstance(stems, list)
            or not all(isinstance(stem, str) and stem for stem in stems)
            or len(set(map(composed, stems))) < len(stems)
        ):
            raise ValueError(f"{shown(path)}: class {shown(name)} is wrong; {FORM}")
    return {composed(name): [composed(stem) for stem in stems] for name, stems in content.items()}
