"""Linear probe: only the classifier is trained (Tu et al., Holistic Transfer, NeurIPS 2023)."""

from tasks.methods.method import BACKBONE, Method


def linear_probe() -> Method:
    """Trains only the head; the backbone is frozen, including its batch-norm statistics."""
    return Method(frozen=BACKBONE)
