"""WiSE-FT: averages weights before and after training (Wortsman et al., CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Choices, Later, Method, Range

if TYPE_CHECKING:
    from tasks.model import Model


def wise_ft(
    alpha: Annotated[float, Range(0, 1)] = 0.5,
    of: Annotated[str, Choices(("source", "trained")), Later()] = "source",
) -> Method:
    """Measures the average of source and trained weights, alpha theta_0 + (1 - alpha) theta.

    With `of: trained` it is (1 - alpha) theta_0 + alpha theta, as the paper writes it (equation 1:
    alpha = 0 is the source, 0.5 its recommendation). Batch-norm statistics are averaged too.
    Training itself is unchanged. Holistic Transfer calls this source ensemble. (arXiv:2109.01903)

    Args:
        alpha: share of the model that `of` names.
        of: which model alpha is the share of; trained in the paper.
    """
    share = alpha if of == "source" else 1 - alpha

    def finish(student: Model, source: Model, _: Any) -> None:
        origin = source.state_dict()
        for name, value in student.state_dict().items():
            # Integer tensors are batch counters, whose mean has no meaning.
            if value.is_floating_point():
                value.copy_(share * origin[name] + (1 - share) * value)

    return Method(finish=finish, needs=frozenset({"same_head"}), pairs_weights=True)
