"""WiSE-FT: averages weights before and after training (Wortsman et al., CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from tasks.model import Model


def wise_ft(alpha: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """Measures the average of source and trained weights, alpha theta_0 + (1 - alpha) theta.

    Batch-norm statistics are averaged too. Training itself is unchanged. Holistic Transfer calls
    this source ensemble. (arXiv:2109.01903)

    Args:
        alpha: share of the source model.
    """

    def finish(student: Model, source: Model, _: Any) -> None:
        origin = source.state_dict()
        for name, value in student.state_dict().items():
            # Integer tensors are batch counters, whose mean has no meaning.
            if value.is_floating_point():
                value.copy_(alpha * origin[name] + (1 - alpha) * value)

    return Method(finish=finish, needs=frozenset({"same_head"}), pairs_weights=True)
