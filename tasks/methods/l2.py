"""L2: weight decay as a term of the loss, the baseline of L2-SP (Li, Grandvalet and Davoine, ICML 2018, arXiv:1802.01483)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def l2(
    backbone: Annotated[float, Range(0, 1e4)] = 1e-4, head: Annotated[float, Range(0, 1e4)] = 1e-3
) -> Method:
    """Adds  backbone/2 |w|^2 + head/2 |v|^2  to the loss; w are the backbone's parameters and v the head's.

    Batch-norm weights and biases count, as in `l2sp`. The optimiser's weight decay is none then;
    this one can decay a new head faster than what is pretrained.

    Args:
        backbone: decay of the backbone.
        head: decay of the head.
    """

    def penalty(view: View, _: Any) -> Tensor:
        from torch import _foreach_norm, stack

        squares = [
            stack(_foreach_norm(list(part.parameters()))).square().sum()
            for part in (view.student.backbone, view.student.head)
        ]
        return backbone / 2 * squares[0] + head / 2 * squares[1]

    return Method(penalty=penalty, decays=True)
