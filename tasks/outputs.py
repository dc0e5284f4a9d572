"""What a model answered on a split, as it is kept and as metrics see it; numpy only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

TEST, VALIDATION, SOURCE = "test", "validation", "source"
"""The splits that this package's tasks hand over: target images that test, target images of seen
classes that validate, and images that the training of the source model held out.
"""
COLUMNS = {TEST: "test/", VALIDATION: "validation/", SOURCE: "validation/source_"}
"""Split -> what the names of the columns begin with that are measured on it; of another split its
name and a slash.
"""
LARGEST = float(np.finfo(np.float16).max)
"""Logits beyond this are kept as this."""


@final
@dataclass(frozen=True, eq=False)
class Outputs:
    """The logits of a model on the images of a split, rounded to what 16 bits hold.

    They are rounded here and nowhere else, so that a metric gives the same number while a trial
    runs and whenever its logits are read again. Neither array can be written to.
    """

    logits: NDArray[np.float32]
    """[N, C], each a number that float16 has."""
    labels: NDArray[np.int64]
    """[N], from 0 to C - 1."""
    missing: tuple[int, ...]
    """The indices of the classes without target training images, rising."""
    split: str
    """`test`, `validation`, `source`, or what else a task calls it."""
    images: str = ""
    """A name for the images and their order: where it is equal, they are the same. "": not known."""

    def __post_init__(self) -> None:
        """Rounds the logits.

        Raises:
            ValueError: the arrays do not fit one another.
        """
        logits, labels = np.asarray(self.logits), np.asarray(self.labels)
        missing = tuple(sorted({int(index) for index in self.missing}))
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"the outputs on split '{self.split}' are logits [N, C] and labels [N], but got "
                f"logits {list(logits.shape)} and labels {list(labels.shape)}"
            )
        if labels.dtype.kind not in "iu":
            raise ValueError(
                f"the labels of split '{self.split}' are class indices, but got {labels.dtype}"
            )
        named = [*missing, *(map(int, (labels.min(), labels.max())) if len(labels) else ())]
        if any(not 0 <= index < logits.shape[1] for index in named):
            raise ValueError(
                f"classes of split '{self.split}' are from 0 to {logits.shape[1] - 1}, as there are "
                f"logits, but labels and missing classes go from {min(named)} to {max(named)}"
            )
        rounded = np.clip(logits.astype(np.float32), -LARGEST, LARGEST).astype(np.float16)
        object.__setattr__(self, "logits", _frozen(rounded.astype(np.float32)))
        object.__setattr__(self, "labels", _frozen(labels.astype(np.int64)))
        object.__setattr__(self, "missing", missing)


@final
class Collected:
    """The outputs of a model on the splits of a domain, as they are measured."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self.outputs: dict[str, Outputs] = {}
        """By split."""

    def add(
        self,
        split: str,
        logits: NDArray[Any],
        labels: NDArray[Any],
        rows: NDArray[Any],
        *,
        missing: Sequence[int] = (),
        domain: str = "",
    ) -> None:
        """Takes the outputs on a split; nothing of one without images.

        Args:
            split: its name.
            logits: [N, C].
            labels: of all images of the domain.
            rows: [N], which of these the split has.
            missing: the indices of the missing classes.
            domain: the name of the images' domain, if it is another one.
        """
        if not len(rows):
            return
        place = hashlib.sha256((domain or self._domain).encode())
        place.update(np.asarray(labels, np.int64).tobytes())
        place.update(np.asarray(rows, np.int64).tobytes())
        self.outputs[split] = Outputs(
            logits, labels[rows], tuple(missing), split, place.hexdigest()[:16]
        )


def hand_over(workspace: Any, step: int, outputs: Mapping[str, Outputs]) -> None:
    """Gives a workspace that keeps outputs those of a step; one that keeps nothing is left alone."""
    keep = getattr(workspace, "keep", None)
    if keep is not None and outputs:
        keep(step, outputs)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    # In one order of memory, in which sums come out the same.
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
