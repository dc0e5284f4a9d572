"""Balanced softmax: cross-entropy that allows for the classes' frequencies (Ren et al., 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.methods.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model
    from tasks.transfer import Transfer


def balanced_softmax() -> Method:
    """Trains on logits shifted by the logarithm of each class's share of the training images.

    The cross-entropy is of softmax(g + log p), where p_c is class c's share of the training images;
    what is measured is g. So a frequent class does not win by being frequent. A class without
    images has p = 0: its logit is in no sum, so that the gradient does not push it down, and what
    the head knows of the missing classes stays, but for the features that move. (NeurIPS 2020,
    arXiv:2007.10740, equation 3)
    """

    def prepare(_: Model, transfer: Transfer, __: Any) -> Tensor:
        from torch import bincount, finfo

        labels = transfer.labels[transfer.train.to(transfer.labels.device)]
        counts = bincount(labels, minlength=transfer.outputs).to(transfer.device).float()
        # A finite shift: label smoothing also needs the logarithm of a missing class's share.
        return (counts / counts.sum()).clamp_min(finfo(counts.dtype).tiny).log()

    def adjust(logits: Tensor, shift: Tensor) -> Tensor:
        return logits + shift

    return Method(prepare=prepare, adjust=adjust)
