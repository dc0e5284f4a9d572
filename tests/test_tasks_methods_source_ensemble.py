"""The ensemble with the source averages probabilities."""

import adapted
import numpy as np
import pytest
from adapted import arrays, run_of


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_source_ensemble_averages_probabilities(transfer, alpha):
    run = run_of("source_ensemble", transfer, alpha=alpha)
    run.advance(0, 3)
    found = run.finished()(transfer.images)[1].softmax(1)
    student, source = (
        model(transfer.images)[1].softmax(1) for model in (run.student.eval(), transfer.source)
    )
    expected = alpha * arrays(source)[0] + (1 - alpha) * arrays(student)[0]
    assert np.allclose(arrays(found)[0], expected, atol=1e-6)
