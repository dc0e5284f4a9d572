"""What transferability scores may read: features of target training images and source images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEEDS = {
    "head": "needs the source model's own classifier, which these weights come without",
    "source_data": "needs the images of the source domain, which a pretrained source comes without",
    "held_out": "needs source images held out of source training, of which there are none",
    "source_covers_target": "needs a source with at least as many classes as the target",
    "test_images": "needs test images of seen classes, by which its bound is judged",
    "transport": "needs the package POT, which is not installed (pip install 'htsweep[transport]')",
    "missing_classes": "needs missing classes, of which there are none here",
    "shared_classes": "needs a target with the source's classes, since it asks what becomes of "
    "them",
}
"""What a score may need -> the message if it is not available."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """A source model's features and outputs on target training images and on source images."""

    features: NDArray[np.float32]
    """[N, d] of the target's training images, which are of seen classes only."""
    labels: NDArray[np.int64]
    """[N] in 0..K-1, without gaps: k is the k-th of `target_classes`."""
    target_classes: tuple[int, ...]
    """The K classes of the target with training images (the seen ones), by index in the domain."""
    missing_classes: tuple[int, ...]
    """The classes of the target without training images, by index in the domain."""
    shared_classes: bool
    """Whether class k of the source is class k of the target, as in holistic transfer."""
    probabilities: NDArray[np.floating] | None
    """[N, K_s] of the source's head on the target's training images; None without a head."""
    head: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    """Weight [K_s, d] and bias [K_s] of the source's linear head, or None."""
    source_features: NDArray[np.float32] | None
    """[M, d] of the images that source training saw; None for a pretrained source."""
    source_labels: NDArray[np.int64] | None
    """[M] in 0..K_s-1."""
    held_features: NDArray[np.float32] | None
    """[H, d] of source images held out of source training; None without source images."""
    held_labels: NDArray[np.int64] | None
    """[H] in 0..K_s-1."""
    test_features: NDArray[np.float32]
    """[T, d] of the target's TEST images of the seen classes.

    Only the terms `tta/...`, which judge a bound, use them; no `transferability` does. """
    test_labels: NDArray[np.int64]
    """[T] in 0..K-1."""
    seed: Callable[..., int]
    """Returns a seed in [0, 2**31) that depends on the given names and the repetition only."""
    device: str = "cpu"
    """Where scores that use torch compute, such as `cpu` or `cuda:0`."""

    @property
    def domain_labels(self) -> NDArray[np.int64]:
        """[N], the labels of the target's training images as indices in the shared classes.

        Raises:
            ValueError: source and target do not share their classes, or a label is invalid.
        """
        import numpy as np

        if not self.shared_classes:
            raise ValueError(
                "the target has classes of its own, so that none of the source's can be missing "
                "from it; leave the score out"
            )
        labels, classes = np.asarray(self.labels), np.asarray(self.target_classes)
        wrong = np.flatnonzero(~np.isin(labels, np.arange(len(classes))))
        if len(wrong):
            raise ValueError(
                f"labels must be positions among the {len(classes)} target classes, but row "
                f"{wrong[0]} has {labels[wrong[0]]}"
            )
        return np.asarray(classes[labels.astype(np.int64)], np.int64)
