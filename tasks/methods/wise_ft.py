"""WiSE-FT: average the weights before and after (Wortsman et al., CVPR 2022, arXiv:2109.01903)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from tasks.model import Model


def wise_ft(alpha: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """Measures  alpha theta_0 + (1 - alpha) theta : the source's and the trained weights, batch-norm statistics included.

    Training itself is not changed. Holistic Transfer calls it source ensemble.

    Args:
        alpha: share of the source model.
    """

    def finish(student: Model, source: Model, _: Any) -> None:
        origin = source.state_dict()
        for name, value in student.state_dict().items():
            # Whole numbers count batches; their mean means nothing.
            if value.is_floating_point():
                value.copy_(alpha * origin[name] + (1 - alpha) * value)

    return Method(finish=finish, needs=frozenset({"same_head"}))
