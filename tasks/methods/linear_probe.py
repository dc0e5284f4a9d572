"""Linear probe: only the classifier is trained (Tu et al., Holistic Transfer, NeurIPS 2023)."""

from tasks.methods.method import BACKBONE, Method


def linear_probe() -> Method:
    """Only the head trains; the backbone stays as it is, in evaluation mode, so that batch-norm statistics stay too."""
    return Method(frozen=BACKBONE)
