"""FEMNIST in LEAF's format (Caldas et al., 2018): handwritten characters by writer.

LEAF writes JSON files with `users`, `num_samples` and `user_data`: of each writer `x`, 784 numbers
from 0 (ink) to 1 (paper) an image, and `y`, from 0 to 61 for 0-9, A-Z and a-z. A writer is a domain
with the classes that they wrote, and `firstN` is the first N writers by name together: a source.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from tasks.data import cached, contents, parts
from tasks.data.benchmarks import Benchmark, Benchmarked, Expected
from tasks.data.domain import Domain, Images, Rows
from tasks.data.listing import shown, some

CLASSES = tuple(string.digits + string.ascii_uppercase + string.ascii_lowercase)
SIDE = 28
VERSION = 1
"""To be raised when the same files are read otherwise; part of the fingerprint."""
PLACES = ("train", "test", "all_data", ".")
POOL = re.compile(r"first([1-9]\d*)")
FORM = (
    "LEAF's files are JSON with `users`, and of each user in `user_data` a list `x` of images of "
    "784 numbers from 0 to 1 and a list `y` of labels from 0 to 61"
)


@final
@dataclass(frozen=True)
class Part:
    """What one file holds of a writer."""

    file: Path
    split: str
    labels: tuple[int, ...]
    digest: str


@final
@dataclass(frozen=True)
class Writers(Domain):
    """The characters of one writer, or of several together."""

    name: str
    users: tuple[str, ...]
    parts: tuple[tuple[str, Part], ...] = field(repr=False)
    """(writer, what a file holds of them), by writer and then in the order of files."""

    channels = 1
    size = SIDE

    @property
    def classes(self) -> tuple[str, ...]:
        """The characters that were written, digits first, then capitals, then small letters."""
        written = {label for _, part in self.parts for label in part.labels}
        return tuple(CLASSES[label] for label in sorted(written))

    @property
    def line(self) -> str:
        """Its name."""
        return self.name.rpartition(":")[2]

    def fingerprint(self) -> str:
        """From the images and labels of its writers, and what tests; not from other writers."""
        return contents.named(
            [
                ("femnist", str(VERSION)),
                *((f"{user} {part.split}", part.digest) for user, part in self.parts),
            ]
        )

    def load(self, cache: Path, image_size: int) -> Images:
        """The images as float32 [N, 1, 28, 28], ink 0 and paper 1."""
        kept = cached.arrays(cache / "femnist" / f"{self.fingerprint()}.npz", self._read)
        return Images(kept["pixels"], self.rows().labels, self.classes)

    def rows(self) -> Rows:
        """Labels, parts where train and test lie in folders of their own, and writers."""
        place = {CLASSES.index(name): index for index, name in enumerate(self.classes)}
        labels = [place[label] for _, part in self.parts for label in part.labels]
        split = np.array([part.split for _, part in self.parts for _ in part.labels])
        return Rows(
            np.array(labels, np.int64),
            split if (split != "").all() else None,
            np.array([user for user, part in self.parts for _ in part.labels]),
        )

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class."""
        counted = np.bincount(self.rows().labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counted, strict=True))

    def official_test(self) -> NDArray[np.bool_] | None:
        """The images in LEAF's folder `test`."""
        split = self.rows().split
        return None if split is None else split == parts.TEST

    def problems(self) -> list[str]:
        """A writer of one class."""
        if len(self.classes) > 1:
            return []
        return [f"the writer {self.line} wrote one class only: there is nothing to tell apart"]

    def notes(self) -> list[str]:
        """How many images of how many writers."""
        images = sum(len(part.labels) for _, part in self.parts)
        writers = f" of {len(self.users)} writers" if len(self.users) > 1 else ""
        return [f"{self.line}: {images:,} images of {len(self.classes)} classes{writers}"]

    def _read(self) -> dict[str, NDArray[np.generic]]:
        wanted: dict[Path, list[tuple[str, Part]]] = {}
        for user, part in self.parts:
            wanted.setdefault(part.file, []).append((user, part))
        read: dict[tuple[str, Path], NDArray[np.float32]] = {}
        for file, of in wanted.items():
            data = json.loads(file.read_text(encoding="utf-8"))["user_data"]
            for user, _ in of:
                images = np.array(data[user]["x"], np.float32)
                read[user, file] = images.reshape(-1, 1, SIDE, SIDE)
        pixels = np.concatenate([read[user, part.file] for user, part in self.parts])
        return {"pixels": pixels}


