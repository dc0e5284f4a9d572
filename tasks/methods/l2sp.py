"""L2-SP: stay near the source's weights (Li, Grandvalet and Davoine, ICML 2018, arXiv:1802.01483)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model


def l2sp(backbone: Annotated[float, Range(0, 1e4)] = 0.1, head: Annotated[float, Range(0, 1e4)] = 0.1) -> Method:
    """Adds  backbone/2 |w - w0|^2 + head/2 |v - v0|^2  to the loss; w0 and v0 are the source's backbone and head.

    The paper decays a new head towards zero (its 0.01); here the head is not new, so it is held at the source like the
    backbone, as Holistic Transfer has it. Batch-norm weights and biases count, as in the released code's mode 101.
    Give it `weight_decay: 0`, the task's default: a decay towards zero pulls against it.

    Args:
        backbone: pull of the source's backbone.
        head: pull of the source's head.
    """

    def prepare(source: Model, _: Sequence[int]) -> tuple[Tensor, Tensor]:
        return _weights(source.backbone), _weights(source.head)

    def penalty(view: View, start: tuple[Tensor, Tensor]) -> Tensor:
        away = [(_weights(part) - origin).square().sum()
                for part, origin in zip((view.student.backbone, view.student.head), start, strict=True)]
        return backbone / 2 * away[0] + head / 2 * away[1]

    return Method(prepare=prepare, penalty=penalty)


def _weights(part: nn.Module) -> Tensor:
    """All parameters of a part as one vector: a few large operations in place of three per layer."""
    from torch import cat

    return cat([parameter.reshape(-1) for parameter in part.parameters()])
