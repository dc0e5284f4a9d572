"""Visual prompt tuning: learnt tokens beside the image's (Jia et al., ECCV 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Choices, Method, Range

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer


def vpt(
    prompts: Annotated[int, Range(1, 1000)] = 10,
    depth: Annotated[str, Choices(("deep", "shallow"))] = "deep",
) -> Method:
    """Trains tokens that the blocks see between the class token and the image's, and the head.

    shallow: [x_0, P, E_0] goes into the first block, and each next block sees what became of P.
    deep: each block i sees new prompts P_i in place of what became of P_(i-1). Only the image's own
    tokens and the class token go to pooling and to feature maps. Prompts are drawn from U(-v, v)
    with v^2 = 6 / (3 p^2 + d) for patches of p pixels a side and tokens of width d, as in the
    released code. The paper searches 1, 5, 10, 50, 100 and 200 prompts. They have no counterpart in
    the source and cannot be merged, so they chain with no method that pairs the student's weights
    with the source's. (arXiv:2203.12119, equations 4 to 7)

    Args:
        prompts: number of prompts in each block.
        depth: new prompts in each block, or in the first alone.
    """

    def rebuild(student: Model) -> None:
        from tasks import insertions

        insertions.insert_prompts(student, "vpt", prompts, deep=depth == "deep")

    def prepare(student: Model, transfer: Transfer, _: Any) -> None:
        from tasks import insertions, timm_models

        trunk: Any = timm_models.trunk_of(student.backbone)
        height, width = trunk.patch_embed.patch_size
        bound = (6 / (3 * height * width + trunk.embed_dim)) ** 0.5

        def uniform(state: dict[str, Tensor], generator: Generator) -> None:
            state["tokens"].uniform_(-bound, bound, generator=generator)

        insertions.draw(student, "vpt", uniform, transfer.seed("vpt"))

    def trains(student: Model) -> list[nn.Parameter]:
        from tasks import insertions

        return insertions.parameters(student, "vpt")

    return Method(
        rebuild=rebuild,
        prepare=prepare,
        trains=trains,
        frozen=frozenset({"norms"}),
        inserts=True,
        needs=frozenset({"blocks"}),
    )
