"""Task Transfer Analysis: bounds the target's loss by transforming the source task into its task.

Mehra, Zhang and Hamm, "Understanding the transferability of representations via task-relatedness"
(NeurIPS 2024, arXiv:2307.00823). The backbone is fixed; a prior D over source classes, a map B of
labels and a map A, b of features transform one task into the other, and the remaining differences
give the bound (`task_transfer_terms.py`). Features of each domain are standardised by that domain's
training images, as in the released code, so that part of the shift is removed before A is learned.
Defaults are the paper's small-scale settings if it states them.

`transferability` is minus the bound on training images of the target and held-out images of the
source, so that choosing by it uses no test image; the parts `tta/...` are the same terms on test
images, with the loss that they bound.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, final

import numpy as np
from numpy.typing import NDArray

from tasks.parameters import Choices, Range
from tasks.scores.declaration import score
from tasks.scores.evidence import Evidence
from tasks.scores.task_transfer_learning import Settings, class_counts, drawn, learned
from tasks.scores.task_transfer_probe import constrained_probe
from tasks.scores.task_transfer_terms import (
    Array,
    Linear,
    Sample,
    Transform,
    class_free_terms,
    terms,
)

Steps = Annotated[int, Range(0, 1_000_000)]
Samples = Annotated[int, Range(2, 100_000)]
Rate = Annotated[float, Range(1e-8, 10.0)]
Weight = Annotated[float, Range(0.0, 1e12)]
Lipschitz = Annotated[float, Range(1e-6, 1e6)]
Map = Annotated[str, Choices(("random", "same"), needs={"same": "shared_classes"})]
PARTS = tuple(
    f"tta/{part}"
    for part in (
        "reweighted_source_loss",
        "conditional_entropy",
        "lipschitz",
        "wasserstein",
        "prior_gap",
        "bound",
        "lipschitz_code",
        "bound_code",
        "tighter_bound",
        "transformed_source_loss",
        "transformed_target_loss",
        "transformed_target_accuracy",
        "target_loss",
        "target_accuracy",
        "uncovered_classes",
    )
)
WITH_LABELS = ("tta/prior_gap", "tta/lipschitz_code", "tta/bound_code")
"""The parts that need the target's labels."""
NEEDED = ("source_data", "source_covers_target", "test_images", "transport")
_analysis = score(needs=NEEDED, parts=PARTS, group="tta", kind="bound")


@_analysis
def tta(
    evidence: Evidence,
    steps: Steps = 1001,
    samples: Samples = 500,
    rate: Rate = 1e-2,
    *,
    prior_rate: Rate = 1e-4,
    label_cost: Weight = 1e8,
    label_steps: Steps = 50,
    lipschitz: Lipschitz = 0.2,
    penalty: Weight = 1e4,
    probe_steps: Steps = 300,
    judged: Samples = 2000,
) -> dict[str, float]:
    """Task Transfer Analysis: minus the bound on the target's loss, with all maps learned.

    The bound of Mehra, Zhang and Hamm (NeurIPS 2024, arXiv:2307.00823), whose three terms are

        the source's loss, reweighted to the prior D and through the maps: E_w[-log p_k(ĀAz)]
        + the conditional entropy of labels: sum_tk w_tk (-log B_tk)
        + tau * sum_t p(t) W1(Az + b | w_t, x | t), tau the largest gradient of the classifier.

    Learned are a prior D over source classes, a map B of labels, and a map A, b of features.

    Args:
        evidence: what the score reads.
        steps: steps of the optimisation
        samples: images of each domain in a batch
        rate: Adam's learning rate for A, its inverse, b and B
        prior_rate: Adam's learning rate for D
        label_cost: cost of a label mismatch in the plan, relative to a unit of feature distance
        label_steps: first steps in which labels do not count, so that features pair the classes
        lipschitz: largest gradient of both domains' classifiers, in nats per standardised unit
        penalty: weight of the excess over lipschitz
        probe_steps: iterations of L-BFGS for these classifiers
        judged: maximum number of images per domain on which the terms are measured
    """
    pair = _pair(evidence, lipschitz, penalty, probe_steps, judged=judged)
    classes = len(evidence.target_classes), len(pair.prior)
    settings = Settings(
        steps=steps,
        samples=samples,
        rate=rate,
        prior_rate=prior_rate,
        label_cost=label_cost,
        label_steps=label_steps,
        labels=True,
    )
    return _score(
        evidence, pair, _start(pair, np.full(classes, -np.log(classes[0])), pair.prior), settings
    )


