"""LwF: learning without forgetting (Li and Hoiem, ECCV 2016, arXiv:1606.09282)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Choices, Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer


def lwf(
    weight: Annotated[float, Range(0, 1e4)] = 1.0,
    temperature: Annotated[float, Range(1e-2, 1e2)] = 2.0,
    head: Annotated[str, Choices(("fixed", "trained"))] = "fixed",
) -> Method:
    """Distils the source's outputs: weight T^2 KL(softmax(g0/T) || softmax(g/T)) in the loss.

    It is the batch mean, over all classes of the source. g0 are the frozen source's logits for the
    same image, [B, source classes]. g are the student's: from its only head if that is the source's
    own, or else from a copy of the source's head on the student's features, next to the new head.
    That copy is fixed in TLL and trains with the student in the paper.

    Temperature 2 is the paper's. The factor T^2 (Hinton et al.) keeps the gradient's size equal at
    every temperature; neither the paper nor TLL has it. A weight L without it is L/T^2 here: the
    paper's 1 at T = 2 is 0.25, TLL's 4 at T = 3 is 0.44. The default 1 is that of
    `selective_distillation`, so that the two are comparable.

    Args:
        weight: factor of the term.
        temperature: T, how soft the compared distributions are.
        head: whether the copy of the source's head, next to a new one, is fixed or trained.
    """

    def prepare(_: Model, transfer: Transfer, __: Any) -> nn.Module | None:
        assert transfer.source is not None
        return (
            copy.deepcopy(transfer.source.head).requires_grad_(head == "trained")
            if transfer.new_head
            else None
        )

    def penalty(view: View, source_head: nn.Module | None) -> Tensor:
        logits = view.logits if source_head is None else source_head(view.features)
        student = (logits / temperature).log_softmax(1)
        source = (view.source_logits / temperature).log_softmax(1)
        return weight * temperature**2 * (source.exp() * (source - student)).sum(1).mean()

    return Method(prepare=prepare, penalty=penalty, needs=frozenset({"source_head"}))
