"""Small fake tasks of VTAB, in the files that `torchvision.datasets` writes."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
from benchmarked import image
from scipy.io import savemat

from tasks.data import contents

FINE = ("apple", "aquarium_fish", "baby", "bear")


class _Python2(pickle._Pickler):
    """Writes texts and bytes as Python 2 did, which made CIFAR's files."""

    dispatch = dict(pickle._Pickler.dispatch)

    def _string(self, text):
        data = text.encode() if isinstance(text, str) else text
        self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = _string


def python2(path: Path, held: object) -> None:
    """A pickle of protocol 2 with the names of numpy's modules of that time."""
    with path.open("wb") as file:
        _Python2(file, 2).dump(held)
    path.write_bytes(
        path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    )


def flat(label: int, seed: int, side: int = 32) -> np.ndarray:
    """An image [side, side, 3] whose brightness tells its class."""
    rng = np.random.default_rng((label, seed))
    return np.clip(20 + 22 * label + rng.integers(-9, 9, (side, side, 3)), 0, 255).astype(np.uint8)


def cifar100(root: Path, train: int = 6, test: int = 3) -> None:
    place = root / "cifar-100-python"
    place.mkdir(parents=True)
    for name, count in (("train", train), ("test", test)):
        labels = [label for label in range(len(FINE)) for _ in range(count)]
        images = [flat(label, place).transpose(2, 0, 1) for place, label in enumerate(labels)]
        held = {
            "data": np.stack(images).reshape(len(labels), -1),
            "fine_labels": labels,
            "coarse_labels": [0] * len(labels),
            "filenames": [f"{name}_{number}.png" for number in range(len(labels))],
        }
        python2(place / name, held)
    python2(place / "meta", {"fine_label_names": list(FINE), "coarse_label_names": ["things"]})


def svhn(root: Path, train: int = 6, test: int = 3) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", train), ("test", test)):
        labels = [label for label in range(10) for _ in range(count)]
        images = np.stack([flat(label, place) for place, label in enumerate(labels)], axis=3)
        written = np.array([10 if label == 0 else label for label in labels], np.uint8)[:, None]
        savemat(root / f"{name}_32x32.mat", {"X": images, "y": written})


def caltech101(root: Path) -> None:
    for index, name in enumerate(("Faces", "accordion", "BACKGROUND_Google")):
        for number in range(1, 7):
            path = root / "caltech101" / "101_ObjectCategories" / name / f"image_{number:04}.jpg"
            image(path, index, number)


def dtd(root: Path) -> None:
    labels = root / "dtd" / "dtd" / "labels"
    labels.mkdir(parents=True)
    for number, word in enumerate(("train", "val", "test")):
        lines = []
        for index, name in enumerate(("banded", "blotchy", "dotted")):
            for place in range(3):
                file = f"{name}/{name}_{10 * number + place:04}.jpg"
                image(root / "dtd" / "dtd" / "images" / file, index, 10 * number + place)
                lines.append(file)
        (labels / f"{word}1.txt").write_text("\n".join(lines) + "\n")


def eurosat(root: Path) -> None:
    for index, name in enumerate(("AnnualCrop", "Forest", "River")):
        for number in range(6):
            image(root / "eurosat" / "2750" / name / f"{name}_{number}.jpg", index, number)


def flowers102(root: Path) -> None:
    place = root / "flowers-102"
    labels = np.array([1, 2, 77] * 8, np.uint8)
    for number, label in enumerate(labels, 1):
        image(place / "jpg" / f"image_{number:05}.jpg", int(label) % 5, number)
    savemat(place / "imagelabels.mat", {"labels": labels[None]})
    numbers = np.arange(1, 25, dtype=np.uint16)
    sets = {"trnid": numbers[None, :9], "valid": numbers[None, 9:12], "tstid": numbers[None, 12:]}
    savemat(place / "setid.mat", sets)


def pets(root: Path) -> None:
    place = root / "oxford-iiit-pet"
    (place / "annotations").mkdir(parents=True)
    for word, first, count in (("trainval", 1, 5), ("test", 101, 3)):
        lines = []
        for label, breed in enumerate(("Abyssinian", "american_bulldog"), 1):
            for number in range(first, first + count):
                image(place / "images" / f"{breed}_{number}.jpg", label, number)
                lines.append(f"{breed}_{number} {label} {label} 1")
        (place / "annotations" / f"{word}.txt").write_text("\n".join(lines) + "\n")


def sun397(root: Path) -> None:
    names = ("/a/abbey", "/a/apartment_building/outdoor", "/b/badlands")
    for index, name in enumerate(names):
        for number in range(6):
            image(root / f"SUN397{name}" / f"sun_{index}{number}.jpg", index, number)
    (root / "SUN397" / "ClassName.txt").write_text("\n".join(names) + "\n")


def resisc45(root: Path) -> None:
    """Class folders: torchvision has no RESISC45."""
    for index, name in enumerate(("airplane", "baseball_diamond", "beach")):
        for number in range(6):
            image(root / "resisc45" / name / f"{name}_{number:03}.jpg", index, number)


MADE = (caltech101, cifar100, dtd, eurosat, flowers102, pets, resisc45, sun397, svhn)


def vtab(root: Path) -> Path:
    """All of these in one folder."""
    for make in MADE:
        make(root)
    contents.forget()
    return root
