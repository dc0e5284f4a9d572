"""Lists the class folders and images in ROOT/DOMAIN, and what is left out; opens no file."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from tasks import buckets

SUFFIXES = frozenset(
    {
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".dib",
        ".gif",
        ".webp",
        ".avif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
    }
)
"""The suffixes of files that are read as images, in lower or upper case."""
SYSTEM = frozenset(
    {
        "@eadir",
        "@tmp",
        "#recycle",
        "@recycle",
        "#snapshot",
        "@__thumb",
        "__macosx",
        "__pycache__",
        "lost+found",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
    }
)
"""Lower-case names that systems and network drives create, besides those that start with a dot."""
HIDDEN, DEEPER, BESIDE, FOLDER = (
    "hidden or of the system",
    "images one folder deeper",
    "images beside the class folders",
    ("folders with the name of an image"),
)
NOWHERE = ("a link that leads nowhere", "links that lead nowhere")
LOCKED = ("a folder that cannot be opened", "folders that cannot be opened")
NAMED = 3
"""The number of files that are named per reason."""
Broken = dict[tuple[str, str, str], list[Path]]
"""(what, plural of what, why) -> paths."""


@final
@dataclass(frozen=True)
class Listing:
    """The images in a domain's folder, and what else is in it."""

    place: Path
    classes: tuple[str, ...]
    """Names of the class folders, in Unicode's composed form (NFC), sorted."""
    files: tuple[tuple[str, Path], ...]
    """Each image with its class, sorted by the names of folder and file on disk."""
    left_out: dict[str, list[Path]] = field(default_factory=dict)
    """Reason -> what is left out because of it."""
    wrong: tuple[str, ...] = ()
    """What must be fixed before the folder can be a domain."""

    @property
    def counts(self) -> Counter[str]:
        """The number of images of each class."""
        counts_by_class = Counter(dict.fromkeys(self.classes, 0))
        counts_by_class.update(name for name, _ in self.files)
        return counts_by_class

    @property
    def composed(self) -> bool:
        """Whether the names of all class folders are in NFC on disk."""
        return all(path.parent.name == name for name, path in self.files)

    @property
    def paths(self) -> list[Path]:
        """The image files."""
        return [path for _, path in self.files]

    def relative(self, path: Path) -> str:
        """The path relative to the domain's folder, in printable form."""
        return shown(path.relative_to(self.place).as_posix())


def of(place: Path) -> Listing:
    """The listing of a domain's folder.

    Raises:
        ValueError: the folder does not exist.
    """
    left_out: dict[str, list[Path]] = {}
    broken: Broken = {}
    own: list[Path] = []
    for entry in _entries(_there(place), broken):
        path = Path(entry.path)
        if hidden(entry.name):
            left_out.setdefault(HIDDEN, []).append(path)
        elif _is_folder(entry):
            own.append(path)
        elif not _leads_nowhere(entry, broken):
            left_out.setdefault(
                BESIDE if path.suffix.lower() in SUFFIXES else _kind(path), []
            ).append(path)
    files = [
        (composed(own_entry.name), path)
        for own_entry in own
        for path in _images(own_entry, left_out, broken)
    ]
    return Listing(
        place,
        _names(own_entry.name for own_entry in own),
        tuple(files),
        left_out,
        tuple(_wrong(place, own, broken)),
    )


def folders(place: Path) -> list[str]:
    """The names on disk of the folders in a place, without hidden ones.

    Raises:
        ValueError: the place does not exist or cannot be opened.
    """
    broken: Broken = {}
    names = [
        entry.name
        for entry in _entries(_there(place), broken)
        if not hidden(entry.name) and _is_folder(entry)
    ]
    if broken:
        raise ValueError(f"the folder {shown(place)} cannot be opened: {next(iter(broken))[2]}")
    return names


def classes(place: Path) -> tuple[str, ...]:
    """The names of a domain's class folders, as in its listing; does not look into them.

    Raises:
        ValueError: the folder does not exist.
    """
    return _names(folders(place))


