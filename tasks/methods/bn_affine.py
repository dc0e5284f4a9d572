"""Training batch norm only, a baseline of Holistic Transfer (Tu et al., NeurIPS 2023)."""

from tasks.methods.method import Method


def bn_affine() -> Method:
    """Trains only batch norm: its weights and biases by gradient, its statistics by each batch."""
    return Method(frozen=frozenset({"weights", "head"}), needs=frozenset({"batch_norm"}))
