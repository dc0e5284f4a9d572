"""A method of your own: confident outputs cost (Pereyra et al., 2017, arXiv:1701.06548)."""

from __future__ import annotations

from typing import Annotated, Any

from tasks.methods import Method, Range, View


def entropy(weight: Annotated[float, Range(0, 10)] = 0.1) -> Method:
    """Adds  -weight H(p)  to the loss, with H the entropy of the output in nats.

    Args:
        weight: factor of the term.
    """

    def penalty(view: View, _: Any) -> Any:
        log_p = view.logits.log_softmax(1)
        return weight * (log_p.exp() * log_p).sum(1).mean()

    return Method(penalty=penalty)
