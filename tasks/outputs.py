"""A model's outputs on a split, as they are stored and as metrics see them; numpy only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

TEST, VALIDATION, SOURCE = "test", "validation", "source"
"""The splits whose outputs are kept.

They are the target's test images, its validation images of seen classes, and the images held out of
source training.
"""
COLUMNS = {TEST: "test/", VALIDATION: "validation/", SOURCE: "validation/source_"}
"""Split -> prefix of the columns measured on it; for other splits, the name and a slash."""
LARGEST = float(np.finfo(np.float16).max)
"""Logits and features are clipped to this absolute value."""


@final
@dataclass(frozen=True, eq=False)
class Outputs:
    """The logits of a model on the images of a split, rounded to 16 bits.

    They are rounded here and nowhere else, so that a metric gives the same number during a trial
    and whenever its logits are read again. All arrays are read-only.
    """

    logits: NDArray[np.float32]
    """[N, C], each representable in float16."""
    labels: NDArray[np.int64]
    """[N], from 0 to C - 1."""
    missing: tuple[int, ...]
    """The sorted indices of the classes without target training images."""
    split: str
    """`test`, `validation`, `source`, or another name that a task gives."""
    images: str = ""
    """Identifies the images and their order: equal names mean equal images; "": not known."""
    features: NDArray[np.float32] | None = None
    """[N, width], what the classifier sees, representable in float16; None: not handed over."""
    others: tuple[int, ...] = ()
    """The sorted indices of classes that are neither seen nor missing: no label is one of them."""

    def __post_init__(self) -> None:
        """Rounds the logits and the features.

        Raises:
            ValueError: the arrays do not fit each other.
        """
        logits, labels = np.asarray(self.logits), np.asarray(self.labels)
        missing, others = (
            tuple(sorted({int(index) for index in of})) for of in (self.missing, self.others)
        )
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"the outputs on split '{self.split}' are logits [N, C] and labels [N], but got "
                f"logits {list(logits.shape)} and labels {list(labels.shape)}"
            )
        features = None if self.features is None else np.asarray(self.features)
        if features is not None and (features.ndim != 2 or len(features) != len(labels)):
            raise ValueError(
                f"the features on split '{self.split}' are [N, width] for {len(labels)} images, "
                f"but got {list(features.shape)}"
            )
        if labels.dtype.kind not in "iu":
            raise ValueError(
                f"the labels of split '{self.split}' are class indices, but got {labels.dtype}"
            )
        named = [
            *missing,
            *others,
            *(map(int, (labels.min(), labels.max())) if len(labels) else ()),
        ]
        if any(not 0 <= index < logits.shape[1] for index in named):
            raise ValueError(
                f"classes of split '{self.split}' are from 0 to {logits.shape[1] - 1}, as there "
                f"are logits, but labels and missing classes go from {min(named)} to {max(named)}"
            )
        object.__setattr__(self, "logits", _rounded(logits))
        object.__setattr__(self, "features", None if features is None else _rounded(features))
        object.__setattr__(self, "labels", _frozen(labels.astype(np.int64)))
        object.__setattr__(self, "missing", missing)
        object.__setattr__(self, "others", others)


@final
class Collected:
    """Collects the outputs of a model on the splits of a domain while they are measured."""

    def __init__(self, domain: str, *, features: bool = False) -> None:
        self._domain, self._features = domain, features
        self.outputs: dict[str, Outputs] = {}
        """By split."""

    def add(
        self,
        split: str,
        logits: NDArray[Any],
        labels: NDArray[Any],
        rows: NDArray[Any],
        *,
        features: NDArray[Any] | None = None,
        missing: Sequence[int] = (),
        others: Sequence[int] = (),
        domain: str = "",
    ) -> None:
        """Adds the outputs on a split, unless it has no images.

        Args:
            split: the name of the split.
            logits: [N, C].
            labels: the labels of all images of the domain.
            rows: [N], the positions of the split's images.
            features: [N, width], left out unless the trial keeps features.
            missing: the indices of the missing classes.
            others: the indices of the classes that are neither seen nor missing.
            domain: what identifies the images' domain (`tasks.data.identity`), if it is another.
        """
        if not len(rows):
            return
        self.outputs[split] = Outputs(
            logits,
            labels[rows],
            tuple(missing),
            split,
            name_of(domain or self._domain, labels, rows),
            features if self._features else None,
            tuple(others),
        )


def name_of(domain: str, labels: NDArray[Any], rows: NDArray[Any]) -> str:
    """The name of some images and their order: `Outputs.images`.

    Args:
        domain: what identifies their domain (`tasks.data.identity`).
        labels: the labels of all its images.
        rows: the positions of the images.
    """
    place = hashlib.sha256(domain.encode())
    place.update(np.asarray(labels, np.int64).tobytes())
    place.update(np.asarray(rows, np.int64).tobytes())
    return place.hexdigest()[:16]


def keeps_features(workspace: Any) -> bool:
    """Whether features are wanted beside logits: the workspace's `keeps_features`, if it has it."""
    return bool(getattr(workspace, "keeps_features", False))


def hand_over(workspace: Any, step: int, outputs: Mapping[str, Outputs]) -> None:
    """Passes the outputs of a step to the workspace, if it has a method `keep`."""
    keep = getattr(workspace, "keep", None)
    if keep is not None and outputs:
        keep(step, outputs)


def _rounded(array: NDArray[Any]) -> NDArray[np.float32]:
    half = np.clip(array.astype(np.float32), -LARGEST, LARGEST).astype(np.float16)
    return _frozen(half.astype(np.float32))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    # One memory order, so that sums are the same bit for bit.
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array
