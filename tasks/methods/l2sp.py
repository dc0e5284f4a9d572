"""L2-SP: stay close to the source's weights (Li, Grandvalet and Davoine, ICML 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, NewHead, Range, View

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model
    from tasks.transfer import Transfer


def l2sp(
    backbone: Annotated[float, Range(0, 1e4)] = 0.1,
    head: Annotated[float, Range(0, 1e4), NewHead(0.01)] = 0.1,
) -> Method:
    """Pulls the weights to the source's: backbone/2 |w - w0|^2 + head/2 |v - v0|^2 in the loss.

    w0 and v0 are the source's backbone and head. v0 is zero if the head is new, as in the paper,
    whose factors, 0.1 and 0.01, are then the defaults. If the head is the source's own, it is
    pulled to that like the backbone, as in Holistic Transfer. Batch-norm weights and
    biases are included, as in mode 101 of the released code. The optimiser's weight decay is off: a
    decay towards zero would counteract the pull. (arXiv:1802.01483)

    Args:
        backbone: pull to the source's backbone.
        head: pull to the source's head; where the head is new, to zero.
    """

    def prepare(student: Model, transfer: Transfer, _: Any) -> list[dict[str, Tensor]]:
        assert transfer.source is not None
        # A new head has nothing worth keeping: it decays towards zero, as in the paper.
        heads = {
            name: parameter.detach().clone() * (not transfer.new_head)
            for name, parameter in student.head.named_parameters()
        }
        return [dict(transfer.source.backbone.named_parameters()), heads]

    def penalty(view: View, start: list[dict[str, Tensor]]) -> Tensor:
        from tasks.model import weights_of

        away = [
            squared_distance(weights_of(part, origin), list(origin.values()))
            for part, origin in zip((view.student.backbone, view.student.head), start, strict=True)
        ]
        return backbone / 2 * away[0] + head / 2 * away[1]

    return Method(prepare=prepare, penalty=penalty, decays=True, pairs_weights=True)


def squared_distance(
    weights: list[Tensor], origins: list[Tensor], factors: list[Tensor] | None = None
) -> Tensor:
    """sum_i (f_i (w_i - o_i))^2 over all tensors of two lists; without factors, f = 1.

    Uses torch's fused operations on lists: concatenating all weights would allocate memory in each
    step.
    """
    from torch import _foreach_mul, _foreach_norm, _foreach_sub, stack

    away = _foreach_sub(weights, origins)
    return (
        stack(_foreach_norm(away if factors is None else _foreach_mul(away, factors)))
        .square()
        .sum()
    )
