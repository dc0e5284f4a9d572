"""SSF: scales and shifts features (Lian et al., NeurIPS 2022, arXiv:2210.08823)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.methods.method import Method

if TYPE_CHECKING:
    from torch import nn

    from tasks.model import Model


def ssf() -> Method:
    """Trains a factor and a shift of each output of each layer, the norms, and the head.

    The output y of a linear or convolution layer becomes gamma y + beta, with gamma at one and beta
    at zero at first; both are merged into weight and bias for measuring. After a norm the same is
    its own weight and bias, which train. A layer without a bias gets no shift: a norm that has one
    follows it. The paper draws gamma and beta from normal distributions about these values.
    """

    def rebuild(student: Model) -> None:
        from tasks import adapters

        for layer in adapters.layers(student).values():
            bias = layer.bias
            adapters.scale_outputs(layer)
            if bias is not None:
                adapters.adapt(layer, "bias", adapters.Shifted(bias))

    def trains(student: Model) -> list[nn.Parameter]:
        from tasks import adapters

        return adapters.trained(student) + student.parameters_of("norms")

    return Method(rebuild=rebuild, trains=trains)
