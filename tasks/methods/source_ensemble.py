"""Source ensemble of outputs (Tu et al., NeurIPS 2023; Wortsman et al., WiSE-FT, CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Tensor


def source_ensemble(alpha: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """Measures the average of source and trained probabilities, log(alpha p0 + (1 - alpha) p).

    The ensemble of weights is `wise_ft`. Training itself is unchanged; prediction runs two models.

    Args:
        alpha: share of the source model.
    """

    def output(logits: Tensor, source_logits: Tensor) -> Tensor:
        from math import log

        from torch import logaddexp

        if alpha in (0, 1):
            return source_logits if alpha else logits
        return logaddexp(
            source_logits.log_softmax(1) + log(alpha), logits.log_softmax(1) + log(1 - alpha)
        )

    return Method(output=output, needs=frozenset({"same_head"}))
