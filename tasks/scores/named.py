"""The scores by the name that a study gives them: each takes from the evidence what its equation reads.

The equations, papers and differences from released code are with the functions that are called
here.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from tasks.parameters import Choices, Range
from tasks.scores import controls, label_statistics, missing, separation, transport
from tasks.scores import logme as evidence_maximisation
from tasks.scores.evidence import Evidence

Numbers = dict[str, float]


def nce(evidence: Evidence) -> float:
    """Negative conditional entropy of target labels given the source head's labels (Tran et al., ICCV 2019)."""
    return label_statistics.nce(_head(evidence.probabilities), evidence.labels)


def leep(evidence: Evidence) -> float:
    """LEEP: log likelihood of target labels by way of the source head's probabilities (Nguyen et al., ICML 2020)."""
    return label_statistics.leep(_head(evidence.probabilities), evidence.labels)


def n_leep(
    evidence: Evidence,
    dimension: Annotated[int, Range(1, 4096)] = 32,
    components: Annotated[int, Range(1, 100)] = 2,
    covariance: Annotated[str, Choices(("diag", "full", "tied", "spherical"))] = "diag",
    steps: Annotated[int, Range(1, 10_000)] = 10,
) -> float:
    """N-LEEP: LEEP with Gaussian clusters of features for source classes; needs no head (Li et al., CVPR 2021).

    Args:
        evidence: what it looks at
        dimension: principal components at most
        components: Gaussians for each class; 5 in released code
        covariance: of each Gaussian; full in released code
        steps: steps of expectation maximisation at most
    """
    return label_statistics.n_leep(
        evidence.features,
        evidence.labels,
        dimension,
        components,
        covariance,
        steps,
        evidence.seed("n_leep"),
    )


def logme(evidence: Evidence) -> float:
    """LogME: log maximum evidence of a linear model from features to labels (You et al., ICML 2021)."""
    return evidence_maximisation.logme(evidence.features, evidence.labels)


def h_score(evidence: Evidence) -> float:
    """H-score: variance between classes over all variance of the features (Bao et al., ICIP 2019)."""
    return separation.h_score(evidence.features, evidence.labels)


def shrunk_h_score(evidence: Evidence) -> Numbers:
    """H-score with Ledoit and Wolf's covariance, for few images or wide features (Ibrahim et al., ECML PKDD 2022)."""
    score, shrinkage = separation.shrunk_h_score(evidence.features, evidence.labels)
    return {"transferability": score, "shrunk_h_score/shrinkage": shrinkage}


def transrate(evidence: Evidence, epsilon: Annotated[float, Range(1e-12, 1e12)] = 1e-4) -> float:
    """TransRate: coding rate of all features less that within classes (Huang et al., ICML 2022).

    Args:
        evidence: what it looks at
        epsilon: squared distortion that the coding rate allows
    """
    return separation.transrate(evidence.features, evidence.labels, epsilon)


def otce_w(evidence: Evidence, samples: Annotated[int, Range(1, 100_000)] = 1000) -> Numbers:
    """Minus the Wasserstein distance W of OTCE between source and target features (Tan et al., CVPR 2021).

    Args:
        evidence: what it looks at
        samples: images of each domain at most
    """
    distance, entropy = _otce(evidence, samples)
    return {
        "transferability": -distance,
        "otce/wasserstein": distance,
        "otce/conditional_entropy": entropy,
    }


def otce_ce(evidence: Evidence, samples: Annotated[int, Range(1, 100_000)] = 1000) -> Numbers:
    """Minus the conditional entropy of OTCE: target labels given source labels under transport (Tan et al., CVPR 2021).

    Args:
        evidence: what it looks at
        samples: images of each domain at most
    """
    distance, entropy = _otce(evidence, samples)
    return {
        "transferability": -entropy,
        "otce/wasserstein": distance,
        "otce/conditional_entropy": entropy,
    }


def source_accuracy(evidence: Evidence) -> float:
    """Control: accuracy of the source model on source images held out of its training."""
    features, labels = _held(evidence)
    return controls.accuracy(_head(evidence.head), features, labels)


def nearest_class_mean(evidence: Evidence) -> float:
    """Control: leave-one-out accuracy of the nearest class mean on the target's training images."""
    return controls.nearest_class_mean(evidence.features, evidence.labels)


