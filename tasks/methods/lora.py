"""LoRA: low-rank changes of the weights (Hu et al., ICLR 2022, arXiv:2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Choices, Method, Range

if TYPE_CHECKING:
    from torch import nn

    from tasks.model import Model
    from tasks.transfer import Transfer


def lora(
    rank: Annotated[int, Range(1, 1024)] = 8,
    alpha: Annotated[float, Range(1e-3, 1e4)] = 16.0,
    layers: Annotated[str, Choices(("attention", "all"))] = "attention",
) -> Method:
    """Trains W + (alpha / rank) B A in place of W, and the head; the rest stays as it is.

    A [rank, inputs] starts as a linear layer does (Kaiming's uniform, as in the released code), B
    [outputs, rank] at zero, so that training starts at the source. Adapted are queries, keys,
    values and the projection of attention, or all linear and convolution layers, as in a backbone
    without attention. What is measured, and what chained methods see, is the weight that acts.

    Args:
        rank: rank of the change.
        alpha: factor of the change, over the rank.
        layers: which layers are adapted: of attention, or all.
    """

    def rebuild(student: Model) -> None:
        from tasks import adapters

        adapted = adapters.layers(student)
        if layers == "attention":
            of_attention = {
                place: layer for place, layer in adapted.items() if adapters.of_attention(place)
            }
            adapted = of_attention or adapted
        for layer in adapted.values():
            adapters.adapt(layer, "weight", adapters.LowRank(layer.weight, rank, alpha / rank))

    def prepare(student: Model, transfer: Transfer, _: Any) -> None:
        from torch import Generator, nn

        from tasks import adapters

        generator = Generator().manual_seed(transfer.seed("lora"))
        for module in student.backbone.modules():
            if isinstance(module, adapters.LowRank):
                drawn = module.down.detach().cpu().clone()
                nn.init.kaiming_uniform_(drawn, a=5**0.5, generator=generator)
                module.down.data.copy_(drawn)

    return Method(rebuild=rebuild, prepare=prepare, trains=trained, frozen=frozenset({"norms"}))


def trained(student: Model) -> list[nn.Parameter]:
    """The parameters of the backbone that adapt others."""
    from tasks import adapters

    return adapters.trained(student)
