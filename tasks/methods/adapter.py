"""Adapters: a bottleneck behind attention and behind the MLP (Houlsby et al., ICML 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer

SPREAD = 0.01
"""The standard deviation of the first weights, which are cut at two of them."""


def adapter(width: Annotated[int, Range(1, 4096)] = 64) -> Method:
    """Trains h + gelu(h D + d) U + u behind attention and MLP, the norms, and the head.

    h are the tokens before they are added to the residual stream, D [features, width] and U [width,
    features]. D and U are drawn from N(0, 0.01^2) cut at two standard deviations, d and u start at
    zero, so that training starts near the source. The paper's widths are 8, 64 and 256. What is
    added has no counterpart in the source and cannot be merged, so it chains with no method that
    pairs the student's weights with the source's. (arXiv:1902.00751, section 2)

    Args:
        width: width of the bottleneck.
    """

    def rebuild(student: Model) -> None:
        from tasks import insertions

        for block in insertions.blocks(student):
            like = next(block.parameters())
            features = block.norm1.weight.numel()
            for layer in (block.attn, block.mlp):
                insertions.insert_after(
                    layer, "adapter", insertions.Bottleneck(like, features, width, smooth=True)
                )

    def prepare(student: Model, transfer: Transfer, _: Any) -> None:
        from tasks import insertions

        def near_identity(state: dict[str, Tensor], generator: Generator) -> None:
            from torch.nn.init import trunc_normal_

            for name in ("down", "up"):
                trunc_normal_(
                    state[name], std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD, generator=generator
                )

        insertions.draw(student, "adapter", near_identity, transfer.seed("adapter"))

    def trains(student: Model) -> list[nn.Parameter]:
        from tasks import insertions

        return insertions.parameters(student, "adapter") + student.parameters_of("norms")

    return Method(
        rebuild=rebuild,
        prepare=prepare,
        trains=trains,
        inserts=True,
        needs=frozenset({"blocks"}),
    )