def linear_probe(
    evidence: Evidence,
    held: Annotated[float, Range(0.01, 0.9)] = 0.2,
    penalty: Annotated[float, Range(1e-9, 1e3)] = 1e-4,
    steps: Annotated[int, Range(1, 100_000)] = 50,
) -> Numbers:
    """Control: accuracy of a logistic regression on features, on target training images held out of it.

    Args:
        evidence: what it looks at
        held: share of each class that is held out
        penalty: factor of |w|^2 / 2 beside the mean cross-entropy
        steps: steps of L-BFGS at most
    """
    accuracy, fitted = controls.linear_probe(
        evidence.features, evidence.labels, held, penalty, steps, evidence.seed("linear_probe")
    )
    return {"transferability": accuracy, "linear_probe/train_accuracy": fitted}


def missing_push(evidence: Evidence) -> float:
    """Proposal: minus the probability that missing classes get on seen images, which training will take from them."""
    return missing.push(_head(evidence.probabilities), evidence.missing_classes)


def missing_interference(evidence: Evidence) -> Numbers:
    """Proposal: change of missing classes' margins by a first step on seen images, as a share of the margins."""
    found = missing.interference(**_for_missing(evidence))
    return {
        "transferability": found["score"],
        "missing_interference/change": found["change"],
        "missing_interference/margin": found["margin"],
    }


def missing_retained(
    evidence: Evidence,
    rate: Annotated[float, Range(1e-6, 1.9)] = 1.0,
    steps: Annotated[int, Range(0, 100_000)] = 50,
    samples: Annotated[int, Range(1, 1_000_000)] = 2000,
) -> Numbers:
    """Proposal: accuracy on missing classes' source images after a dry run of the head on seen images.

    Args:
        evidence: what it looks at
        rate: step size in units of the largest that is sure to lower the loss
        steps: steps of gradient descent
        samples: images that the head is trained on at most
    """
    found = missing.retained(
        **_for_missing(evidence),
        rate=rate,
        steps=steps,
        samples=samples,
        seed=evidence.seed("missing_retained"),
    )
    return {
        "transferability": found["score"],
        "missing_retained/start": found["start"],
        "missing_retained/seen": found["seen"],
    }


def _otce(evidence: Evidence, samples: int) -> tuple[float, float]:
    if evidence.source_features is None or evidence.source_labels is None:
        raise ValueError(
            "OTCE compares with images of the source domain, of which this source has none; leave "
            "it out"
        )
    return transport.otce(
        evidence.source_features,
        evidence.source_labels,
        evidence.features,
        evidence.labels,
        samples,
        evidence.seed("otce"),
    )


def _for_missing(evidence: Evidence) -> dict[str, Any]:
    """What the proposals that look at the head ask for, with the target's labels as indices of the source's classes."""
    if not evidence.shared_classes:
        raise ValueError(
            "the target has classes of its own, so that none of the source's can be missing from "
            "it; "
            "leave the score out"
        )
    features, labels = _held(evidence)
    return {
        "head": _head(evidence.head),
        "features": evidence.features,
        "held_features": features,
        "held_labels": labels,
        "labels": _domain_labels(np.asarray(evidence.labels), evidence.target_classes),
        "missing": evidence.missing_classes,
    }


def _domain_labels(labels: Any, classes: tuple[int, ...]) -> Any:
    wrong = np.flatnonzero(~np.isin(labels, np.arange(len(classes))))
    if len(wrong):
        raise ValueError(
            f"labels must be positions among the {len(classes)} target classes, but "
            f"row {wrong[0]} has {labels[wrong[0]]}"
        )
    return np.asarray(classes)[labels.astype(np.int64)]


def _held(evidence: Evidence) -> tuple[Any, Any]:
    if evidence.held_features is None or not len(evidence.held_features):
        raise ValueError(
            "no source image was held out of source training; hold some out, with "
            "source_validation above 0"
        )
    return evidence.held_features, evidence.held_labels


def _head(found: Any) -> Any:
    """What a head gives, checked to be there."""
    if found is None:
        raise ValueError(
            "the score reads the source model's own classifier, and these weights come without "
            "one; "
            "use one that reads features alone, such as logme or n_leep"
        )
    return found
