"""The shape of a trial: what decides how much of a GPU it needs, whatever its numbers are; pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from htsweep.planning import task


def shape_of(reference: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Equal for trials of a task that need the same memory and keep a GPU equally busy.

    The task declares it as `shape`: for example backbone, image size, batch size, precision and
    method. Without a declaration it is all settings but numbers with a fraction, such as rates.

    Args:
        reference: the task's name.
        config: resolved.
    """
    own = _declared(reference)
    if own is not None:
        return {"task": reference, **own(config)}
    kept = {key: value for key, value in config.items() if not isinstance(value, float)}
    return {"task": reference, **kept}


def _declared(reference: str) -> Any:
    """The answer `shape` of a task; of a stage, that of the task that it belongs to."""
    for name in dict.fromkeys([reference, reference.partition(":")[0]]):
        with contextlib.suppress(LookupError):
            found = getattr(task.find(name).run, "shape", None)
            if found is not None:
                return found
    return None


def said(shape: Mapping[str, Any]) -> str:
    """A shape in words: `holistic_transfer: backbone resnet50, batch_size 64`."""
    parts = [f"{key} {value}" for key, value in sorted(shape.items()) if key != "task"]
    return f"{shape.get('task')}: {', '.join(parts)}"