@_analysis
def tta_features_only(
    evidence: Evidence,
    steps: Steps = 1001,
    samples: Samples = 500,
    rate: Rate = 1e-2,
    *,
    label_cost: Weight = 1e8,
    lipschitz: Lipschitz = 0.2,
    penalty: Weight = 1e4,
    probe_steps: Steps = 300,
    judged: Samples = 2000,
    label_map: Map = "random",
) -> dict[str, float]:
    """Task Transfer Analysis with a fixed label map, only the map of features learned.

    The same bound as `tta`, with B and D fixed: the ablation of Mehra, Zhang and Hamm (NeurIPS
    2024, arXiv:2307.00823) without the learning of labels.

    Args:
        evidence: what the score reads.
        steps: steps of the optimisation
        samples: images of each domain in a batch
        rate: Adam's learning rate for A, its inverse and b
        label_cost: cost of a label mismatch in the plan, relative to a unit of feature distance
        lipschitz: largest gradient of both domains' classifiers, in nats per standardised unit
        penalty: weight of the excess over lipschitz
        probe_steps: iterations of L-BFGS for these classifiers
        judged: maximum number of images per domain on which the terms are measured
        label_map: random as in the paper, or same: each class to itself, if classes are shared
    """
    pair = _pair(evidence, lipschitz, penalty, probe_steps, judged=judged)
    settings = Settings(
        steps=steps,
        samples=samples,
        rate=rate,
        prior_rate=rate,
        label_cost=label_cost,
        label_steps=0,
        labels=False,
    )
    return _score(evidence, pair, _mapped(evidence, pair, label_map), settings)


@_analysis
def tta_fixed(
    evidence: Evidence,
    lipschitz: Lipschitz = 0.2,
    penalty: Weight = 1e4,
    probe_steps: Steps = 300,
    *,
    judged: Samples = 2000,
    label_map: Map = "random",
) -> dict[str, float]:
    """Task Transfer Analysis with nothing learned: a fixed label map and A = I.

    The same bound as `tta`, for the source task as it is (Mehra, Zhang and Hamm, NeurIPS 2024,
    arXiv:2307.00823).

    Args:
        evidence: what the score reads.
        lipschitz: largest gradient of both domains' classifiers, in nats per standardised unit
        penalty: weight of the excess over lipschitz
        probe_steps: iterations of L-BFGS for these classifiers
        judged: maximum number of images per domain on which the terms are measured
        label_map: random as in the paper, or same: each class to itself, if classes are shared
    """
    pair = _pair(evidence, lipschitz, penalty, probe_steps, judged=judged)
    return _score(evidence, pair, _mapped(evidence, pair, label_map), None)


@score(
    needs=NEEDED,
    parts=[part for part in PARTS if part not in WITH_LABELS],
    group="tta",
    kind="bound",
)
def tta_unlabelled(
    evidence: Evidence,
    steps: Steps = 1001,
    samples: Samples = 500,
    rate: Rate = 1e-2,
    *,
    lipschitz: Lipschitz = 0.2,
    penalty: Weight = 1e4,
    probe_steps: Steps = 300,
    judged: Samples = 2000,
) -> dict[str, float]:
    """Task Transfer Analysis without the target's labels, as interpreted by this project.

    The paper says that this is possible, but the released code has no such mode. Here the target's
    classes are assumed to be the source's (B = I, D = the source's prior), A and b are learned
    along a plan that ignores classes, and the distance is that of the features only. The bound is
    on the loss against the labels that the plan carries from source to target images. Labels of the
    target are used only for `tta/target_...`, and `tta/transformed_target_...` if classes are
    shared.

    Args:
        evidence: what the score reads.
        steps: steps of the optimisation
        samples: images of each domain in a batch
        rate: Adam's learning rate for A, its inverse and b
        lipschitz: largest gradient of both domains' classifiers, in nats per standardised unit
        penalty: weight of the excess over lipschitz
        probe_steps: iterations of L-BFGS for these classifiers
        judged: maximum number of images per domain on which the terms are measured
    """
    pair = _pair(evidence, lipschitz, penalty, probe_steps, judged=judged, labelled=False)
    settings = Settings(
        steps=steps,
        samples=samples,
        rate=rate,
        prior_rate=rate,
        label_cost=0.0,
        label_steps=steps,
        labels=False,
    )
    start = _start(pair, _log(np.eye(len(pair.prior))), pair.prior)
    transform = _learned(evidence, pair, start, settings, free=True)
    parts = class_free_terms(pair.classifier, transform, pair.held, pair.test.features)
    if evidence.shared_classes and set(evidence.target_classes) <= set(pair.classes.tolist()):
        own = np.searchsorted(pair.classes, np.asarray(evidence.target_classes))[pair.test.labels]
        log_q = transform.log_probabilities(pair.classifier, pair.test.features)
        parts["transformed_target_loss"] = float(-log_q[np.arange(len(own)), own].mean())
        parts["transformed_target_accuracy"] = float((log_q.argmax(1) == own).mean())
    terms = class_free_terms(pair.classifier, transform, pair.held, pair.seen.features)
    return _told(terms["bound"], parts, pair)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class _Pair:
    """Both domains in standardised features, and the classifier to transform."""

    source: Sample
    target: Sample
    classes: NDArray[np.int64]
    """The source classes with images; labels of `source` and `held` are positions in it."""
    prior: Array
    classifier: Linear
    probe: Linear
    """The target's own classifier, for the left side of the bound."""
    held: Sample
    seen: Sample
    """Target training images on which the bound is measured."""
    test: Sample


