"""Frozen classifier (Tu et al., Holistic Transfer, NeurIPS 2023; Mai et al., NeurIPS 2024)."""

from tasks.methods.method import Method


def frozen_classifier() -> Method:
    """The head keeps the source's weights and only the backbone trains, which keeps the relations between classes."""
    return Method(frozen=frozenset({"head"}), needs=frozenset({"same_head"}))
