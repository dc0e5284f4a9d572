"""The two domains of digits are whole, and resized as they should be."""

import numpy as np
import pytest

from tasks import data
from tasks.data import digits


@pytest.mark.parametrize(("domain", "count"), [("mnist", 5000), ("uci", 1797)])
def test_digits_are_whole(own_cache, domain, count):
    images = data.load(domain, own_cache, 16)
    assert images.pixels.shape == (count, 1, 16, 16)
    assert images.pixels.dtype == np.float32
    assert images.pixels.min() == 0
    assert 0.9 < images.pixels.max() <= 1
    assert sorted(set(images.labels.tolist())) == list(range(10))
    assert images.classes == data.classes(domain)


def test_uci_digits_are_scikit_learns(own_cache):
    from sklearn.datasets import load_digits

    given = load_digits()
    images = data.load("uci", own_cache, 16)
    assert (images.labels == given.target).all()
    # Bilinear by two: each new pixel is 3/4 of its own old one and 1/4 of the neighbour on its
    # side, whole at the edge.
    weights = np.zeros((16, 8))
    for new in range(16):
        weights[new, new // 2] += 0.75
        weights[new, np.clip(new // 2 + (1 if new % 2 else -1), 0, 7)] += 0.25
    assert np.allclose(images.pixels[:, 0], weights @ (given.images / 16) @ weights.T, atol=1e-6)


def test_mnist_keeps_its_margin(own_cache):
    """Cropped, a source model would find the target twice as easy: the frame is part of the problem."""
    pixels = data.load("mnist", own_cache, 16).pixels
    assert max(pixels[:, 0, 0].mean(), pixels[:, 0, :, 0].mean()) < 0.005
    assert 0.12 < pixels.mean() < 0.15


def test_fingerprints_tell_domains_apart():
    assert digits.fingerprint("mnist") != digits.fingerprint("uci")
    assert len(digits.fingerprint("mnist")) == 16
