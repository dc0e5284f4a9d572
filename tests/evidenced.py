"""Evidence with missing classes, for the tests of scores."""

import numpy as np
import torch

from tasks.scores import Evidence

CLASSES, WIDTH, MISSING = 5, 6, (1, 3)
SEEN = (0, 2, 4)


def evidence(seed=0, count=60, shift=0.6):
    """A source model fitted to its own means, a target with three of its five classes, both with noise."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(CLASSES, WIDTH)) * 2

    def drawn(classes, images, moved=0.0):
        labels = np.concatenate([classes, rng.choice(classes, images - len(classes))])
        return (means[labels] + moved + rng.normal(size=(images, WIDTH))).astype(np.float32), labels

    features, domain_labels = drawn(SEEN, count, shift)
    source_features, source_labels = drawn(range(CLASSES), 80)
    held_features, held_labels = drawn(range(CLASSES), 50)
    test_features, test_labels = drawn(SEEN, 30, shift)
    weight, bias = means.astype(np.float32) / 2, (-(means**2).sum(1) / 4).astype(np.float32)
    logits = torch.from_numpy(features @ weight.T + bias)
    return Evidence(
        features=features,
        labels=np.searchsorted(SEEN, domain_labels),
        target_classes=SEEN,
        missing_classes=MISSING,
        shared_classes=True,
        probabilities=logits.softmax(1).numpy(),
        head=(weight, bias),
        source_features=source_features,
        source_labels=source_labels,
        held_features=held_features,
        held_labels=held_labels,
        test_features=test_features,
        test_labels=np.searchsorted(SEEN, test_labels),
        seed=lambda *names: sum(map(ord, "".join(map(str, names)))),
        device="cpu",
    )
