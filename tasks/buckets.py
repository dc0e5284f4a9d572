"""Data in a bucket, such as `s3://bucket/photos`: read from a copy in this machine's cache.

The copy is made once on a machine, while other processes wait, and is of one version of the bucket:
that of the names, sizes and times of its objects when this process first looked. Whoever runs tasks
gives the way to read a bucket (`reader`), since the libraries for that are none of a task's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, final

from tasks import cache, locking

KEPT_SECONDS = 7 * 24 * 3600.0
"""How long the copy of an earlier version stays after its last use."""
_URI = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class BucketUnusable(ValueError):
    """A bucket cannot be read, or not be copied; the message says why, and what to do."""


@final
@dataclass(frozen=True, order=True)
class File:
    """An object in a bucket."""

    name: str
    """Below the URI, with `/` between folders."""
    size: int
    """In bytes."""
    stamp: str
    """Differs if the object was written anew."""


class Reader(Protocol):
    """A way to read buckets; what fails raises OSError or ValueError with the reason."""

    def files(self, uri: str) -> Sequence[File]:
        """All objects below a URI, at any depth."""

    def copy(self, uri: str, targets: Mapping[File, Path]) -> None:
        """Copies objects to files in folders that exist; each is whole, or not there."""


reader: Reader | None = None
"""How buckets are read; None: they cannot be."""
_held: dict[tuple[str, Path], Path | str] = {}
"""(URI, cache) -> the copy that this process uses, or why there is none."""
_versions: dict[str, str] = {}
"""URI -> the version that this process uses."""
_pinned: dict[str, str] = {}
"""URI -> the only version that this process may use."""


def is_uri(root: str) -> bool:
    """Whether the root of a dataset is a URI, such as `s3://bucket/photos`, and no folder."""
    return bool(_URI.match(root))


def place(root: str) -> Path:
    """The folder with the files of a root: itself, or the copy of a bucket, made if need be.

    Raises:
        BucketUnusable: the bucket cannot be read, or has no place here.
    """
    if not is_uri(root):
        return Path(root)
    key = root, cache.place()
    if key not in _held:
        try:
            _held[key] = _copy_of(root)
        except (OSError, ValueError) as error:
            _held[key] = f"{shown(root)}: {error}"
    held = _held[key]
    if isinstance(held, str):
        raise BucketUnusable(held)
    return held


def versions() -> dict[str, str]:
    """URI -> the version of it, of all buckets that this process reads."""
    return dict(_versions)


def pin(only: Mapping[str, str]) -> None:
    """Lets this process use no other versions of these URIs: what `versions` returned elsewhere."""
    _pinned.clear()
    _pinned.update(only)
    for (uri, where), held in list(_held.items()):
        # A worker runs one trial after another: what it uses already is not looked at again.
        if isinstance(held, str) or only.get(uri) != held.name:
            del _held[uri, where]


def forget() -> None:
    """Lets this process look at the buckets again when it next needs them."""
    _held.clear()


def note(root: str) -> str:
    """`s3://bucket/photos: 2,427 files, 354.1 MB, copied to FOLDER`; "" for a folder."""
    if not is_uri(root):
        return ""
    here = place(root)
    sizes = _sizes(here).values()
    return f"{shown(root)}: {len(sizes):,} files, {_size(sum(sizes))}, copied to {here}"


def shown(uri: str) -> str:
    """A URI as messages name it: without its options, and without a user or a password."""
    return re.sub(r"//[^/]*@", "//", uri.partition("?")[0])


def with_uris(text: str) -> str:
    """A text in which paths of copies are those in the buckets, as their users know them."""
    for (uri, _), held in _held.items():
        if isinstance(held, Path) and str(held) in text:
            text = text.replace(str(held), shown(uri).rstrip("/"))
    return text


def _copy_of(uri: str) -> Path:
    """The folder with the version of a URI that this process may use, or the newest."""
    with cache.usable(cache.place()):
        own = cache.folder() / "buckets" / hashlib.sha256(uri.encode()).hexdigest()[:16]
        own.mkdir(parents=True, exist_ok=True)
    only = _pinned.get(uri)
    if only is not None and _is_whole(own / only):
        return _used(uri, own / only)
    if reader is None:
        raise ValueError("nothing here can read a bucket; give a folder as ROOT")
    files = _safe(reader.files(uri))
    version = hashlib.sha256(json.dumps([astuple(file) for file in files]).encode()).hexdigest()[
        :16
    ]
    if only is not None and version != only:
        raise ValueError(
            "what it holds has changed since the launch planned its trials, whose ids say what the "
            "data was; end the launch, and launch again"
        )
    with locking.alone(own / "lock", lambda: _say(f"waiting for a copy of {shown(uri)}")):
        if not _is_whole(own / version):
            _fill(uri, own / version, files)
            _remove_old(own, version)
    return _used(uri, own / version)


def _fill(uri: str, folder: Path, files: Sequence[File]) -> None:
    """Copies what the folder lacks, from earlier copies where it is the same there."""
    assert reader is not None
    here, wanted = _sizes(folder), {file.name: file for file in files}
    for name in here.keys() - wanted.keys():  # half written by a process that died
        (folder / name).unlink()
    lacking = [file for file in files if here.get(file.name) != file.size]
    for parent in {(folder / file.name).parent for file in lacking}:
        parent.mkdir(parents=True, exist_ok=True)
    earlier = _earlier(folder)
    lacking = [file for file in lacking if not _linked(earlier.get(file), folder / file.name)]
    needed = sum(file.size for file in lacking)
    no_room = cache.lacking(needed)
    if no_room:
        raise ValueError(
            f"its copy has no room here: {no_room}; free some, or set {cache.LIMIT} or "
            f"{cache.VARIABLE} to a larger place"
        )
    if lacking:
        _say(f"copying {shown(uri)}: {len(lacking):,} files, {_size(needed)}, to {folder}")
    with cache.usable(folder, needed):
        reader.copy(uri, {file: folder / file.name for file in lacking})
    if lacking and _safe(reader.files(uri)) != files:
        raise ValueError("what it holds has changed while it was copied; run this again")
    with cache.usable(folder), cache.atomically(_manifest(folder)) as partial:
        partial.write_text(json.dumps([astuple(file) for file in files]), encoding="utf-8")


def _safe(files: Iterable[File]) -> list[File]:
    """The files by name, none of which would lie outside a folder or in the place of another."""
    found = sorted(files)
    if not found:
        raise ValueError(
            "there is nothing; see that bucket and path are spelt as they are there, and that the "
            "keys of this machine may list it"
        )
    names = {file.name for file in found}
    for file in found:
        parts = file.name.split("/")
        if {"", ".", ".."} & set(parts) or "\0" in file.name or max(map(len, parts)) > 240:
            raise ValueError(
                f"it holds an object {file.name!r}, which is no name of a file; rename it"
            )
        within = next((one for one in PurePosixPath(file.name).parents if str(one) in names), None)
        if within is not None:
            raise ValueError(
                f"it holds an object {str(within)!r} and others below it, such as {file.name!r}; a "
                "file cannot be a folder too: rename one"
            )
    return found


def _manifest(folder: Path) -> Path:
    """The file that lists what a copy must hold; it is there once the copy is complete."""
    return folder.with_name(f"{folder.name}.json")


def _listed(manifest: Path) -> list[File]:
    try:
        return [File(*entry) for entry in json.loads(manifest.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _is_whole(folder: Path) -> bool:
    """Whether a copy is complete, with nothing lost of it since, and nothing added."""
    listed = _listed(_manifest(folder))
    return bool(listed) and {file.name: file.size for file in listed} == _sizes(folder)


def _sizes(folder: Path) -> dict[str, int]:
    """The files below a folder with their sizes in bytes."""
    sizes = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            with contextlib.suppress(FileNotFoundError):
                sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    return sizes


def _earlier(folder: Path) -> dict[File, Path]:
    """What other versions hold, by what the bucket said of it."""
    held: dict[File, Path] = {}
    for manifest in folder.parent.glob("*.json"):
        other = manifest.with_suffix("")
        held.update((file, other / file.name) for file in _listed(manifest) if other != folder)
    return held


def _linked(source: Path | None, target: Path) -> bool:
    """Whether the target is now another name of the source, which is complete."""
    if source is None:
        return False
    try:
        target.unlink(missing_ok=True)
        target.hardlink_to(source)
    except OSError:
        return False
    return True


def _used(uri: str, folder: Path) -> Path:
    """Notes the use of a copy."""
    _versions[uri] = folder.name
    with contextlib.suppress(OSError):
        os.utime(_manifest(folder))
    return folder


def _remove_old(own: Path, version: str) -> None:
    """Removes copies of earlier versions that nobody has used for long."""
    for manifest in own.glob("*.json"):
        with contextlib.suppress(OSError):
            if manifest.stem != version and manifest.stat().st_mtime < time.time() - KEPT_SECONDS:
                manifest.unlink()
                shutil.rmtree(manifest.with_suffix(""), ignore_errors=True)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
