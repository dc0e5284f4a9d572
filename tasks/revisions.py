"""What computes other numbers than it once did under the same config; imports no torch.

A trial's id says what its numbers mean. Where a mended fault changes the numbers of some configs
and a setting cannot say so, the fault's name becomes part of what those mean: they get ids of their
own, and all others keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Applies = Callable[[frozenset[str]], bool]
"""Whether a revision changes the numbers of a chain with these members."""

REVISIONS: Mapping[str, Applies] = {
    # Bi-Tuning's key encoder was copied from the student before LoRA's A was drawn, and so started
    # from another model than the student's.
    "keys are copied after what trains is drawn": lambda members: {"bi_tuning", "lora"} <= members,
}
"""Its name, which must never change -> what it applies to."""


def meaning(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """What to add to the meaning of a resolved config: the revisions that change its numbers."""
    members = frozenset(str(config["method"]).split("+"))
    found = sorted(name for name, applies in REVISIONS.items() if applies(members))
    return {"revisions": found} if found else {}
