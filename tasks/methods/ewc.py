"""EWC: holds weights more, the more the source depends on them (Kirkpatrick et al., PNAS 2017)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.l2sp import squared_distance
from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model
    from tasks.transfer import Transfer

Names = list[list[str]]
"""The names of the weights of the backbone, and of the head unless it is new."""


def ewc(
    weight: Annotated[float, Range(0, 1e8)] = 1.0,
    samples: Annotated[int, Range(1, 1_000_000)] = 128,
) -> Method:
    """Pulls weights to the source's by Fisher information: weight/2 sum_i F_i (w_i - w0_i)^2.

    F_i = E[(d log p(y|x) / d w_i)^2] is the source's diagonal Fisher information at w0, with x from
    the target's training images and y drawn from the source model's p(y|x): the true Fisher
    information, without source data or target labels. It covers backbone and head, or if the head
    is new, the backbone only, through the source's head. The default weight is not from a paper.

    Args:
        weight: factor of the term.
        samples: number of images from which F is estimated, one by one.
    """

    def prepare(_: Model, transfer: Transfer, __: Any) -> tuple[list[Tensor], list[Tensor], Names]:
        from torch import Generator, autograd, multinomial, randperm, zeros_like

        assert transfer.source is not None
        source = copy.deepcopy(transfer.source).requires_grad_(True)
        generator = Generator().manual_seed(transfer.seed("fisher"))
        held = [source.backbone] if transfer.new_head else [source.backbone, source.head]
        names = [[name for name, _ in part.named_parameters()] for part in held]
        weights = [parameter for part in held for parameter in part.parameters()]
        fisher = [zeros_like(parameter) for parameter in weights]
        rows = transfer.train[randperm(len(transfer.train), generator=generator)[:samples]]
        for row in rows:
            log_p = source(transfer.take(row[None])[0])[1].log_softmax(1)[0]
            label = multinomial(log_p.detach().float().exp().cpu(), 1, generator=generator)
            gradients = autograd.grad(log_p[int(label)], weights, allow_unused=True)
            for total, gradient in zip(fisher, gradients, strict=True):
                if gradient is not None:
                    total.add_(gradient.square(), alpha=1 / len(rows))
        return (
            [tensor.sqrt() for tensor in fisher],
            [tensor.detach() for tensor in weights],
            names,
        )

    def penalty(view: View, ready: tuple[list[Tensor], list[Tensor], Names]) -> Tensor:
        from tasks.model import weights_of

        roots, start, names = ready
        parts = zip((view.student.backbone, view.student.head), names, strict=False)
        now = [weight for part, own in parts for weight in weights_of(part, own)]
        return weight / 2 * squared_distance(now, start, roots)

    return Method(
        prepare=prepare, penalty=penalty, needs=frozenset({"source_head"}), pairs_weights=True
    )
