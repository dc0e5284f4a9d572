"""Selective distillation on the missing classes (Tu et al., Holistic Transfer, NeurIPS 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def selective_distillation(
    weight: Annotated[float, Range(0, 1e4)] = 1.0,
    temperature: Annotated[float, Range(1e-2, 1e2)] = 2.0,
) -> Method:
    """Distils the relations among the missing classes U from the source's outputs.

    The term is weight T^2 KL(softmax(g0[U]/T) || softmax(g[U]/T)), averaged over the batch. On seen
    classes the frozen source's logits g0 contradict the labels, so that only the relations among
    missing ones are kept. A common shift of all missing logits does not change the term: it cannot
    stop them from falling below the seen ones. The paper's constants are not known; these follow
    LwF. (arXiv:2311.01420)

    Args:
        weight: factor of the term.
        temperature: T, how soft the compared distributions are.
    """

    def penalty(view: View, _: Any) -> Tensor:
        student = (view.logits[:, view.missing] / temperature).log_softmax(1)
        if len(view.missing) < 2:  # a distribution over one class is always the same
            return student.sum() * 0
        source = (view.source_logits[:, view.missing] / temperature).log_softmax(1)
        return weight * temperature**2 * (source.exp() * (source - student)).sum(1).mean()

    return Method(penalty=penalty, needs=frozenset({"missing", "same_head"}))