def _pair(
    evidence: Evidence,
    lipschitz: float,
    penalty: float,
    probe_steps: int,
    *,
    judged: int,
    labelled: bool = True,
) -> _Pair:
    from sklearn.preprocessing import StandardScaler

    if evidence.source_features is None or evidence.source_labels is None:
        raise ValueError(
            "got no images of the source domain; Task Transfer Analysis needs them: give a source "
            "that was trained here, or leave the score out"
        )
    for name in ("features", "source_features", "held_features", "test_features"):
        values = getattr(evidence, name)
        if values is not None and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
            raise ValueError(
                f"row {row} of {name} has a value that is not finite; check the backbone on that "
                "image"
            )
    classes, source_labels = np.unique(evidence.source_labels, return_inverse=True)
    targets = len(evidence.target_classes)
    if labelled and len(classes) < targets:
        raise ValueError(
            f"got {len(classes)} source classes and {targets} target classes; Task Transfer "
            "Analysis makes target classes of source classes, so there must be as many at least: "
            "swap the domains or leave the score out"
        )
    scaler, target_scaler = (
        StandardScaler().fit(np.asarray(features, np.float64))
        for features in (evidence.source_features, evidence.features)
    )
    source = Sample(
        scaler.transform(np.asarray(evidence.source_features, np.float64)),
        source_labels.astype(np.int64),
    )
    target, test = (
        Sample(
            target_scaler.transform(np.asarray(features, np.float64)), np.asarray(labels, np.int64)
        )
        for features, labels in (
            (evidence.features, evidence.labels),
            (evidence.test_features, evidence.test_labels),
        )
    )
    held = source
    if (
        evidence.held_features is not None
        and evidence.held_labels is not None
        and len(evidence.held_labels)
    ):
        held = _completed(
            Sample(
                scaler.transform(np.asarray(evidence.held_features, np.float64)),
                np.asarray(evidence.held_labels, np.int64),
            ),
            source,
            classes,
        )
    fitted = functools.partial(
        constrained_probe, lipschitz=lipschitz, penalty=penalty, steps=probe_steps
    )
    held, test = (
        _part(sample, judged, evidence.seed("tta", name))
        for name, sample in (("held", held), ("test", test))
    )
    # Without labels, the images must not be drawn by class.
    seen = (_part if labelled else _any_part)(target, judged, evidence.seed("tta", "seen"))
    return _Pair(
        source=source,
        target=target,
        classes=classes,
        prior=np.bincount(source.labels) / len(source.labels),
        classifier=fitted(source, len(classes)),
        probe=fitted(target, targets),
        held=held,
        seen=seen,
        test=test,
    )


def _completed(held: Sample, source: Sample, classes: NDArray[np.int64]) -> Sample:
    """Held-out images of the classes, or training images for classes without held-out ones."""
    known = np.isin(held.labels, classes)
    labels = np.searchsorted(classes, held.labels[known])
    lacking = ~np.isin(source.labels, labels)
    return Sample(
        np.concatenate([held.features[known], source.features[lacking]]),
        np.concatenate([labels, source.labels[lacking]]),
    )


