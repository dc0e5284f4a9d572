"""Frozen classifier (Tu et al., Holistic Transfer, NeurIPS 2023; Mai et al., NeurIPS 2024)."""

from tasks.methods.method import Method


def frozen_classifier() -> Method:
    """Trains only the backbone under the source's frozen head, to keep relations of classes."""
    return Method(frozen=frozenset({"head"}), needs=frozenset({"same_head"}))
