"""Folders of images that are like no others, for tests of what is read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.data import contents


def picture(path: Path, size: int = 8) -> Path:
    """An image of noise that the path decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(list(str(path).encode("utf-8", "surrogateescape")))
    kind = None if path.suffix.lower() in Image.registered_extensions() else "PNG"
    Image.fromarray(rng.integers(0, 256, (size, size + 1, 3), dtype=np.uint8)).save(path, kind)
    return path


def domains(root: Path, counts: Mapping[str, int], names: Sequence[str] = ("art", "photo")) -> str:
    """Domains with so many images of each class; the dataset of the first two."""
    for domain in names:
        for name, count in counts.items():
            for number in range(count):
                picture(root / domain / name / f"{number}.png")
    contents.forget()
    return f"folder:{root}:{'-'.join(names[:2])}"
