"""L2-SP: stay near the source's weights (Li, Grandvalet and Davoine, ICML 2018, arXiv:1802.01483)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer


def l2sp(backbone: Annotated[float, Range(0, 1e4)] = 0.1, head: Annotated[float, Range(0, 1e4)] = 0.1) -> Method:
    """Adds  backbone/2 |w - w0|^2 + head/2 |v - v0|^2  to the loss; w0 and v0 are the source's backbone and head.

    v0 is zero where the head is new, as in the paper (which takes 0.01 there); where it is the source's own, it is held
    there like the backbone, as Holistic Transfer has it. Batch-norm weights and biases count, as in the released code's mode 101.
    The optimiser's weight decay is none then: a decay towards zero would pull against it.

    Args:
        backbone: pull of the source's backbone.
        head: pull of the source's head.
    """

    def prepare(student: Model, transfer: Transfer, _: Any) -> tuple[Tensor, Tensor]:
        origin = _weights(student.head).detach().clone()
        # A new head knows nothing worth keeping: it is decayed towards zero, as in the paper.
        return _weights(transfer.source.backbone), origin * 0 if transfer.new_head else origin

    def penalty(view: View, start: tuple[Tensor, Tensor]) -> Tensor:
        away = [(_weights(part) - origin).square().sum()
                for part, origin in zip((view.student.backbone, view.student.head), start, strict=True)]
        return backbone / 2 * away[0] + head / 2 * away[1]

    return Method(prepare=prepare, penalty=penalty, decays=True)


def _weights(part: nn.Module) -> Tensor:
    """All parameters of a part as one vector: a few large operations in place of three per layer."""
    from torch import cat

    return cat([parameter.reshape(-1) for parameter in part.parameters()])