class Leaf(Benchmarked):
    """The writers in a folder of LEAF's files."""

    def __init__(self, root: Path) -> None:
        self.parts = _index(root)
        self.names = tuple(sorted(self.parts))

    def domain(self, name: str, whole: str) -> Domain:
        """A writer, or the first N of them."""
        users = (name,) if name in self.parts else tuple(self.names[: self._pool(name)])
        return Writers(
            whole, users, tuple((user, part) for user in users for part in self.parts[user])
        )

    def has(self, name: str) -> bool:
        """Whether it is a writer, or a pool of not more writers than there are."""
        return name in self.parts or 0 < self._pool(name) <= len(self.names)

    def _pool(self, name: str) -> int:
        found = POOL.fullmatch(name)
        return int(found[1]) if found else 0

    def others(self, source: str) -> Sequence[str]:
        """The writers that are not in the pool of this name, or not this writer."""
        pool = self._pool(source)
        return self.names[pool:] if pool else [name for name in self.names if name != source]


def _index(root: Path) -> dict[str, list[Part]]:
    """Writer -> what each file holds of them; a file is read once, and again when it changes."""
    folders = [root / place for place in PLACES]
    if (root / "train").is_dir() and (root / "test").is_dir():
        folders = folders[:2]
        files = [
            (file, folder.name) for folder in folders for file in sorted(folder.glob("*.json"))
        ]
    else:
        found = next((of for of in (sorted(f.glob("*.json")) for f in folders) if of), [])
        files = [(file, "") for file in found]
    if not files:
        raise ValueError(
            f"{shown(root)} holds no JSON file of LEAF's, neither in train and test nor in "
            f"all_data; {FORM}"
        )
    held = contents.of([file for file, _ in files], _examined, VERSION, "femnist")
    wrong = [
        f"{shown(file)} {content.problem}"
        for (file, _), content in zip(files, held, strict=True)
        if content.problem
    ]
    if wrong:
        raise ValueError(f"{some(wrong)}; {FORM}")
    by_user: dict[str, list[Part]] = {}
    for (file, split), content in zip(files, held, strict=True):
        for user, (labels, digest) in content.answer.items():
            by_user.setdefault(user, []).append(Part(file, split, tuple(labels), digest))
    return by_user


def _examined(file: BinaryIO) -> dict[str, Any]:
    """Writer -> their labels, and a digest of images and labels.

    Raises:
        ValueError: the file is not of LEAF's form.
    """
    try:
        data = json.load(file)["user_data"]
        answer = {}
        for user, of in data.items():
            images, labels = np.array(of["x"], np.float32), np.array(of["y"])
            if images.shape != (len(labels), SIDE * SIDE):
                raise ValueError(
                    f"has {len(labels)} labels of the writer {user}, and images of the shape "
                    f"{list(images.shape)}"
                )
            if labels.dtype.kind != "i" or not np.isin(labels, np.arange(len(CLASSES))).all():
                raise ValueError(f"has labels of the writer {user} that are not 0 to 61")
            if not (images.min() >= 0 and images.max() <= 1):
                raise ValueError(f"has images of the writer {user} with numbers not from 0 to 1")
            total = hashlib.sha256(images.tobytes() + labels.astype(np.int64).tobytes())
            answer[str(user)] = [labels.tolist(), total.hexdigest()[:32]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"lacks {error}") from error
    return answer


FEMNIST = Benchmark(
    name="femnist",
    line="FEMNIST: 62 characters by writer, in LEAF's format (Caldas et al., 2018)",
    layout="ROOT/train/*.json and ROOT/test/*.json, or ROOT/all_data/*.json",
    get="by LEAF's own script preprocess.sh, for instance with `-s niid --sf 1.0 -k 0 -t sample`",
    open=Leaf,
    expected={"": Expected(classes=len(CLASSES))},
)
