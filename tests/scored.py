"""Features with class structure, labels and source probabilities, for the tests of scores."""

import numpy as np
from hypothesis import strategies as st


def made(seed=0, count=60, width=7, classes=4, apart=1.0):
    """Features with class structure, labels with every class, and source probabilities."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    features = (
        rng.normal(size=(classes, width))[labels] * apart + rng.normal(size=(count, width)) + 0.7
    )
    return features, labels, rng.dirichlet(np.ones(6), count)


cases = st.builds(
    made,
    seed=st.integers(0, 10_000),
    count=st.integers(8, 50),
    width=st.integers(1, 60),
    classes=st.integers(2, 5),
    apart=st.floats(0, 3),
)
