"""Time and memory of each transferability score, against a plain version of its equation.

The features are 10,000 x 2,048, of 100 classes.

    uv run python benchmarks/scores.py
    uv run python benchmarks/scores.py --only logme
    uv run python benchmarks/scores.py --tta

Each runs in its own process, so that its peak of resident memory is its own, including Python,
libraries and data."""

from __future__ import annotations

import argparse
import functools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import machine

from tasks import scores
from tasks.scores import Evidence

IMAGES, WIDTH, CLASSES, MISSING, SOURCE_CLASSES, HELD = 10_000, 2048, 100, 25, 1000, 2000
TTA = {"images": 1000, "width": 512, "steps": 2000}
NAMES = [name for name in scores.NAMES if not name.startswith("tta")]


def made(images: int, width: int, classes: int, sources: int) -> Evidence:
    """Rectified features around class means, with variances of several orders of magnitude."""
    random = np.random.default_rng(0)
    means = random.standard_normal((sources, width), np.float32) / 2
    spread = np.exp(random.standard_normal(width, np.float32))

    def drawn(count: int, below: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.concatenate([np.arange(below), random.integers(0, below, count - below)])
        found = random.standard_normal((count, width), np.float32)
        found *= spread
        found += means[labels]
        return np.maximum(found, 0, out=found), labels

    features, labels = drawn(images, classes)
    source_features, source_labels = drawn(images, sources)
    held_features, held_labels = drawn(max(HELD, 2 * sources), sources)
    head = means / np.float32(width**0.5), np.zeros(sources, np.float32)
    logits = features @ head[0].T
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    return Evidence(
        features=features,
        labels=labels,
        target_classes=tuple(range(classes)),
        missing_classes=tuple(range(classes, sources)),
        shared_classes=True,
        probabilities=probabilities / probabilities.sum(1, keepdims=True),
        head=head,
        source_features=source_features,
        source_labels=source_labels,
        held_features=held_features,
        held_labels=held_labels,
        test_features=features[:1000],
        test_labels=labels[:1000],
        seed=lambda *names: 0,
    )


def seconds(what: Callable[[], object]) -> float:
    begin = time.perf_counter()
    what()
    return time.perf_counter() - begin


# --- plain versions of the equations: (seconds, description of what was measured)


def plain_nce(one: Evidence) -> tuple[float, str]:
    def run() -> None:
        guesses, total = one.probabilities.argmax(1), 0.0
        for z in np.unique(guesses):
            for y in range(CLASSES):
                both = ((guesses == z) & (one.labels == y)).mean()
                total += both * np.log(both / (guesses == z).mean()) if both else 0.0

    return seconds(run), "a loop over pairs of classes"


def plain_leep(one: Evidence) -> tuple[float, str]:
    def run() -> None:
        joint = np.zeros((CLASSES, SOURCE_CLASSES))
        for row, label in zip(one.probabilities, one.labels, strict=True):
            joint[label] += row / IMAGES
        conditional = joint / joint.sum(0)
        np.mean(
            [
                np.log(conditional[label] @ row)
                for row, label in zip(one.probabilities, one.labels, strict=True)
            ]
        )

    return seconds(run), "a loop over images"


def plain_n_leep(one: Evidence) -> tuple[float, str]:
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    def run() -> None:
        points = PCA(0.8).fit_transform(one.features[:1000].astype(np.float64))[:, :32]
        GaussianMixture(2 * CLASSES, covariance_type="full", max_iter=5).fit(points).predict_proba(
            points
        )

    return (
        seconds(run) * IMAGES / 1000 * 20 / 5,
        "PCA and a mixture with full covariances, 1,000 images and 5 steps, scaled up",
    )


def plain_logme(one: Evidence) -> tuple[float, str]:
    features = one.features.astype(np.float64)
    gram = features.T @ features

    def run() -> None:
        target, alpha, beta = (one.labels == 0).astype(float), 1.0, 1.0
        for _ in range(2):
            inverse = np.linalg.inv(alpha * np.eye(WIDTH) + beta * gram)
            weights = beta * inverse @ (features.T @ target)
            gamma = WIDTH - alpha * np.trace(inverse)
            alpha, beta = (
                gamma / (weights @ weights),
                (IMAGES - gamma) / ((target - features @ weights) ** 2).sum(),
            )
        np.linalg.slogdet(alpha * np.eye(WIDTH) + beta * gram)

    return seconds(
        run
    ) * CLASSES * 11 / 2, "MacKay's fixed point by inverses, 2 of 11 steps of 1 class, scaled up"


def plain_h_score(one: Evidence) -> tuple[float, str]:
    return seconds(
        lambda: np.trace(np.linalg.pinv(np.cov(one.features, rowvar=False)) @ between(one))
    ), "covariances and pinv"


def plain_shrunk_h_score(one: Evidence) -> tuple[float, str]:
    from sklearn.covariance import LedoitWolf

    def run() -> None:
        fitted = LedoitWolf().fit(one.features.astype(np.float64))
        np.trace(np.linalg.pinv(fitted.covariance_) @ ((1 - fitted.shrinkage_) * between(one)))

    return seconds(run), "scikit-learn's LedoitWolf and pinv"


def between(one: Evidence) -> np.ndarray:
    means = np.empty((IMAGES, WIDTH))
    for label in range(CLASSES):
        means[one.labels == label] = one.features[one.labels == label].mean(0)
    return np.cov(means, rowvar=False)


def plain_transrate(one: Evidence) -> tuple[float, str]:
    centred = one.features.astype(np.float64)
    centred -= centred.mean(0)

    def rate(rows: np.ndarray) -> None:
        np.linalg.slogdet(np.eye(WIDTH) + rows.T @ rows / (len(rows) * 1e-4))

    some = seconds(lambda: [rate(centred[one.labels == label]) for label in range(10)])
    return seconds(
        lambda: rate(centred)
    ) + some * CLASSES / 10, "a determinant a class, 10 classes, scaled up"


def plain_otce(one: Evidence) -> tuple[float, str]:
    import ot

    def run() -> None:
        cost = np.empty((1000, 1000))
        for i, s in enumerate(one.source_features[:1000]):
            for j, f in enumerate(one.features[:1000]):
                cost[i, j] = ((s - f) ** 2).sum()
        plan = ot.emd(np.full(1000, 1e-3), np.full(1000, 1e-3), cost, numItermax=1_000_000)
        joint = np.zeros((SOURCE_CLASSES, CLASSES))
        for i, s in enumerate(one.source_labels[:1000]):
            for j, t in enumerate(one.labels[:1000]):
                joint[s, t] += plan[i, j]

    return seconds(run), "loops over pairs of images, and POT"


def plain_source_accuracy(one: Evidence) -> tuple[float, str]:
    weight, bias = one.head
    return seconds(
        lambda: [(weight @ row + bias).argmax() for row in one.held_features]
    ), "a loop over images"


def plain_nearest_class_mean(one: Evidence) -> tuple[float, str]:
    def run() -> None:
        for index in range(5):
            rest = np.arange(IMAGES) != index
            unit = one.features[rest] / np.linalg.norm(one.features[rest], axis=1, keepdims=True)
            means = np.array([unit[one.labels[rest] == label].mean(0) for label in range(CLASSES)])
            (means @ one.features[index] / np.linalg.norm(means, axis=1)).argmax()

    return seconds(run) * IMAGES / 5, "all means again for each image left out, 5 images, scaled up"


def plain_linear_probe(one: Evidence) -> tuple[float, str]:
    features, weight = one.features.astype(np.float64), np.zeros((CLASSES, WIDTH))

    def run() -> None:
        odds = np.exp(features @ weight.T)
        errors = odds / odds.sum(1, keepdims=True)
        errors[np.arange(IMAGES), one.labels] -= 1
        errors.T @ features

    return seconds(run) * 1000, "1,000 steps of gradient descent, 1 step, scaled up"


def plain_missing_push(one: Evidence) -> tuple[float, str]:
    return seconds(
        lambda: np.mean([sum(row[k] for k in one.missing_classes) for row in one.probabilities])
    ), "a loop over images"


def plain_missing_interference(one: Evidence) -> tuple[float, str]:
    weight, bias = one.head

    def run() -> None:
        gradient = np.zeros_like(weight, dtype=float)
        for row, label in zip(one.features[:500], one.labels, strict=False):
            odds = np.exp(weight @ row + bias)
            errors = odds / odds.sum()
            errors[label] -= 1
            gradient += np.outer(errors, row)

    return seconds(run) * IMAGES / 500, "the gradient image by image, 500 images, scaled up"


def plain_missing_retained(one: Evidence) -> tuple[float, str]:
    took, _ = plain_missing_interference(one)
    return took * 2000 / IMAGES * 50, "50 steps image by image, 500 images of 1 step, scaled up"


PLAIN = {
    **{name: globals()[f"plain_{name}"] for name in NAMES if not name.startswith("otce")},
    "otce_w": plain_otce,
    "otce_ce": plain_otce,
}


def evidence_for(name: str) -> Evidence:
    if name.startswith("tta"):
        return made(4 * TTA["images"], TTA["width"], CLASSES, CLASSES)
    return made(
        IMAGES, WIDTH, CLASSES, CLASSES + MISSING if name.startswith("missing") else SOURCE_CLASSES
    )


def measured(name: str, times: int) -> None:
    """Prints the median seconds and the peak of resident memory in MiB, for the parent process."""
    one = evidence_for(name)
    given = (
        {"tta.steps": TTA["steps"], "tta.samples": TTA["images"]} if name.startswith("tta") else {}
    )
    took = machine.median_seconds(functools.partial(scores.compute, name, one, given), times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": took, "mebibytes": peak}))


def asked(name: str, times: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--measure", name, "--times", str(times)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--tta", action="store_true", help="Task Transfer Analysis alone, once")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=3)
    told = parser.parse_args()
    if told.measure:
        measured(told.measure, told.times)
        return
    print(machine.said())
    if told.tta:
        found = asked("tta", 1)
        print(
            f"tta, n = {TTA['images']}, {TTA['steps']} steps, {TTA['width']} features, {CLASSES} "
            f"classes: {found['seconds']:.0f} s, {found['mebibytes']:.0f} MiB"
        )
        return
    print(
        f"{IMAGES} images x {WIDTH} features, {CLASSES} classes; source of {SOURCE_CLASSES} "
        f"classes, of {CLASSES + MISSING} for missing_*"
    )
    for name in told.only:
        found = asked(name, told.times)
        plainly, how = PLAIN[name](evidence_for(name))
        print(
            f"{name}: {found['seconds']:.2f} s, {found['mebibytes']:.0f} MiB; plainly: "
            f"{plainly:.1f} s ({how}); ratio: {plainly / found['seconds']:.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
