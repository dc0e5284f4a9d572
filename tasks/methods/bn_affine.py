"""Batch norm alone (a baseline of Tu et al., Holistic Transfer, NeurIPS 2023, arXiv:2311.01420)."""

from tasks.methods.method import Method


def bn_affine() -> Method:
    """Only batch norm trains: its weights and biases by gradient, its statistics with every batch."""
    return Method(frozen=frozenset({"weights", "head"}), needs=frozenset({"batch_norm"}))
