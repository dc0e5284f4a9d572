"""ImageNet-R and ImageNet-Sketch, as "Fine-Tuning is Fine, if Calibrated" poses them.

Folders by WordNet id, as one domain. The lists that its authors released (Mai et al., NeurIPS 2024,
MIT licence) split them where they lie in ROOT/image_list: `R_training.txt` and `R_testing.txt`, or
`S_training.txt` and `S_testing.txt`. Which classes are missing is in their code, and here in
`imagenet.json`; the source is always an ImageNet classifier.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

from tasks.data import names, parts
from tasks.data.benchmarks import Benchmark, Benchmarked, Expected, lists
from tasks.data.benchmarks.folders import WHOLE, whole
from tasks.data.benchmarks.generic import Tabled
from tasks.data.table import Table


def missing(name: str) -> list[str]:
    """The WordNet ids of the classes that the paper takes as missing, of either benchmark."""
    text = resources.files("tasks.data.benchmarks").joinpath("imagenet.json").read_text("utf-8")
    known: list[str] = json.loads(text)[name]
    return known


def _open(name: str, letter: str) -> Callable[[Path], Benchmarked]:
    def opened(root: Path) -> Benchmarked:
        table = _listed(root, letter) or whole(root)
        present = {row.label for row in table.rows}
        out = [label for label in missing(name) if label in present]
        return Tabled(table, {names.PRETRAINED: out})

    return opened


def _listed(root: Path, letter: str) -> Table | None:
    """The images of the released lists; None if they are not there."""
    words = {"training": parts.TRAIN, "testing": parts.TEST}
    found = [
        (file, part)
        for word, part in words.items()
        if (file := root / "image_list" / f"{letter}_{word}.txt").is_file()
    ]
    if not found:
        return None
    table = lists.table(
        root, [(file.name, WHOLE, part, lists.lines_of(file)) for file, part in found]
    )
    # Their paths begin with the folder that the authors unpacked the archive into.
    above = f"imagenet-{letter.lower()}/"
    if (root / above).is_dir():
        return table
    rows = tuple(replace(row, file=row.file.removeprefix(above)) for row in table.rows)
    return replace(table, rows=rows)


IMAGENET_R = Benchmark(
    name="imagenet_r",
    line="ImageNet-R: renditions of 200 of ImageNet's classes (Hendrycks et al., ICCV 2021)",
    layout="ROOT/n01443537/art_0.jpg, folders by WordNet id; and if you like the lists of Mai et "
    "al., ROOT/image_list/R_training.txt and R_testing.txt",
    get="from its authors' page",
    open=_open("imagenet_r", "R"),
    expected={WHOLE: Expected(classes=200, images=30000, train=24076, test=5924)},
)
IMAGENET_S = Benchmark(
    name="imagenet_s",
    line="ImageNet-Sketch: sketches of ImageNet's 1,000 classes (Wang et al., NeurIPS 2019)",
    layout="ROOT/n01440764/sketch_0.JPEG, folders by WordNet id; and if you like the lists of Mai "
    "et al., ROOT/image_list/S_training.txt and S_testing.txt",
    get="from its authors' page",
    open=_open("imagenet_s", "S"),
    expected={WHOLE: Expected(classes=1000, images=50889, train=40889, test=10000)},
)
