"""Pairs of a source and a target for the tests of Task Transfer Analysis."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from tasks.scores.task_transfer_terms import (
    Linear,
    Sample,
    Transform,
)


def any_transform(rng, targets, sources, width):
    labels = rng.normal(size=(targets, sources)) * 3
    prior = rng.dirichlet(np.ones(sources))
    matrix = np.eye(width) + 0.3 * rng.normal(size=(width, width))
    return Transform(
        matrix=matrix,
        inverse=np.linalg.inv(matrix) + 0.1 * rng.normal(size=(width, width)),
        shift=rng.normal(size=width),
        log_labels=labels - np.log(np.exp(labels).sum(0)),
        prior=prior,
    )


def any_problem(seed, targets=3, sources=5, width=4, images=40):
    rng = np.random.default_rng(seed)
    classifier = Linear(rng.normal(size=(sources, width)), rng.normal(size=sources))
    source = Sample(
        rng.normal(size=(images, width)),
        np.append(np.arange(sources), rng.integers(0, sources, images - sources)),
    )
    target = Sample(rng.normal(size=(30, width)), rng.integers(0, targets, 30))
    return classifier, any_transform(rng, targets, sources, width), source, target


def euclidean(points, others):
    return np.sqrt(((points[:, None] - others) ** 2).sum(2))


def program(weights, others, costs):
    """The plan and its cost by the linear program of optimal transport."""
    rows, columns = costs.shape
    sums = np.concatenate(
        [np.kron(np.eye(rows), np.ones(columns)), np.kron(np.ones(rows), np.eye(columns))]
    )
    solved = linprog(
        costs.ravel(),
        A_eq=sums[:-1],
        b_eq=np.append(weights, others)[:-1],
        bounds=(0, None),
        method="highs",
    )
    return solved.x.reshape(rows, columns), solved.fun
