"""What a transferability score is given: a source model's view of the target's training images, and of the source's own."""

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
    "shared_classes": "needs a target with the source's classes, since it asks what becomes of them",
}
"""What a score may need, and what is said where it is not there."""


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What a score may look at: features of one source model on the target's training images, and on source images."""

    features: NDArray[np.float32]
    """[N, d] of the target's training images; of seen classes only."""
    labels: NDArray[np.int64]
    """[N] in 0..K-1, without gaps: k is the k-th of `target_classes`."""
    target_classes: tuple[int, ...]
    """The K classes of the target domain that have images here (the seen ones), by their index in
    the domain.
    """
    missing_classes: tuple[int, ...]
    """The classes of the target domain without training images, by their index in the domain."""
    shared_classes: bool
    """Whether class k of the source is class k of the target, as in holistic transfer."""
    probabilities: NDArray[np.floating] | None
    """[N, K_s] of the source's head on the target's training images; None where the source has no
    head.
    """
    head: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    """Weight [K_s, d] and bias [K_s] of the source's linear head; None where it has none."""
    source_features: NDArray[np.float32] | None
    """[M, d] of the images that source training saw; None for a pretrained source, which comes
    without images.
    """
    source_labels: NDArray[np.int64] | None
    """[M] in 0..K_s-1."""
    held_features: NDArray[np.float32] | None
    """[H, d] of source images held out of source training; None without source images, empty where
    none were held out.
    """
    held_labels: NDArray[np.int64] | None
    """[H] in 0..K_s-1."""
    test_features: NDArray[np.float32]
    """[T, d] of the target's TEST images of the seen classes.

    Only the terms `tta/...` by which a bound is judged read them, and never the `transferability`
    of any other score. """
    test_labels: NDArray[np.int64]
    """[T] in 0..K-1."""
    seed: Callable[..., int]
    """A seed in [0, 2**31) for names, from them and the repetition alone."""
    device: str = "cpu"
    """Where a score that uses torch computes: `cpu`, `cuda:0`."""

    @property
    def domain_labels(self) -> NDArray[np.int64]:
        """[N] of the target's training images, as indices among the source's classes, which are the target's too.

        Raises:
            ValueError: source and target do not share their classes, or a label is none.
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
