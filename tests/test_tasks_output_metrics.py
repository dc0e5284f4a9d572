"""Each metric against its definition, written out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks import metrics
from tasks.output_metrics import (
    BINS,
    METRICS,
    auroc,
    average_logit_gap,
    ece,
    per_class_accuracy,
    temperature,
    top5,
    worst_class,
)
from tasks.outputs import Outputs


@st.composite
def answers(draw, fewest=2):
    """Outputs of few images with many equal logits; a class may have no image, and a group too."""
    count, width = draw(st.integers(1, 25)), draw(st.integers(fewest, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    missing = rng.choice(width, rng.integers(0, width), replace=False)
    logits = rng.integers(-3, 4, (count, width)).astype(np.float32)
    return Outputs(logits, rng.integers(0, width, count), tuple(missing), "test")


def softmax(row):
    exponentials = [math.exp(value) for value in row]
    return [value / sum(exponentials) for value in exponentials]


@given(answers())
def test_class_accuracies_and_the_worst_of_them(outputs):
    expected = {}
    for index in sorted(set(outputs.labels.tolist())):
        rows = [row for row, label in enumerate(outputs.labels) if label == index]
        right = [
            max(range(outputs.logits.shape[1]), key=lambda c, r=row: outputs.logits[r, c]) == index
            for row in rows
        ]
        expected[str(index)] = sum(right) / len(right)
    assert per_class_accuracy(outputs) == pytest.approx(expected)
    assert worst_class(outputs) == pytest.approx(min(expected.values()))


@given(answers())
def test_the_calibration_error_is_the_weighted_gap_of_bins(outputs):
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(outputs.logits.astype(float), outputs.labels, strict=True):
        chances = softmax(row)
        confidence = max(chances)
        number = next(n for n in range(BINS) if confidence <= (n + 1) / BINS or n == BINS - 1)
        bins.setdefault(number, []).append((confidence, int(row.argmax()) == label))
    expected = sum(
        abs(sum(right for _, right in own) - sum(sure for sure, _ in own)) for own in bins.values()
    ) / len(outputs.labels)
    # A confidence on the edge of two bins may fall to either side.
    edges = [sure * BINS for own in bins.values() for sure, _ in own]
    if all(abs(edge - round(edge)) > 1e-9 or round(edge) == BINS for edge in edges):
        assert ece(outputs) == pytest.approx(expected)


@given(answers(6))
def test_top_five_holds_the_label_where_at_most_four_come_before_it(outputs):
    hits = []
    for row, label in zip(outputs.logits, outputs.labels, strict=True):
        order = sorted(range(len(row)), key=lambda index, r=row: (-r[index], index))
        hits.append(label in order[:5])
    assert top5(outputs) == pytest.approx(sum(hits) / len(hits))


@given(answers())
def test_auroc_is_the_share_of_pairs_in_which_the_seen_image_is_surer(outputs):
    doubt = []  # the odds against the likeliest class
    for row in outputs.logits.astype(float):
        others = sorted(row)[:-1]
        doubt.append(math.fsum(math.exp(value - max(row)) for value in others))
    seen = [label not in outputs.missing for label in outputs.labels]
    pairs = [
        0.5 if math.isclose(one, other) else float(one < other)
        for one, here in zip(doubt, seen, strict=True)
        for other, there in zip(doubt, seen, strict=True)
        if here and not there
    ]
    if pairs:
        assert auroc(outputs) == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert math.isnan(auroc(outputs))


def test_images_that_are_nearly_certain_stay_apart():
    logits = [[100, 0, 0], [99, 0, 0], [0, 98, 0]]  # each 1 in double precision
    assert auroc(Outputs(logits, np.array([0, 0, 1]), (1,), "test")) == 1.0


def test_of_five_classes_the_top_five_says_nothing():
    outputs = Outputs(np.zeros((3, 5)), np.array([0, 1, 2]), (), "test")
    assert math.isnan(top5(outputs))


def test_extreme_logits_give_numbers():
    outputs = Outputs([[9e9, -9e9, 0, 0, 0, 0]] * 2, np.array([0, 1]), (1,), "test")
    held = Outputs(outputs.logits, outputs.labels, (1,), "validation")
    for name, metric in METRICS.items():
        calibrates = metric in (average_logit_gap, temperature)
        given_ = metric(outputs, {"validation": held}) if calibrates else metric(outputs)
        values = given_ if isinstance(given_, dict) else {"": given_}
        assert all(math.isfinite(value) for value in values.values()), name
        shares = [value for key, value in values.items() if key not in ("gamma", "t", "loss")]
        assert all(0 <= value <= 1 for value in shares), name


def splits() -> dict[str, Outputs]:
    """Test and validation outputs of a model that is far too sure; validation has seen classes alone."""
    generator = np.random.default_rng(3)
    made = {}
    for split, classes in (("test", range(6)), ("validation", range(4))):
        labels = generator.choice(list(classes), 400)
        logits = generator.normal(size=(400, 6))
        logits[np.arange(400), labels] += 1.5
        logits[:, 4:] -= 1.0  # missing classes are seldom predicted
        made[split] = Outputs((5 * logits).astype(np.float32), labels, (4, 5), split)
    return made


def test_a_calibration_learns_on_validation_what_it_says_of_test() -> None:
    both = splits()
    found = average_logit_gap(both["test"], both)
    held, test = both["validation"], both["test"]
    gamma = metrics.average_logit_gap(held.logits, held.labels, held.missing)
    after = test.logits.astype(float) + gamma * np.isin(np.arange(6), (4, 5))
    missing = np.isin(test.labels, (4, 5))
    right = after.argmax(1) == test.labels
    assert found["gamma"] == pytest.approx(gamma)
    assert found["missing_accuracy"] == pytest.approx(right[missing].mean())
    assert found["seen_accuracy"] == pytest.approx(right[~missing].mean())
    plain = test.logits.argmax(1) == test.labels
    assert found["missing_accuracy"] > plain[missing].mean() + 0.1


def test_temperature_is_the_best_of_a_fine_grid_and_lowers_the_loss() -> None:
    both = splits()
    found = temperature(both["test"], both)
    held, test = both["validation"], both["test"]

    def loss(outputs: Outputs, t: float) -> float:
        logits = torch.from_numpy(outputs.logits.astype(np.float64)) / t
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor(outputs.labels)))

    grid = np.exp(np.linspace(-3, 3, 6001))
    best = grid[np.argmin([loss(held, t) for t in grid])]
    assert found["t"] == pytest.approx(best, rel=2e-3)
    assert found["t"] > 2  # it was too sure
    assert found["loss"] == pytest.approx(loss(test, found["t"]))
    assert found["loss"] < loss(test, 1.0)
    assert found["ece"] < ece(test)


def test_without_images_that_validate_calibrations_say_nothing() -> None:
    test = splits()["test"]
    assert average_logit_gap(test, {"test": test}) == {}
    assert temperature(test, {"test": test}) == {}
