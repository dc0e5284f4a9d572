"""Archives of npm packages, through the user's own `npm` or from a folder that holds them."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tasks.data.listing import shown, some

Say = Callable[[str], None]
FEW = 8
"""Up to so many packages each have a line of their own."""


@final
@dataclass(frozen=True)
class Package:
    """A package in the version whose content is known."""

    name: str
    version: str
    sha256: str
    """Of its archive."""

    @property
    def spec(self) -> str:
        """The name with the version, as npm takes it."""
        return f"{self.name}@{self.version}"

    @property
    def archive(self) -> str:
        """The name of the file that `npm pack` makes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def archives(
    packages: Sequence[Package], given: Path | None, kept: Path, say: Say
) -> Mapping[Package, Path]:
    """The archive of each package, with the content that is known.

    Args:
        packages: the packages.
        given: a folder that holds the archives; None to fetch them.
        kept: a folder for what is fetched; archives that are there already are not fetched again.
        say: takes a line on each package that is fetched.

    Raises:
        ValueError: archives are missing, damaged or of other versions, or npm cannot fetch them;
            says how to get them.
    """
    place = kept if given is None else given
    if given is not None and not given.is_dir():
        raise ValueError(f"there is no folder {shown(given)}; {_how(packages)}")
    wrong = {package: _wrong(package, place) for package in packages}
    if given is None:
        absent = [package for package in packages if wrong[package]]
        if len(absent) > FEW:
            say(f"fetching {len(absent)} packages through npm")
        else:
            for package in absent:
                say(f"fetching {package.spec} through npm")
        if absent:
            _fetch(absent, kept)
        wrong |= {package: _wrong(package, kept) for package in absent}
    bad = [package for package in packages if wrong[package]]
    if bad:
        listed = "; ".join(f"{package.archive} {wrong[package]}" for package in bad)
        raise ValueError(
            f"{len(bad)} of {len(packages)} archives in {shown(place)} cannot be used: {listed}; "
            f"{_how(bad)}"
        )
    return {package: place / package.archive for package in packages}


def _wrong(package: Package, folder: Path) -> str:
    """Why the archive in a folder cannot be used; empty if it can."""
    path = folder / package.archive
    if not path.is_file():
        return "is missing"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found == package.sha256:
        return ""
    return f"has the SHA-256 {found[:16]}..., not {package.sha256[:16]}..."


def _fetch(packages: Sequence[Package], folder: Path) -> None:
    """Fetches archives in one call of npm; what came before a failure stays."""
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"npm is not installed (Debian: apt install npm); {_how(packages)}")
    for package in packages:
        (folder / package.archive).unlink(missing_ok=True)
    specs = [package.spec for package in packages]
    done = subprocess.run(
        [npm, "pack", *specs, "--pack-destination", str(folder), "--ignore-scripts"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        left = [package for package in packages if _wrong(package, folder)]
        raise ValueError(
            f"npm cannot fetch {some(package.spec for package in left)}: {said[-600:]}; "
            f"{_how(left or packages)}"
        )


def _how(packages: Sequence[Package]) -> str:
    command = shlex.join(["npm", "pack", *(package.spec for package in packages)])
    return (
        f"to get {'it' if len(packages) == 1 else 'them'}, run `{command}` on a machine whose npm "
        "reaches a registry, and name the folder with `--from`"
    )
