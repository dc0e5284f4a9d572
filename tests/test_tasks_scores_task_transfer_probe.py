"""The probe of bounded steepness is the best of its kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from tasks.scores.task_transfer_probe import constrained_probe
from tasks.scores.task_transfer_terms import (
    Linear,
    Sample,
    supremum,
)


class TestProbe:
    def test_is_the_best_of_its_steepness(self):
        """Against SLSQP, which keeps to the limit as a constraint."""
        rng = np.random.default_rng(0)
        labels = np.arange(60) % 3
        sample = Sample(rng.normal(size=(60, 2)) + 2 * rng.normal(size=(3, 2))[labels], labels)
        probe = constrained_probe(sample, 3, lipschitz=0.5, penalty=1e4, steps=2000)
        assert supremum(probe.weight) <= 0.5 + 1e-12

        def loss(point):
            return (
                -Linear(point[:6].reshape(3, 2), point[6:])
                .log_probabilities(sample.features)[np.arange(60), labels]
                .mean()
            )

        pairs = [(0, 1), (0, 2), (1, 2)]
        within = {
            "type": "ineq",
            "fun": lambda x: [
                0.25 - ((x[2 * a : 2 * a + 2] - x[2 * b : 2 * b + 2]) ** 2).sum() for a, b in pairs
            ],
        }
        best = minimize(
            loss,
            0.01 * rng.normal(size=9),
            constraints=[within],
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-12},
        )
        assert best.success
        assert loss(np.append(probe.weight, probe.bias)) == pytest.approx(best.fun, rel=1e-3)
