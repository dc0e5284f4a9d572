"""Training norm layers and the head (Frankle et al., ICLR 2021; Basu et al., AAAI 2024)."""

from tasks.methods.method import Method


def norm_tuning() -> Method:
    """Trains the weights and biases of norm layers of any kind, and the head.

    Unlike `bn_affine`, which is Holistic Transfer's baseline, it trains the head as well and is not
    limited to batch norm. (arXiv:2003.00152, arXiv:2304.03589)
    """
    return Method(frozen=frozenset({"weights"}), needs=frozenset({"norms"}))
