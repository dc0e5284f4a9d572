"""Images of one's own in ROOT/DOMAIN/CLASS/IMAGE; classes are the names of the folders, in sorted order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data import Images, cached, contents, corruptions

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


@contents.for_a_moment
def domains(dataset: str) -> tuple[str, str]:
    """The two domains of `folder:ROOT:SOURCE-TARGET`; a domain's name may hold a '-' itself, or end in a corruption.

    Raises:
        ValueError: the text has another form, or a folder is missing; lists those there are.
    """
    root, _, pair = dataset.removeprefix("folder:").rpartition(":")
    if not root or "-" not in pair:
        raise ValueError(f"'{dataset}' must be folder:ROOT:SOURCE-TARGET, as in folder:data/office_home:Art-Clipart")
    there = {entry.name for entry in _folders(Path(root))}
    parts = pair.split("-")
    ways = [("-".join(parts[:cut]), "-".join(parts[cut:])) for cut in range(1, len(parts))]
    fitting = [way for way in ways if {_decoded(root, name) for name in way} <= there]
    if not fitting:
        for name in dict.fromkeys(name for way in ways for name in way):
            corruptions.canonical(f"folder:{root}:{name}")  # says so where a folder is there and its corruption is not
        # Of the ways to cut the text, the one that lacks the fewest folders is likely what was meant.
        absent = sorted(min(({_decoded(root, name) for name in way} - there for way in ways), key=len))
        raise ValueError(f"{root} has no domain {' and no domain '.join(map(repr, absent))}; "
                         f"its folders are {', '.join(sorted(there)) or 'none'}")
    source, target = fitting[0]
    if source != target and _decoded(root, source) == _decoded(root, target):
        raise ValueError(corruptions.SAME_IMAGES.format(dataset=pair))
    return corruptions.canonical(f"folder:{root}:{source}"), corruptions.canonical(f"folder:{root}:{target}")


@contents.for_a_moment
def classes(domain: str) -> tuple[str, ...]:
    """The names of the class folders, sorted."""
    return tuple(sorted(entry.name for entry in _folders(_place(domain))))


@contents.for_a_moment
def differences(source: str, target: str) -> list[str]:
    """What keeps two domains from being a dataset: classes that only one of them has, classes without an image."""
    ours, theirs = set(classes(source)), set(classes(target))
    found = [
        f"the domains of a dataset have the same classes, but {_place(one)} lacks {', '.join(sorted(lacking)[:10])}"
        f"{', ...' if len(lacking) > 10 else ''}; add the folders, or remove them from {_place(other).name}"
        for one, other, lacking in ((source, target, theirs - ours), (target, source, ours - theirs)) if lacking
    ]
    if not ours | theirs:
        found.append(f"{_place(source)} holds no class folder; put images at ROOT/DOMAIN/CLASS/IMAGE")
    counted = {domain: {path.parent.name for path in files(domain)} for domain in (source, target)}
    for domain, full in counted.items():
        empty = sorted((ours & theirs) - full)
        if empty:
            found.append(f"{_place(domain)} has no image of {', '.join(empty[:10])}; each class needs one at least")
    return found


def files(domain: str) -> list[Path]:
    """The image files of a domain, sorted by class and name."""
    return [
        path for folder in sorted(_folders(_place(domain)))
        for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    ]


@contents.for_a_moment
def fingerprint(domain: str) -> str:
    """16 hexadecimal digits from the classes, the files' names and their content."""
    return _fingerprint(domain, files(domain))


def load(domain: str, cache: Path, image_size: int) -> Images:
    """The domain's images as uint8 [N, 3, size, size], mapped from the cache, where they are decoded to once.

    Resized without keeping the aspect, as the test transform of Holistic Transfer does; values are read as value / 255.

    Raises:
        ValueError: an image cannot be read; names its path.
    """
    listed = files(domain)
    names = tuple(sorted(entry.name for entry in _folders(_place(domain))))
    kept = cache / "folders" / f"{_fingerprint(domain, listed)}-{image_size}.npy"
    shape = (len(listed), 3, image_size, image_size)
    pixels = cached.mapped(kept, shape, np.uint8, lambda target: _decode(listed, target))
    index = {name: position for position, name in enumerate(names)}
    labels = np.array([index[path.parent.name] for path in listed], dtype=np.int64)
    return Images(pixels, labels, names)


def _decode(listed: list[Path], target: NDArray[np.uint8]) -> None:
    """Fills `target` [N, 3, size, size] with the decoded images."""
    for row, path in enumerate(listed):
        target[row] = _image(path, target.shape[-1])


def _image(path: Path, size: int):
    from PIL import Image

    try:
        with Image.open(path) as image:
            resized = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(resized).transpose(2, 0, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}; repair it or take it out") from error


def _fingerprint(domain: str, listed: list[Path]) -> str:
    place = _place(domain)
    return contents.fingerprint([(path.relative_to(place).as_posix(), path) for path in listed])


def _decoded(root: str, name: str) -> str:
    """The folder that holds the images of a domain, by name."""
    return corruptions.base(f"folder:{root}:{name}").rpartition(":")[2]


def _place(domain: str) -> Path:
    root, _, name = domain.removeprefix("folder:").rpartition(":")
    return Path(root) / name


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        raise ValueError(f"there is no folder {place}; images lie at ROOT/DOMAIN/CLASS/IMAGE")
    return [entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith(".")]

