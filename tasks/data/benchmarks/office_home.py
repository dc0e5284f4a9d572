"""Office-Home (Venkateswara et al., CVPR 2017), as Holistic Transfer splits it.

The split, the order of the classes and the missing classes are those of the lists that the authors
of "Fine-Tuning is Fine, if Calibrated" released (MIT licence): 70 % of each class train and 30 %
test, and which classes are missing depends on the source alone. `office_home.json` holds them as
the numbers of the test files of each class. Lists in ROOT/image_list take their place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from tasks.data import parts
from tasks.data.benchmarks import Benchmark, Benchmarked, Expected, lists
from tasks.data.benchmarks.generic import Tabled
from tasks.data.listing import shown
from tasks.data.table import Row, Table

NAME = "office_home"
SPACED = {"Real_World": "Real World"}
"""Domain -> what its folder is called in the authors' own archive."""


def facts() -> dict[str, Any]:
    """Classes in order, seen classes by source, and images and test files by domain and class."""
    text = resources.files("tasks.data.benchmarks").joinpath("office_home.json").read_text("utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def read(root: Path) -> Table:
    """The images of the official lists, or of those in the folder.

    Raises:
        ValueError: the folder has none of the domains.
    """
    known = facts()
    if (root / "image_list").is_dir():
        found = replace(lists.read(root), classes=tuple(known["classes"]))
        odd = sorted({row.label for row in found.rows} - set(known["classes"]))
        wrong = (
            [f"{shown(root)} has lists with classes that Office-Home lacks: {odd}"] if odd else []
        )
        return replace(found, wrong=(*found.wrong, *wrong))
    if not any((root / folder).is_dir() for name in known["images"] for folder in _folders(name)):
        raise ValueError(
            f"{shown(root)} holds none of the folders {', '.join(known['images'])} of Office-Home; "
            "give the folder that they lie in, as ROOT/Art/Drill/00001.jpg"
        )
    rows = []
    for domain, by_class in known["images"].items():
        folder = next((name for name in _folders(domain) if (root / name).is_dir()), domain)
        for label, images in by_class.items():
            tests = set(known["test"][domain][label])
            rows += [
                Row(
                    f"{folder}/{label}/{number:05}.jpg",
                    label,
                    domain,
                    parts.TEST if number in tests else parts.TRAIN,
                    where="the official lists",
                )
                for number in range(1, images + 1)
            ]
    return Table(root, tuple(rows), tuple(known["classes"]))


def missing() -> dict[str, list[str]]:
    """Source domain -> the 35 classes that are missing with it; of Art and Real_World alone."""
    known = facts()
    return {
        source: [name for name in known["classes"] if name not in set(seen)]
        for source, seen in known["seen"].items()
    }


def opened(root: Path) -> Benchmarked:
    """The four domains."""
    return Tabled(read(root), missing())


def expected() -> Mapping[str, Expected]:
    """What the official lists hold."""
    known = facts()
    return {
        domain: Expected(
            classes=len(known["classes"]),
            train=sum(by_class.values()) - sum(map(len, known["test"][domain].values())),
            test=sum(map(len, known["test"][domain].values())),
            by_class=by_class,
        )
        for domain, by_class in known["images"].items()
    }


def _folders(domain: str) -> tuple[str, ...]:
    return (domain, SPACED[domain]) if domain in SPACED else (domain,)


OFFICE_HOME = Benchmark(
    name=NAME,
    line="Office-Home: 65 classes in Art, Clipart, Product, Real_World (Venkateswara et al., 2017)",
    layout="ROOT/Art/Drill/00001.jpg; the official lists come with htsweep, or lie in "
    "ROOT/image_list",
    get="from its authors' page; unpack the archive",
    open=opened,
    expected=expected(),
)