def _part(sample: Sample, most: int, seed: int) -> Sample:
    """About `most` images at most, proportionally by class, with at least one per class."""
    if len(sample.labels) <= most:
        return sample
    per_class = np.bincount(sample.labels)
    counts = np.maximum(class_counts(per_class / per_class.sum(), most), np.minimum(per_class, 1))
    rows = drawn(sample.labels, counts, np.random.default_rng(seed))
    return Sample(sample.features[rows], sample.labels[rows])


def _any_part(sample: Sample, most: int, seed: int) -> Sample:
    rows = np.random.default_rng(seed).permutation(len(sample.labels))[:most]
    return Sample(sample.features[rows], sample.labels[rows])


def _start(pair: _Pair, log_labels: Array, prior: Array) -> Transform:
    width = pair.source.features.shape[1]
    return Transform(
        matrix=np.eye(width),
        inverse=np.eye(width),
        shift=np.zeros(width),
        log_labels=log_labels,
        prior=prior,
    )


def _mapped(evidence: Evidence, pair: _Pair, label_map: str) -> Transform:
    """A = I, one-hot B, and D with BD = the target's prior, split equally within each label."""
    targets = len(evidence.target_classes)
    marginals = np.bincount(pair.target.labels, minlength=targets) / len(pair.target.labels)
    if label_map == "same":
        if not evidence.shared_classes:
            raise ValueError(
                "label_map is 'same', but the target's classes are not the source's here; give "
                "'random'"
            )
        lost = sorted(set(evidence.target_classes) - set(pair.classes.tolist()))
        if lost:
            raise ValueError(
                "label_map is 'same', but the source has no images of class "
                f"{', '.join(map(str, lost))}; give 'random'"
            )
        labels = (np.asarray(evidence.target_classes)[:, None] == pair.classes).astype(float)
        # A missing class has no label here: spread it over all labels, with no weight in D.
        labels[:, labels.sum(0) == 0] = 1 / targets
        prior = np.zeros(len(pair.classes))
        prior[np.searchsorted(pair.classes, evidence.target_classes)] = marginals
        return _start(pair, _log(labels), prior)
    order = np.random.default_rng(evidence.seed("tta", "label map")).permutation(len(pair.classes))
    to = np.empty(len(order), np.int64)
    to[order] = np.arange(len(order)) % targets
    labels = np.eye(targets)[:, to]
    return _start(pair, _log(labels), marginals[to] / labels.sum(1)[to])


def _learned(
    evidence: Evidence, pair: _Pair, start: Transform, settings: Settings, *, free: bool = False
) -> Transform:
    passed = _part(pair.held, settings.samples, evidence.seed("tta", "passed"))
    seen = (_any_part if free else _part)(
        pair.target, settings.samples, evidence.seed("tta", "looked at")
    )

    def bound(transform: Transform, source: Sample = passed, target: Sample = seen) -> float:
        if free:
            return class_free_terms(pair.classifier, transform, source, target.features)["bound"]
        return terms(pair.classifier, transform, source, target)["bound"]

    log_p = pair.classifier.log_probabilities(pair.source.features)
    losses = np.array([-log_p[pair.source.labels == k, k].mean() for k in range(len(pair.prior))])
    learnt_transform = learned(
        start,
        losses,
        pair.source,
        pair.target,
        settings=settings,
        seed=evidence.seed("tta", "batches"),
        device=evidence.device,
        bound=bound,
        free=free,
    )
    # The learned transform may overfit the few images: on all of them the start may be better.
    return min(
        start, learnt_transform, key=lambda candidate: bound(candidate, pair.held, pair.seen)
    )


def _score(
    evidence: Evidence, pair: _Pair, start: Transform, settings: Settings | None
) -> dict[str, float]:
    transform = start if settings is None else _learned(evidence, pair, start, settings)
    drawn = np.random.default_rng(evidence.seed("tta", "labels of the released code")).integers(
        len(transform.log_labels), size=len(pair.test.labels)
    )
    parts = terms(pair.classifier, transform, pair.held, pair.test, drawn)
    return _told(terms(pair.classifier, transform, pair.held, pair.seen)["bound"], parts, pair)


def _told(bound: float, parts: dict[str, float], pair: _Pair) -> dict[str, float]:
    log_p = pair.probe.log_probabilities(pair.test.features)
    parts = parts | {
        "target_loss": float(-log_p[np.arange(len(log_p)), pair.test.labels].mean()),
        "target_accuracy": float((log_p.argmax(1) == pair.test.labels).mean()),
    }
    return {"transferability": -bound, **{f"tta/{name}": value for name, value in parts.items()}}


def _log(shares: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(shares)