def composed(name: str) -> str:
    """The name in Unicode's composed form (archives made on a Mac have the decomposed one)."""
    return unicodedata.normalize("NFC", name)


def hidden(name: str) -> bool:
    """Whether a name is hidden or belongs to the system."""
    return name.startswith(".") or name.lower() in SYSTEM


def shown(path: str | Path) -> str:
    """The path in printable form: invalid UTF-8 and control characters are escaped.

    A path in the copy of a bucket is shown as in the bucket.
    """
    named = buckets.with_uris(str(path))
    text = named.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def some(names: Iterable[str], most: int = NAMED) -> str:
    """`a, b, c, and 4 more`."""
    listed = list(names)
    rest = f", and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest


def _there(place: Path) -> Path:
    if not place.is_dir():
        raise ValueError(
            f"there is no folder {shown(place)}; images lie at ROOT/DOMAIN/CLASS/IMAGE, and a "
            "relative ROOT is beside the study's file, or else in the working folder"
        )
    return place


def _names(folders: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(map(composed, folders))))


def _images(folder: Path, left_out: dict[str, list[Path]], broken: Broken) -> Iterator[Path]:
    """The image files of a class folder; anything else is added to `left_out` or `broken`."""
    for entry in _entries(folder, broken):
        path = Path(entry.path)
        image = path.suffix.lower() in SUFFIXES
        if hidden(entry.name):
            left_out.setdefault(HIDDEN, []).append(path)
        elif _is_folder(entry):
            inner = list(_below(path))
            if inner:
                left_out.setdefault(DEEPER, []).extend(inner)
            elif image:
                left_out.setdefault(FOLDER, []).append(path)
        elif _leads_nowhere(entry, broken):
            continue
        elif image:
            yield path
        else:
            left_out.setdefault(_kind(path), []).append(path)


def _below(folder: Path) -> Iterator[Path]:
    """The image files at any depth below a folder; links to folders are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not hidden(name))
        yield from (
            Path(place, name)
            for name in sorted(names)
            if Path(name).suffix.lower() in SUFFIXES and not hidden(name)
        )


def _entries(folder: Path, broken: Broken) -> list[os.DirEntry[str]]:
    """The sorted entries of a folder; one that cannot be listed is added to `broken`."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        broken.setdefault((*LOCKED, error.strerror or ""), []).append(folder)
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link, say
        return False


def _leads_nowhere(entry: os.DirEntry[str], broken: Broken) -> bool:
    """Whether an entry is a broken link; if so it is added to `broken`."""
    if not entry.is_symlink():
        return False
    try:
        entry.stat()
    except OSError as error:
        broken.setdefault((*NOWHERE, error.strerror or ""), []).append(Path(entry.path))
        return True
    return False


def _kind(path: Path) -> str:
    return f"{shown(path.suffix.lower())} files" if path.suffix else "files without a suffix"


def _wrong(place: Path, folders: Iterable[Path], broken: Broken) -> Iterator[str]:
    """What must be fixed: unreachable entries, and names that collide or are not UTF-8."""
    for (singular, many, reason), paths in broken.items():
        yield (
            f"{shown(place)} holds {singular if len(paths) == 1 else f'{len(paths):,} {many}'} "
            f"({reason}): {some(shown(path.relative_to(place).as_posix()) for path in paths)}; "
            "fix what it names, or remove it"
        )
    names: dict[str, list[Path]] = {}
    for folder in folders:
        names.setdefault(composed(folder.name), []).append(folder)
    for name, alike in names.items():
        if len(alike) > 1:
            yield (
                f"{shown(place)} holds {len(alike)} folders named {shown(name)}, which look alike "
                "and differ in their Unicode "
                "form (NFC, NFD); keep one"
            )
        if not _is_utf8(name):
            yield f"{shown(alike[0])} is a class whose name is not UTF-8; rename the folder"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
