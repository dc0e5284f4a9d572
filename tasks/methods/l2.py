"""L2: weight decay in the loss, the baseline of L2-SP (Li et al., ICML 2018, arXiv:1802.01483)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, NewHead, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def l2(
    backbone: Annotated[float, Range(0, 1e4)] = 1e-4,
    head: Annotated[float, Range(0, 1e4), NewHead(1e-3)] = 1e-4,
) -> Method:
    """Weight decay in the loss: backbone/2 |w|^2 + head/2 |v|^2.

    w are the backbone's parameters and v the head's. Batch-norm weights and biases are included, as
    in `l2sp`. The optimiser's weight decay is off; this one can decay a new head faster than the
    pretrained backbone. The released code of L2-SP has 1e-4 for what is pretrained, which the head
    is where it is the source's own, and 1e-3 for what is new.

    Args:
        backbone: decay of the backbone.
        head: decay of the head.
    """

    def penalty(view: View, _: Any) -> Tensor:
        from torch import _foreach_norm, stack

        from tasks.model import weights_of

        squares = [
            stack(_foreach_norm(weights_of(part))).square().sum()
            for part in (view.student.backbone, view.student.head)
        ]
        return backbone / 2 * squares[0] + head / 2 * squares[1]

    return Method(penalty=penalty, decays=True)
