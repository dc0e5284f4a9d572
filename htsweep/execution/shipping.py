"""The files beside a study that go along to the nodes of a cluster, which may not have them.

These are a user's own modules, and small files such as weights and tables. What is too large is
left out, and has to be at the same path on every node.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

FOLDER = "htsweep_study_files"
"""The name under which the files are on a node: a folder of the name hides no module."""
LIST = "htsweep_left_out.json"
"""Beside it: the names of what is not there as a whole."""
MOST_BYTES = 100 * 2**20
MOST_FILES = 2_000
LOOKED_AT = 20_000
"""How many files of the study's folder are looked at, at most."""
NAMED = 5
_KEYS = re.compile(
    r"\.(?:pem|key|p12|pfx|jks|keystore|kdbx|env|gpg|asc)$"
    r"|^id_(?:rsa|dsa|ecdsa|ed25519)$|^(?:auth_token|kubeconfig|htpasswd|netrc|pgpass)$"
    r"|^(?:credentials?|secrets?|service[-_.]?account.*|client[-_.]?secrets?.*|token)"
    r"(?:\.(?:json|ya?ml|toml|ini|cfg|txt|csv))?$",
    re.I,
)
"""Names of files with keys or passwords, which are sent to no other machine."""
_STUDY = re.compile(rb"^[\"']?task[\"']?\s*:", re.M)


@final
@dataclass(frozen=True)
class Shipped:
    """What goes along, and what does not."""

    folder: Path
    """The study's folder."""
    files: Sequence[Path] = ()
    """Relative to it."""
    left_out: Sequence[str] = field(default=())
    """In words, the largest first."""
    code: str = ""
    """A hash of the names and contents of the files."""
    partial: Sequence[str] = ()
    """The files and folders, directly in the study's, of which not all goes along."""
    shared: bool = False
    """Whether the study's folder is no study's: the home folder, or one for all users."""

    @property
    def needed(self) -> bool:
        """Whether a trial can use any of the files: none reads a study, which the launch has read.

        Where nothing is sent along, the nodes' workers start sooner: Ray prepares no folder there.
        """
        return any(not _is_study(self.folder / name) for name in self.files)

    def copy(self, to: Path) -> None:
        """Copies the files to a folder."""
        (to / FOLDER).mkdir(parents=True, exist_ok=True)
        partial = set(self.partial)
        for name in self.files:
            target = to / FOLDER / name
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(self.folder / name, target)
            except (
                FileNotFoundError
            ):  # removed since it was listed, such as someone's temporary one
                partial.add(name.parts[0])
        (to / LIST).write_text(json.dumps(sorted(partial)), encoding="utf-8")

    def note(self) -> str:
        """What is left out, in a sentence; "" if nothing is."""
        if self.shared:
            return (
                f"the study lies in {self.folder}, among files that are not its own, so that only "
                "your Python and YAML files directly there go along to the nodes. Move it into a "
                "folder of its own, with what it needs, and all of that goes along"
            )
        if not self.left_out:
            return ""
        more = len(self.left_out) - NAMED
        names = ", ".join(self.left_out[:NAMED]) + (f" and {more} more" if more > 0 else "")
        return (
            f"the files of {self.folder} go along to the nodes, but for {names}: at most "
            f"{MOST_BYTES >> 20} MiB and {MOST_FILES:,} files do. A trial that reads these needs "
            "them at the same path on its node"
        )


def collect(folder: Path, results: str = "") -> Shipped:
    """The files of the study's folder that go along: Python first, then the smallest first.

    A folder beside the study goes along as a whole or, but for its Python, not at all.

    Hidden files and folders, virtual environments, compiled Python, the results, and files that by
    their names hold keys stay behind.
    """
    apart = Path(results).resolve() if results and "://" not in results else None
    single: list[tuple[int, Path]] = []
    groups: dict[str, list[tuple[int, Path]]] = {}
    partial: set[str] = set()
    looked = 0
    keys: list[str] = []
    shared = _is_shared(folder)
    for path, size in _beside(folder) if shared else _files(folder, apart):
        looked += 1
        if _KEYS.search(path.name):
            keys.append(str(path))
            partial.update(path.parts[:-1][:1])
            continue
        group = path.parts[0] if len(path.parts) > 1 else ""
        if looked > LOOKED_AT or size is None:
            partial.add(group)
        elif path.suffix == ".py" or not group:
            single.append((size, path))
        else:
            groups.setdefault(group, []).append((size, path))
        if looked > LOOKED_AT:
            break
    taken: list[Path] = []
    left: list[tuple[int, Path]] = []
    total = 0

    def take(files: list[tuple[int, Path]]) -> bool:
        nonlocal total
        size = sum(one for one, _ in files)
        if total + size > MOST_BYTES or len(taken) + len(files) > MOST_FILES:
            return False
        total += size
        taken.extend(path for _, path in files)
        return True

    for size, path in sorted(single, key=lambda one: (one[1].suffix != ".py", one)):
        if not take([(size, path)]):
            left.append((size, path))
    # A folder goes along as a whole or not at all: a part of a dataset would be taken for it.
    sizes = {group: sum(size for size, _ in files) for group, files in groups.items()}
    for group in sorted(sizes, key=lambda name: (sizes[name], name)):
        if group in partial or not take(groups[group]):
            left.append((sizes[group], Path(group)))
    left += [(0, Path(group)) for group in sorted(partial - groups.keys() - {""})]
    digest = hashlib.sha256()
    kept = []
    for path in sorted(taken):
        try:
            content = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        except OSError:  # not readable, or just removed
            left.append((0, path))
            continue
        digest.update(f"{path.as_posix()}\0{content}\n".encode(errors="surrogateescape"))
        kept.append(path)
    words = [f"{path} ({size / 2**20:.1f} MiB)" for size, path in sorted(left, reverse=True)]
    if keys:
        more = f" and {len(keys) - 2} more" if len(keys) > 2 else ""
        words.insert(0, f"{', '.join(keys[:2])}{more}, which by their names hold keys")
    if looked > LOOKED_AT:
        words.insert(0, f"whatever follows the first {LOOKED_AT:,} files")
    apart_from = sorted({path.parts[0] for _, path in left})
    return Shipped(folder, kept, words, digest.hexdigest()[:16], apart_from, shared)


