"""L2-SP: stay near the source's weights (Li, Grandvalet and Davoine, ICML 2018, arXiv:1802.01483)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model
    from tasks.transfer import Transfer


def l2sp(
    backbone: Annotated[float, Range(0, 1e4)] = 0.1, head: Annotated[float, Range(0, 1e4)] = 0.1
) -> Method:
    """Adds  backbone/2 |w - w0|^2 + head/2 |v - v0|^2  to the loss; w0 and v0 are the source's backbone and head.

    v0 is zero where the head is new, as in the paper (which takes 0.01 there); where it is the
    source's own, it is held there like the backbone, as Holistic Transfer has it. Batch-norm
    weights and biases count, as in the released code's mode 101. The optimiser's weight decay is
    none then: a decay towards zero would pull against it.

    Args:
        backbone: pull of the source's backbone.
        head: pull of the source's head.
    """

    def prepare(student: Model, transfer: Transfer, _: Any) -> tuple[list[Tensor], list[Tensor]]:
        assert transfer.source is not None
        # A new head knows nothing worth keeping: it is decayed towards zero, as in the paper.
        heads = [
            parameter.detach().clone() * (not transfer.new_head)
            for parameter in student.head.parameters()
        ]
        return list(transfer.source.backbone.parameters()), heads

    def penalty(view: View, start: tuple[list[Tensor], list[Tensor]]) -> Tensor:
        away = [
            squared_distance(list(part.parameters()), origin)
            for part, origin in zip((view.student.backbone, view.student.head), start, strict=True)
        ]
        return backbone / 2 * away[0] + head / 2 * away[1]

    return Method(prepare=prepare, penalty=penalty, decays=True)


def squared_distance(
    weights: list[Tensor], origins: list[Tensor], factors: list[Tensor] | None = None
) -> Tensor:
    """sum_i (f_i (w_i - o_i))^2 over all tensors of two lists; without factors f = 1.

    By torch's fused operations on lists: a vector of all weights would be memory that is asked for
    afresh in each step.
    """
    from torch import _foreach_mul, _foreach_norm, _foreach_sub, stack

    away = _foreach_sub(weights, origins)
    return (
        stack(_foreach_norm(away if factors is None else _foreach_mul(away, factors)))
        .square()
        .sum()
    )
