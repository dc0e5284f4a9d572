"""Worlds of two equal models that are tested on re-splits of one pool of images, for level.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from htsweep.analysis.new_images import Contributions, Images

METRIC = "test/overall_accuracy"


def table(
    values: np.ndarray, datasets: list[str], ratios: list[float], methods: list[str]
) -> pd.DataFrame:
    """What a protocol chose, from accuracies [dataset, ratio, method, repetition]."""
    index = pd.MultiIndex.from_product(
        [datasets, ratios, methods, range(values.shape[-1])],
        names=["dataset", "missing_ratio", "method", "repetition"],
    )
    rows = pd.DataFrame({METRIC: values.reshape(-1)}, index).reset_index()
    sweep = rows["dataset"] + rows["missing_ratio"].astype(str) + rows["method"]
    return rows.assign(sweep=sweep, role="")


def tested_on(
    right: Callable[[int, np.ndarray], np.ndarray], tests: list[np.ndarray], images: int
) -> tuple[pd.DataFrame, Images]:
    """Two models on some test images a repetition, and what each image adds to their numbers.

    Args:
        right: from a repetition and places of images to [2, images], who is right.
        tests: the places of each repetition's test images.
        images: how many the pool has.
    """
    answers = [right(repetition, test).astype(float) for repetition, test in enumerate(tests)]
    values = np.array([[own[model].mean() for own in answers] for model in range(2)])
    rows = table(values[None, None], ["a-b"], [0.5], ["plain", "m1"])
    sweeps = rows.drop_duplicates("method")["sweep"].tolist()
    trials = {
        (sweep, repetition): Contributions(
            test, {METRIC: (own[model] - own[model].mean()) / len(test)}
        )
        for model, sweep in enumerate(sweeps)
        for repetition, (test, own) in enumerate(zip(tests, answers, strict=True))
    }
    return rows, Images(trials, images)


def one_pool(random: np.random.Generator, tested: float = 0.3) -> tuple[pd.DataFrame, Images]:
    """Two fixed models of equal accuracy in the population, on re-splits of 600 images of it."""
    images, repetitions = 600, 8
    right = random.random((2, images)) < 0.8
    tests = [random.permutation(images)[: round(tested * images)] for _ in range(repetitions)]
    return tested_on(lambda _, test: right[:, test], tests, images)


def missing_classes(
    random: np.random.Generator,
    images: int,
    repetitions: int,
    *,
    split: float,
    better: float = 0.0,
    tested: float = 0.3,
) -> tuple[pd.DataFrame, Images]:
    """Two models whose difference depends on which five of ten classes are missing.

    An image is right where its ease, what its class and the repetition's missing classes do to the
    model (standard deviation `split`) and chance add up to more than 0; `better` is added for one.
    What a model has on a class whichever are missing is no part of it: these ten classes are given,
    so that such a difference is a true one.
    """
    classes = np.arange(images) % 10
    ease = random.normal(0, 1, images) + random.normal(0, 1, (2, 2, images))
    tests = [random.permutation(images)[: round(tested * images)] for _ in range(repetitions)]
    missing = [np.isin(np.arange(10), random.permutation(10)[:5]) for _ in tests]
    drawn = random.normal(0, split, (repetitions, 2, 2, 10))
    level = np.array([1.5, -0.3])

    def right(repetition: int, test: np.ndarray) -> np.ndarray:
        state, of = missing[repetition][classes[test]].astype(int), classes[test]
        return np.array(
            [
                level[state]
                + ease[model, state, test]
                + drawn[repetition, model, state, of]
                + random.normal(0, 0.5, len(test))
                + better * model
                > 0
                for model in range(2)
            ]
        )

    return tested_on(right, tests, images)


def learners(
    random: np.random.Generator, images: int, width: int, learner: str
) -> tuple[pd.DataFrame, Images]:
    """Two learners of equal expected accuracy, trained and tested on splits of one pool of images.

    Each sees its own half of what an image shows, drawn alike; half of the classes are missing, and
    known by the means of a source domain alone. 60 % train, 30 % test, in 10 repetitions.
    """
    fixed = np.random.default_rng(0)
    means = 2.2 * fixed.normal(0, 1, (10, width)) / np.sqrt(width)
    source = means + 0.7 * fixed.normal(0, 1, (10, width)) / np.sqrt(width)
    classes = np.arange(images) % 10
    shown = [means[classes] + random.normal(0, 1, (images, width)) for _ in range(2)]
    orders = [
        [random.permutation(np.flatnonzero(classes == index)) for index in range(10)]
        for _ in range(10)
    ]
    tests = [np.concatenate([own[: round(0.3 * len(own))] for own in order]) for order in orders]
    missing = [np.isin(np.arange(10), random.permutation(10)[:5]) for _ in tests]

    def right(repetition: int, test: np.ndarray) -> np.ndarray:
        trained = [own[-round(0.6 * len(own)) :] for own in orders[repetition]]
        answers = []
        for view in shown:
            distance = ((view[test][:, None] - source) ** 2).sum(axis=2) + 0.6 * width * (
                learner == "neighbour"
            )
            for index in np.flatnonzero(~missing[repetition]):
                own = view[trained[index]]
                if learner == "means":
                    own = 0.8 * own.mean(axis=0, keepdims=True) + 0.2 * source[index]
                distance[:, index] = ((view[test][:, None] - own) ** 2).sum(axis=2).min(axis=1)
            answers.append(distance.argmin(axis=1) == classes[test])
        return np.array(answers)

    return tested_on(right, tests, images)
