"""The commands that messages suggest: quoted for the shell, with the options that the user gave.

A message ends with its command, or puts it on a line of its own, so that it can be pasted:
`To run it again: htsweep launch 'my study.yaml'`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from htsweep.study.schema import Study

RESULTS = "results"
"""The folder of results if the user names none."""
STUDY = "STUDY.yaml"
"""The study's file in a message that does not know it."""
PASSWORD = "PASSWORD"
"""Replaces a password, which no message shows."""


@final
@dataclass(frozen=True)
class Given:
    """What the user gave on the command line; every suggested command repeats it."""

    file: str = STUDY
    overrides: tuple[str, ...] = ()
    results: str = RESULTS
    on: str = "ray"
    address: str | None = None
    mirror: str | None = ""
    """The tracking URI; "": the database beside the results; None: no mirror."""
    wait: float | None = None
    """Minutes to wait for nodes; None: the default."""
    join: bool = False
    """Whether the launch shares its trials with others."""

    def launch(self) -> str:
        """The command that launches the study again."""
        words = [*self._words("launch"), *([] if self.on == "ray" else ["--on", self.on])]
        words += [] if self.address is None else ["--address", self.address]
        words += [] if self.wait is None else ["--wait-for-nodes", f"{self.wait:g}"]
        words += ["--join"] if self.join else []
        return quoted([*words, *(["--no-mirror"] if self.mirror is None else self._tracking())])

    def mirror_it(self) -> str:
        """The command that brings MLflow up to date."""
        return quoted([*self._words("mirror"), *self._tracking()])

    def verb(self, verb: str, *options: str) -> str:
        """The command `htsweep VERB FILE ... OPTIONS`."""
        return quoted([*self._words(verb), *options])

    @property
    def secret(self) -> str:
        """A reminder for before a command that needs a password; "" if it needs none."""
        return (
            f" (with the password in place of {PASSWORD})"
            if self.mirror and shown(self.mirror) != self.mirror
            else ""
        )

    def _words(self, verb: str) -> list[str]:
        return [
            "htsweep",
            verb,
            operand(self.file),
            *(word for override in self.overrides for word in ("--set", override)),
            *on_results(self.results),
        ]

    def _tracking(self) -> list[str]:
        return ["--tracking-uri", shown(self.mirror)] if self.mirror else []


def given(study: Study, results: str = RESULTS) -> Given:
    """The arguments with which `study` was read, as far as the study knows them."""
    return Given(str(study.file), tuple(study.overrides), results)


def quoted(words: Sequence[str]) -> str:
    """The words as one line for a shell."""
    return shlex.join(words)


def operand(path: str | Path) -> str:
    """The path, written so that no command mistakes it for an option."""
    text = str(path)
    return f"./{text}" if text.startswith("-") else text


def on_results(results: str) -> list[str]:
    """The option for the results; empty if they are in the default folder."""
    return [] if results == RESULTS else ["--results", results]


def shown(uri: str) -> str:
    """The tracking URI with any password replaced."""
    # USER:PASSWORD@ at the start; a password may contain anything. HOST:5000/a@b has none.
    uri = re.sub(
        r"^([\w+.-]+://|(?!\w+://))([^/@:?]*):(?!\d+/)(?!//)([^?]*)@", rf"\1\2:{PASSWORD}@", uri
    )
    return re.sub(
        r"([?&][^=&]*(?:pass|pwd|token|secret|key|sig|credential)[^=&]*=)[^&]*",
        rf"\1{PASSWORD}",
        uri,
        flags=re.IGNORECASE,
    )
