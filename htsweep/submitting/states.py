"""How a submitted job stands, in words that all systems share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

ENDED = ("done", "failed", "stopped", "gone")


@final
@dataclass(frozen=True)
class State:
    """How a job stands."""

    word: str
    """`waiting`, `running`, `done`, `failed`, `stopped`, or `gone`: the system knows it no more."""
    why: str = ""
    """What the system says of it."""

    @property
    def ended(self) -> bool:
        """Whether it will print nothing more."""
        return self.word in ENDED
