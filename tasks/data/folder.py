"""Images of one's own in ROOT/DOMAIN/CLASS/IMAGE; classes are the names of the folders, in sorted order."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.data import Images, cached, contents

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}


@contents.for_a_moment
def domains(dataset: str) -> tuple[str, str]:
    """The two domains of `folder:ROOT:SOURCE-TARGET`; a domain's name may hold a '-' itself.

    Raises:
        ValueError: the text has another form, or a folder is missing; lists those there are.
    """
    root, _, pair = dataset.removeprefix("folder:").rpartition(":")
    if not root or "-" not in pair:
        raise ValueError(f"'{dataset}' must be folder:ROOT:SOURCE-TARGET, as in folder:data/office_home:Art-Clipart")
    there = {entry.name for entry in _folders(Path(root))}
    parts = pair.split("-")
    ways = [("-".join(parts[:cut]), "-".join(parts[cut:])) for cut in range(1, len(parts))]
    fitting = [way for way in ways if set(way) <= there]
    if not fitting:
        absent = sorted(set(ways[0]) - there)
        raise ValueError(f"{root} has no domain {' and no domain '.join(map(repr, absent))}; "
                         f"its folders are {', '.join(sorted(there)) or 'none'}")
    source, target = fitting[0]
    return f"folder:{root}:{source}", f"folder:{root}:{target}"


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
    pixels = _mapped(kept, shape)
    if pixels is None:
        _decode(listed, kept, shape)
        pixels = _mapped(kept, shape)
        assert pixels is not None, f"{kept} was written and cannot be read"
    index = {name: position for position, name in enumerate(names)}
    labels = np.array([index[path.parent.name] for path in listed], dtype=np.int64)
    return Images(pixels, labels, names)


def _mapped(path: Path, shape: tuple[int, ...]):
    """The array in `path`, or None where it is missing, cut short or of another shape."""
    try:
        # Copy on write: torch asks for memory that it may write to; nothing ever is.
        pixels = np.load(path, mmap_mode="c")
    except (OSError, ValueError, EOFError):
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _decode(listed: list[Path], kept: Path, shape: tuple[int, ...]) -> None:
    """Writes the decoded images to `kept`, there whole or not at all; several processes may do it at once."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with cached.atomically(kept) as partial:
        target = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
        for row, path in enumerate(listed):
            target[row] = _image(path, shape[-1])
        target.flush()


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


def _place(domain: str) -> Path:
    root, _, name = domain.removeprefix("folder:").rpartition(":")
    return Path(root) / name


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        raise ValueError(f"there is no folder {place}; images lie at ROOT/DOMAIN/CLASS/IMAGE")
    return [entry for entry in place.iterdir() if entry.is_dir() and not entry.name.startswith(".")]

