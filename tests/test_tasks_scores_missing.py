"""The proposals for missing classes against finite differences and a plain loop, and what every score does with bad input."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from evidenced import CLASSES, MISSING, SEEN, evidence

from tasks import scores
from tasks.scores import missing


def asked(one):
    """What the proposals are called with, for an evidence."""
    return {
        "head": one.head,
        "features": one.features,
        "domain_labels": np.asarray(one.target_classes)[one.labels],
        "held_features": one.held_features,
        "held_labels": one.held_labels,
        "missing_classes": one.missing_classes,
    }


def loss_of(weight, bias, features, labels):
    return torch.nn.functional.cross_entropy(features @ weight.T + bias, labels)


def tensors(one):
    weight, bias = (
        torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in one.head
    )
    labels = torch.tensor(np.asarray(one.target_classes)[one.labels])
    return weight, bias, torch.tensor(one.features, dtype=torch.float64), labels


# --- the proposals


def test_push_is_the_gradient_of_the_loss_by_the_missing_logits():
    one = evidence()
    _, bias, features, labels = tensors(one)
    loss_of(torch.tensor(one.head[0], dtype=torch.float64), bias, features, labels).backward()
    # The bias moves all images' logits at once, so that its gradient is the mean of theirs.
    assert missing.missing_push(one.probabilities, MISSING) == pytest.approx(
        -float(bias.grad[list(MISSING)].sum()), abs=1e-6
    )
    assert missing.missing_push(np.eye(CLASSES)[[0, 2, 4]], MISSING) == 0
    assert missing.missing_push(np.eye(CLASSES)[[1, 3]], MISSING) == -1


@pytest.mark.parametrize("seed", range(5))
def test_interference_is_the_derivative_of_the_margin_along_a_gradient_step(seed):
    """By autograd's gradient, a small step with it, and margins before and after."""
    one = evidence(seed)
    weight, bias, features, labels = tensors(one)
    loss_of(weight, bias, features, labels).backward()
    of_missing = np.isin(one.held_labels, MISSING)
    held, true = one.held_features[of_missing].astype(np.float64), one.held_labels[of_missing]

    def margins(step):
        moved = (
            (weight - step * weight.grad).detach().numpy(),
            (bias - step * bias.grad).detach().numpy(),
        )
        logits = held @ moved[0].T + moved[1]
        return logits[np.arange(len(true)), true] - logits[:, list(SEEN)].max(1)

    small = 1e-6
    change = ((margins(small) - margins(-small)) / (2 * small)).mean()
    found = missing.missing_interference(**asked(one))
    assert found.change == pytest.approx(change, rel=1e-6)
    assert found.margin == pytest.approx(np.abs(margins(0)).mean(), rel=1e-12)
    size = (one.features.astype(np.float64) ** 2).sum(1).mean() + 1
    assert found.score == pytest.approx(change / np.abs(margins(0)).mean() / size, rel=1e-6)


@pytest.mark.parametrize("factor", [0.5, 20.0, 1000.0])
def test_interference_does_not_see_the_scale_of_features(factor):
    """The same logits from features of another scale; without biases, whose features stay 1."""
    given = asked(evidence())
    features, held, weight = (
        given["features"] * 100.0,
        given["held_features"] * 100.0,
        given["head"][0] / 100.0,
    )
    plain = missing.missing_interference(
        **given | {"features": features, "held_features": held, "head": (weight, given["head"][1])}
    )
    scaled = missing.missing_interference(
        **given
        | {
            "features": features * factor,
            "held_features": held * factor,
            "head": (weight / factor, given["head"][1]),
        }
    )
    assert scaled.score == pytest.approx(plain.score, rel=1e-3)


@pytest.mark.parametrize(("rate", "steps"), [(1.0, 1), (1.0, 30), (0.3, 100), (1.9, 50)])
def test_retained_is_the_accuracy_after_gradient_descent(rate, steps):
    """By a loop with autograd, at the rate that the largest eigenvalue of the features' second moments gives."""
    one = evidence(3, count=40, shift=1.5)
    weight, bias, features, labels = tensors(one)
    extended = np.column_stack([one.features.astype(np.float64), np.ones(len(one.features))])
    size = rate / (np.linalg.eigvalsh(extended.T @ extended).max() / len(extended) / 2)
    losses = []
    for _ in range(steps):
        loss = loss_of(weight, bias, features, labels)
        losses.append(loss.item())
        for part, slope in zip(
            (weight, bias), torch.autograd.grad(loss, (weight, bias)), strict=True
        ):
            with torch.no_grad():
                part -= size * slope
    assert losses == sorted(losses, reverse=True)
    of_missing = np.isin(one.held_labels, MISSING)
    logits = one.held_features[of_missing] @ weight.detach().numpy().T + bias.detach().numpy()
    found = missing.missing_retained(**asked(one), rate=rate, steps=steps, samples=1000, seed=0)
    assert found.score == (logits.argmax(1) == one.held_labels[of_missing]).mean()
    with torch.no_grad():
        assert found.seen == ((features @ weight.T + bias).argmax(1) == labels).double().mean()
    assert (
        found.start
        == missing.missing_retained(**asked(one), rate=rate, steps=0, samples=1000, seed=0).score
    )


def test_all_proposals_tell_a_shifted_target_from_one_that_is_not():
    """Seen images that look like missing classes push them down; those of the source's own distribution do not."""
    one = evidence(0)
    towards = np.asarray(one.head[0][1] - one.head[0][0]) * 0.4
    moved = np.where((one.labels == 0)[:, None], one.features + towards, one.features).astype(
        np.float32
    )
    weight, bias = one.head
    probabilities = torch.from_numpy(moved @ weight.T + bias).softmax(1).numpy()
    near, far = evidence(0, shift=0.0), replace(one, features=moved, probabilities=probabilities)
    for name in ("missing_push", "missing_interference"):
        assert (
            scores.compute(name, near, {})["transferability"]
            > scores.compute(name, far, {})["transferability"]
        ), name


def test_a_proposal_needs_held_out_images_of_missing_classes_and_shared_classes():
    one = evidence()
    seen_only = np.isin(one.held_labels, SEEN)
    without = {
        "held_features": one.held_features[seen_only],
        "held_labels": one.held_labels[seen_only],
    }
    for name in ("missing_interference", "missing_retained"):
        with pytest.raises(
            ValueError,
            match=r"none of the \d+ held-out source images is of a missing class.*source_val",
        ):
            scores.compute(name, replace(one, **without), {})
        with pytest.raises(
            ValueError, match=r"no source image was held out.*source_validation above 0"
        ):
            scores.compute(
                name,
                replace(one, held_features=one.held_features[:0], held_labels=one.held_labels[:0]),
                {},
            )
        with pytest.raises(ValueError, match="classes of its own"):
            scores.compute(name, replace(one, shared_classes=False), {})
    with pytest.raises(ValueError, match="some of the head's 5, but not all, but got"):
        scores.compute("missing_push", replace(one, missing_classes=()), {})
