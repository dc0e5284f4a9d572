"""Scores of how source classes predict target labels: NCE, LEEP, and LEEP on clusters."""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from tasks.parameters import Choices, Range
from tasks.scores.declaration import score
from tasks.scores.inputs import distributions, matrix, numbered, one_hot
from tasks.scores.spectra import principal

ENERGY = 0.8
"""The share of the variance that N-LEEP's principal components keep, as in the paper."""


@score(needs={"head"})
def nce(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """NCE: minus the entropy of target labels given source labels (Tran et al., ICCV 2019).

    -H(Y|Z) = sum_z,y P(y, z) log P(y|z), in nats, at most 0; higher is better. (Tran, Nguyen and
    Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019, equation
    5.) Y are the target's labels; Z is the head's most likely class for each image, as in the
    released code. P are shares of the images; 0 log 0 is 0, where the released code adds 1e-20.

    Args:
        probabilities: [N, K_s] of the source's head.
        labels: [N] of the target.
    """
    inputs = distributions("probabilities", probabilities)
    answers, counts = numbered("labels", labels, len(inputs))
    joint = np.zeros((inputs.shape[1], len(counts)))
    np.add.at(joint, (inputs.argmax(1), answers), 1 / len(inputs))
    return float(xlogy(joint, joint).sum() - xlogy(joint.sum(1), joint.sum(1)).sum())


@score(needs={"head"})
def leep(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """LEEP: log likelihood of labels from the head's probabilities (Nguyen et al., ICML 2020).

    (1/N) sum_i log sum_z P(y_i|z) q_iz, in nats, at most 0; higher is better. P(y, z) = (1/N) sum
    over i with y_i = y of q_iz, and P(y|z) = P(y, z) / P(z), for the source's probabilities q.
    (Nguyen, Hassner, Seeger and Archambeau, "LEEP: A New Measure to Evaluate Transferability of
    Learned Representations", ICML 2020, equations 1 and 2.) P is estimated on the images that are
    scored, as in the paper. A source class with probability 0 on all images adds nothing; the
    released code divides by this zero.

    Args:
        probabilities: [N, K_s] of the source's head.
        labels: [N] of the target.
    """
    inputs = distributions("probabilities", probabilities)
    answers, counts = numbered("labels", labels, len(inputs))
    joint = one_hot(answers, len(counts)).T @ inputs  # times N, like `totals`
    totals = inputs.sum(0)
    conditional = np.divide(joint, totals, out=np.zeros_like(joint), where=totals > 0)
    likelihood = np.einsum("ij,ij->i", inputs, conditional[answers])
    return float(np.log(np.minimum(likelihood, 1.0)).mean())  # at most 1, apart from rounding


@score()
def n_leep(
    features: ArrayLike,
    labels: ArrayLike,
    dimension: Annotated[int, Range(1, 4096)] = 32,
    components: Annotated[int, Range(1, 100)] = 2,
    *,
    covariance: Annotated[str, Choices(("diag", "full", "tied", "spherical"))] = "diag",
    steps: Annotated[int, Range(1, 10_000)] = 10,
    seed: int = 0,
) -> float:
    """N-LEEP: LEEP with Gaussian clusters instead of source classes (Li et al., CVPR 2021).

    It needs no head; in nats, at most 0. (Li et al., "Ranking Neural Checkpoints", CVPR 2021,
    section 4.2: N-LEEP.) The features are projected onto the principal components that keep 80 % of
    their variance, a Gaussian mixture is fitted to them, and its posteriors are the q of LEEP. The
    released code has 5 components per class with full covariances, and no limit on the dimension.
    Here both numbers are parameters, and covariances are diagonal by default: with fewer images in
    a cluster than dimensions, a full one is singular and its posteriors are one-hot.

    Args:
        features: [N, d].
        labels: [N].
        dimension: maximum number of principal components
        components: Gaussians per class, at most the number of different rows; 5 in released code
        covariance: covariance type of the Gaussians, as in scikit-learn; full in released code
        steps: maximum steps of expectation maximisation
        seed: seed of the clusters' initialisation.
    """
    inputs = matrix("features", features)
    answers, counts = numbered("labels", labels, len(inputs))
    points = principal(inputs, ENERGY, dimension)
    different = len(np.unique(points, axis=0)) if points.shape[1] else 1
    if different == 1:  # one cluster
        return leep(np.ones((len(inputs), 1)), answers)
    return leep(
        _posteriors(points, min(components * len(counts), different), covariance, steps, seed=seed),
        answers,
    )


def _posteriors(
    points: NDArray[np.float64], components: int, covariance: str, steps: int, *, seed: int
) -> NDArray[np.float64]:
    """The posteriors [N, components] of a Gaussian mixture fitted to the points [N, k]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    points = points / points.std()  # the mixture's lower bound on variances is absolute
    mixture = GaussianMixture(
        components, covariance_type=covariance, max_iter=steps, random_state=seed
    )
    with warnings.catch_warnings():
        # It may stop before converging: clusters are enough, the optimum is not needed.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(mixture.fit(points).predict_proba(points))
