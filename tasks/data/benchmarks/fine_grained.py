"""Birds, cars, aircraft and dogs, by their official lists or by the Transfer Learning Library's.

The Library's lists are `ROOT/image_list/train_15.txt`, `train_30.txt`, `train_50.txt`,
`train_100.txt` and `test.txt`, with lines `FILE INDEX`: each share is a domain, `share_15` and so
on, with the same test images. The official lists give one domain, `all`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.data import parts
from tasks.data.benchmarks import Benchmark, Expected, lists
from tasks.data.benchmarks.generic import of
from tasks.data.listing import shown
from tasks.data.table import Row, Table, checked

WHOLE = "all"
SHARES = (15, 30, 50, 100)
Official = Callable[[Path], Iterator[Row]]


def _read(name: str, official: Official, layout: str) -> Callable[[Path], Table]:
    """A reader of the Library's lists where they are there, else of the official ones."""

    def read(root: Path) -> Table:
        if (root / "image_list" / "test.txt").is_file():
            return _of_library(root)
        try:
            rows = tuple(official(root))
        except (OSError, UnicodeDecodeError, KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"{shown(root)} does not hold {name} as {layout}: {type(error).__name__}: {error}"
            ) from error
        # Labels are in the order of the official classes, which is that of the lists.
        order = tuple(dict.fromkeys(row.label for row in rows))
        return Table(root, rows, order, tuple(checked(rows)))

    return read


def _of_library(root: Path) -> Table:
    """A domain for each share of the training images, with the same test images."""
    folder = root / "image_list"
    test = folder / "test.txt"
    tables = []
    for share in SHARES:
        train = folder / f"train_{share}.txt"
        if train.is_file():
            domain = f"share_{share}"
            held = [
                (file.name, domain, part, file.read_text(encoding="utf-8-sig").splitlines())
                for file, part in ((train, parts.TRAIN), (test, parts.TEST))
            ]
            tables.append(lists.table(root, held))
    if not tables:
        raise ValueError(f"{shown(folder)} has test.txt, but no train_15.txt to train_100.txt")
    first = max(tables, key=lambda table: len(table.classes))
    return replace(
        first,
        rows=tuple(row for table in tables for row in table.rows),
        wrong=tuple(dict.fromkeys(text for table in tables for text in table.wrong)),
    )


def _cub(root: Path) -> Iterator[Row]:
    """CUB_200_2011: images.txt, image_class_labels.txt, train_test_split.txt, classes.txt."""
    files, labels, split = (
        dict(line.split(" ", 1) for line in _lines(root / name))
        for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    names = dict(line.split(" ", 1) for line in _lines(root / "classes.txt"))
    order = sorted(files, key=lambda number: (int(labels[number]), int(number)))
    for number in order:
        part = parts.TRAIN if split[number].strip() == "1" else parts.TEST
        yield Row(
            f"images/{files[number]}",
            names[labels[number]],
            WHOLE,
            part,
            where=f"images.txt, image {number}",
        )


def _aircraft(root: Path) -> Iterator[Row]:
    """fgvc-aircraft-2013b: data/images_variant_{train,val,test}.txt and data/images."""
    rows = []
    for part, word in ((parts.TRAIN, "train"), (parts.VALIDATION, "val"), (parts.TEST, "test")):
        name = f"data/images_variant_{word}.txt"
        for number, line in enumerate(_lines(root / name), 1):
            image, label = line.split(" ", 1)
            where = f"{name}, line {number}"
            rows.append(Row(f"data/images/{image}.jpg", label, WHOLE, part, where=where))
    yield from sorted(rows, key=lambda row: row.label)


def _cars(root: Path) -> Iterator[Row]:
    """devkit/cars_meta.mat, devkit/cars_train_annos.mat, and the labels of the test images."""
    names = [str(name) for name in _mat(root / "devkit" / "cars_meta.mat")["class_names"]]
    test = next(
        (
            file
            for file in (root, root / "devkit")
            if (file / "cars_test_annos_withlabels.mat").is_file()
        ),
        root,
    )
    rows = []
    for part, folder, file in (
        (parts.TRAIN, "cars_train", root / "devkit" / "cars_train_annos.mat"),
        (parts.TEST, "cars_test", test / "cars_test_annos_withlabels.mat"),
    ):
        for number, one in enumerate(_mat(file)["annotations"], 1):
            index = int(one["class"])
            where = f"{file.name}, row {number}"
            row = Row(f"{folder}/{one['fname']}", names[index - 1], WHOLE, part, where=where)
            rows.append((index, row))
    yield from (row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _dogs(root: Path) -> Iterator[Row]:
    """train_list.mat and test_list.mat, and Images/n02085620-Chihuahua/FILE."""
    rows = []
    for part, name in ((parts.TRAIN, "train_list.mat"), (parts.TEST, "test_list.mat")):
        held = _mat(root / name)
        for number, (file, label) in enumerate(
            zip(held["file_list"], held["labels"], strict=True), 1
        ):
            breed = str(file).partition("/")[0]
            where = f"{name}, row {number}"
            rows.append((int(label), Row(f"Images/{file}", breed, WHOLE, part, where=where)))
    yield from (row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _mat(file: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    read: dict[str, Any] = loadmat(str(file), squeeze_me=True)
    return read


def _benchmark(
    name: str, line: str, layout: str, official: Official, *, classes: int, train: int, test: int
) -> Benchmark:
    library = "or ROOT/image_list/train_15.txt to train_100.txt and test.txt with the files"
    return Benchmark(
        name=name,
        line=line,
        layout=f"{layout}; {library}",
        get="from its authors' page, or by the Transfer Learning Library (tllib.vision.datasets)",
        open=of(_read(name, official, layout)),
        expected={
            "": Expected(classes=classes),
            **dict.fromkeys(
                (WHOLE, f"share_{SHARES[-1]}"),
                Expected(classes=classes, train=train, test=test),
            ),
        },
        either=True,
    )


# Counts of birds, cars and dogs: the catalog of TensorFlow Datasets (docs/catalog, the pages
# caltech_birds2011, cars196 and stanford_dogs). Of aircraft: the samples that mmpretrain states for
# the lists trainval and test (mmpretrain/datasets/fgvcaircraft.py).
CUB = _benchmark(
    "cub",
    "CUB-200-2011: 200 birds (Wah et al., 2011)",
    "ROOT/images.txt, image_class_labels.txt, train_test_split.txt, classes.txt and ROOT/images",
    _cub,
    classes=200,
    train=5994,
    test=5794,
)
CARS = _benchmark(
    "cars",
    "Stanford Cars: 196 cars (Krause et al., 2013)",
    "ROOT/devkit, ROOT/cars_train, ROOT/cars_test and ROOT/cars_test_annos_withlabels.mat",
    _cars,
    classes=196,
    train=8144,
    test=8041,
)
AIRCRAFT = _benchmark(
    "aircraft",
    "FGVC-Aircraft: 100 variants (Maji et al., 2013)",
    "ROOT/data/images_variant_train.txt, _val.txt, _test.txt and ROOT/data/images",
    _aircraft,
    classes=100,
    train=6667,
    test=3333,
)
DOGS = _benchmark(
    "dogs",
    "Stanford Dogs: 120 breeds (Khosla et al., 2011)",
    "ROOT/train_list.mat, ROOT/test_list.mat and ROOT/Images",
    _dogs,
    classes=120,
    train=12000,
    test=8580,
)
