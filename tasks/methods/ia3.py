"""(IA)^3: learnt factors of keys, values and hidden activations (Liu et al., NeurIPS 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.methods.lora import trained
from tasks.methods.method import Method

if TYPE_CHECKING:
    from tasks.model import Model


def ia3() -> Method:
    """Trains factors of attention's keys and values and of the hidden activations, and the head.

    The factors start at one; those of a fused `qkv` layer leave the queries alone. They multiply
    the outputs of keys and values, bias included, and the inputs of the second layer of each MLP,
    so that they are merged into weights for measuring. (arXiv:2205.05638, section 3.3)
    """

    def rebuild(student: Model) -> None:
        from tasks import adapters

        for place, layer in adapters.layers(student).items():
            name = place.rpartition(".")[2]
            fused = name == "qkv"
            if adapters.of_attention(place) and (fused or name in ("k_proj", "v_proj", "kv")):
                adapters.scale_outputs(layer, len(layer.weight) // 3 if fused else 0)
            elif name == "fc2":
                adapters.adapt(layer, "weight", adapters.Scaled(layer.weight, inputs=True))

    return Method(
        rebuild=rebuild,
        trains=trained,
        frozen=frozenset({"norms"}),
        needs=frozenset({"attention"}),
    )