def unpacked(places: Iterable[str]) -> Path | None:
    """Where the files are on this node, given its search path for modules; None if they are not."""
    return next((Path(one) / FOLDER for one in places if (Path(one) / FOLDER).is_dir()), None)


def moved(value: Any, origin: str, here: str) -> Any:
    """A config in which paths below the folder `origin` are below `here`, if they exist there.

    A path may be within a text, as in `folder:/study/data:a-b`.
    """
    if isinstance(value, str) and origin in value:
        before, _, after = value.partition(origin)
        rest = after.partition(":")[0]
        if (not rest or rest.startswith("/")) and _is_whole(Path(here), rest.strip("/")):
            return f"{before}{here}{after}"
    elif isinstance(value, dict):
        return {key: moved(one, origin, here) for key, one in value.items()}
    elif isinstance(value, list | tuple):
        return [moved(one, origin, here) for one in value]
    return value


def _is_whole(here: Path, rest: str) -> bool:
    """Whether a file, or a folder with all that is in it, was sent along."""
    path = here / rest
    if not path.is_dir() or not rest:
        return path.exists()
    left_out: list[str] = json.loads((here.parent / LIST).read_text(encoding="utf-8"))
    return Path(rest).parts[0] not in left_out


def paths_in(value: Any) -> Iterator[str]:
    """The absolute paths in a config that exist on this machine."""
    if isinstance(value, str):
        for part in value.split(":"):
            if (
                part.startswith("/")
                and not part.startswith("//")
                and len(part) > 1
                and Path(part).exists()
            ):
                yield part
    elif isinstance(value, dict):
        for one in value.values():
            yield from paths_in(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from paths_in(one)


def _is_study(path: Path) -> bool:
    if path.suffix not in (".yaml", ".yml"):
        return False
    try:
        return _STUDY.search(path.read_bytes()) is not None
    except OSError:
        return False


def _is_shared(folder: Path) -> bool:
    """Whether a folder is no study's own: the home folder, the system's, or one like /tmp."""
    here = folder.resolve()
    try:
        mode = here.stat().st_mode
        home = Path.home().resolve()
    except (OSError, RuntimeError):  # a user without a home
        return False
    of_all = bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)
    return of_all or here in (Path(here.anchor), home)


def _beside(folder: Path) -> Iterator[tuple[Path, int | None]]:
    """(name, size) of the user's own Python and YAML files directly in a folder."""
    for path in sorted(folder.iterdir()):
        if path.suffix in (".py", ".yaml", ".yml") and not path.name.startswith("."):
            with contextlib.suppress(OSError):
                about = path.stat()
                if stat.S_ISREG(about.st_mode) and about.st_uid == os.getuid():
                    yield Path(path.name), about.st_size


def _files(folder: Path, apart: Path | None) -> Iterator[tuple[Path, int | None]]:
    """(path below the folder, size) of its files, in the order of their names.

    The size is None for what cannot be sent along: a link to a folder, what cannot be read.
    """
    unread: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=unread.append):
        here = Path(place)
        for name in folders:
            if (here / name).is_symlink() and not name.startswith("."):
                yield (here / name).relative_to(folder), None
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in ("__pycache__", "node_modules")
            and not (here / name / "pyvenv.cfg").exists()
            and (here / name).resolve() != apart
        )
        for name in sorted(files):
            path = here / name
            if not name.startswith("."):
                try:
                    size = path.stat().st_size if path.is_file() else None
                except FileNotFoundError:  # removed since it was listed
                    continue
                yield path.relative_to(folder), size
    for error in unread:
        yield Path(error.filename).relative_to(folder) / "unread", None
