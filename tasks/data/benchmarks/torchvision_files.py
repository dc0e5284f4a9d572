"""The files of VTAB's tasks as `torchvision.datasets` writes them: rows of images, or arrays."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, final

import numpy as np

from tasks.data import listing, packed, parts
from tasks.data.benchmarks import lists
from tasks.data.listing import shown
from tasks.data.packed import Held
from tasks.data.table import Row

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PARTS = {"train": parts.TRAIN, "val": parts.VALIDATION, "test": parts.TEST}


@final
@dataclass(frozen=True)
class Task:
    """A task in torchvision's own files."""

    mark: str
    """A file or folder in ROOT that is there if the task is."""
    read: Callable[[Path], Iterator[Row]] | None = None
    """The rows of its images, labels in order of their first images; None: files of arrays."""
    files: tuple[tuple[str, str], ...] = ()
    """Files of arrays in ROOT, and their parts."""
    reader: packed.Reader | None = None
    """Reads one of these."""
    named: Callable[[Path], tuple[str, ...]] | None = None
    """The names of their classes by label."""


def _folders(place: str, left_out: str = "") -> Callable[[Path], Iterator[Row]]:
    """A reader of class folders in a folder of ROOT."""

    def read(root: Path) -> Iterator[Row]:
        for label, path in listing.of(root / place).files:
            if label != left_out:
                yield Row(path.relative_to(root).as_posix(), label, "")

    return read


def _dtd(root: Path) -> Iterator[Row]:
    """The first of the ten official splits, as in VTAB: labels/train1.txt, val1.txt, test1.txt."""
    rows = []
    for word, part in PARTS.items():
        name = f"dtd/dtd/labels/{word}1.txt"
        for number, line in enumerate(lists.lines_of(root / name), 1):
            if line.strip():
                file, label = f"dtd/dtd/images/{line.strip()}", line.partition("/")[0]
                rows.append(Row(file, label, "", part, where=f"{name}, line {number}"))
    yield from sorted(rows, key=lambda row: row.label)


def _flowers(root: Path) -> Iterator[Row]:
    """flowers-102/imagelabels.mat and setid.mat, whose numbers count from 1."""
    place = root / "flowers-102"
    labels = np.atleast_1d(_mat(place / "imagelabels.mat", "labels")).tolist()
    names, rows = _names_of("flowers102", "Flowers102"), []
    for key, part in (("trnid", parts.TRAIN), ("valid", parts.VALIDATION), ("tstid", parts.TEST)):
        for number in np.atleast_1d(_mat(place / "setid.mat", key)).tolist():
            label = int(labels[number - 1])
            file = f"flowers-102/jpg/image_{number:05}.jpg"
            name = names[label - 1] if label <= len(names) else f"class {label}"
            row = Row(file, name, "", part, where=f"setid.mat, {key}")
            rows.append((label, row))
    yield from (row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _pets(root: Path) -> Iterator[Row]:
    """oxford-iiit-pet/annotations/trainval.txt and test.txt: lines `Abyssinian_100 1 1 1`."""
    rows = []
    for word, part in (("trainval", parts.TRAIN), ("test", parts.TEST)):
        name = f"oxford-iiit-pet/annotations/{word}.txt"
        for number, line in enumerate(lists.lines_of(root / name), 1):
            if line.strip() and not line.startswith("#"):
                image, label = line.split()[:2]
                file, breed = f"oxford-iiit-pet/images/{image}.jpg", image.rpartition("_")[0]
                row = Row(file, breed, "", part, where=f"{name}, line {number}")
                rows.append((int(label), row))
    yield from (row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _sun(root: Path) -> Iterator[Row]:
    """SUN397/ClassName.txt with lines `/a/abbey`, and SUN397/a/abbey/sun_FILE.jpg."""
    for number, line in enumerate(lists.lines_of(root / "SUN397" / "ClassName.txt"), 1):
        label = line.strip().strip("/").partition("/")[2]
        if label:
            place = root / "SUN397" / line.strip().strip("/")
            for file in sorted(place.glob("sun_*.jpg")):
                where = f"ClassName.txt, line {number}"
                name = label.replace("/", "_")
                yield Row(file.relative_to(root).as_posix(), name, "", where=where)


def _cifar(file: BinaryIO) -> Held:
    held = packed.unpickled(file)
    if not (isinstance(held, dict) and {"data", "fine_labels"} <= set(held)):
        raise ValueError("holds no `data` and `fine_labels` as CIFAR-100's files do")
    images = np.asarray(held["data"])
    if images.ndim != 2 or images.shape[1] != 3 * 32 * 32 or images.dtype != np.uint8:
        raise ValueError(f"holds images of {images.dtype} {list(images.shape)}, not [N, 3072]")
    images = images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.asarray(held["fine_labels"], np.int64)


def _cifar_names(root: Path) -> tuple[str, ...]:
    file = root / "cifar-100-python" / "meta"
    try:
        with file.open("rb") as stream:
            names = packed.unpickled(stream)["fine_label_names"]
        return tuple(map(str, names))
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ValueError(f"{shown(file)} names no classes: {error}; fetch it again") from error


def _svhn(file: BinaryIO) -> Held:
    from scipy.io import loadmat

    try:
        held = loadmat(file)
        images, labels = np.asarray(held["X"]), np.asarray(held["y"]).astype(np.int64).ravel()
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"is no file of SVHN's with X and y: {type(error).__name__}") from error
    # The digit zero has the label 10.
    return np.transpose(images, (3, 0, 1, 2)), np.where(labels == 10, 0, labels)


TASKS: Mapping[str, Task] = {
    "caltech101": Task(
        "caltech101/101_ObjectCategories",
        _folders("caltech101/101_ObjectCategories", "BACKGROUND_Google"),
    ),
    "cifar100": Task(
        "cifar-100-python",
        files=(("cifar-100-python/train", parts.TRAIN), ("cifar-100-python/test", parts.TEST)),
        reader=_cifar,
        named=_cifar_names,
    ),
    "dtd": Task("dtd/dtd", _dtd),
    "eurosat": Task("eurosat/2750", _folders("eurosat/2750")),
    "flowers102": Task("flowers-102", _flowers),
    "pets": Task("oxford-iiit-pet", _pets),
    "sun397": Task("SUN397", _sun),
    "svhn": Task(
        "train_32x32.mat",
        files=(("train_32x32.mat", parts.TRAIN), ("test_32x32.mat", parts.TEST)),
        reader=_svhn,
        named=lambda _: DIGITS,
    ),
}
"""Tasks that torchvision writes."""


def _mat(file: Path, key: str) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.asarray(loadmat(str(file), squeeze_me=True)[key])
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f"{shown(file)} is no file of MATLAB's with {key}") from error


@functools.cache
def _names_of(module: str, kind: str) -> tuple[str, ...]:
    """The class names in a module of torchvision, read from its text; empty if it has none."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return ()
    file = Path(spec.origin).parent / "datasets" / f"{module}.py"
    tree = ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else ast.Module([], [])
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == kind:
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "classes":
                    return tuple(ast.literal_eval(line.value))
    return ()
