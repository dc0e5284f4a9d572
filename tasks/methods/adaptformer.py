"""AdaptFormer: a bottleneck beside each MLP (Chen et al., NeurIPS 2022, arXiv:2205.13535)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer


def adaptformer(
    width: Annotated[int, Range(1, 4096)] = 64, scale: Annotated[float, Range(0, 100)] = 0.1
) -> Method:
    """Trains s (relu(LN(x) D + d) U + u) beside the MLP of each block, and the head.

    Block: x <- x + MLP(LN(x)) + s (relu(LN(x) D + d) U + u), with D [features, width] and U [width,
    features] (equations 2 and 3). D starts as a linear layer does (Kaiming's uniform), all else at
    zero, so that training starts at the source. Width 64 and s = 0.1 are the paper's. Its released
    code feeds x in place of LN(x). What is added has a nonlinearity and cannot be merged, so it
    chains with no method that pairs the student's weights with the source's.

    Args:
        width: width of the bottleneck.
        scale: s, the factor of what is added.
    """

    def rebuild(student: Model) -> None:
        from tasks import insertions

        for block in insertions.blocks(student):
            like, features = next(block.parameters()), block.norm1.weight.numel()
            insertions.insert_beside(
                block.mlp, "adaptformer", insertions.Bottleneck(like, features, width, scale=scale)
            )

    def prepare(student: Model, transfer: Transfer, _: Any) -> None:
        from tasks import insertions

        def at_source(state: dict[str, Tensor], generator: Generator) -> None:
            from torch.nn.init import kaiming_uniform_

            kaiming_uniform_(state["down"], a=5**0.5, generator=generator)

        insertions.draw(student, "adaptformer", at_source, transfer.seed("adaptformer"))

    def trains(student: Model) -> list[nn.Parameter]:
        from tasks import insertions

        return insertions.parameters(student, "adaptformer")

    return Method(
        rebuild=rebuild,
        prepare=prepare,
        trains=trains,
        frozen=frozenset({"norms"}),
        inserts=True,
        needs=frozenset({"blocks"}),
    )
