"""Co-Tuning: the relationship of the classes, and the loss against its equation."""

import dataclasses

import learnt
import numpy as np
import pytest
import torch
from learnt import (
    CLASSES,
    SOURCE_CLASSES,
    log_softmax_rows,
    numbers,
    outputs_of,
    run_of,
    seed,
    student_of,
    view_of,
)
from scipy.special import log_softmax
from torch import nn
from workspace import Workspace, stage

from tasks import methods
from tasks.fine_tuning import fine_tuning
from tasks.fine_tuning import learnt as fine_tuning_learnt
from tasks.holistic_transfer import source as source_task
from tasks.methods import co_tuning as relating
from tasks.model import Model
from tasks.transfer import Transfer


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    yield from learnt.one_thread()


@pytest.fixture(scope="module")
def transfer(one_thread):
    return learnt.transfer(one_thread)


def flat(logits, labels, classes, held=None):
    """A target whose images are the source's logits."""
    model = Model(nn.Flatten(), nn.Linear(logits.shape[1], logits.shape[1]))
    model.head.weight.data, model.head.bias.data = (
        torch.eye(logits.shape[1]),
        torch.zeros(logits.shape[1]),
    )
    count = len(logits) if held is None else held
    rows = torch.arange(len(logits))
    return Transfer(
        model.requires_grad_(False).eval(),
        torch.from_numpy(logits).float()[:, :, None, None],
        torch.from_numpy(labels),
        rows[:count],
        rows[count:],
        classes,
        (),
        True,
        "cpu",
        seed,
    )


def separable(count=240, classes=6, spread=0.3):
    """Logits of a source that tells six classes, and labels that are those classes in another order."""
    rng = np.random.default_rng(0)
    order = rng.permutation(classes)
    own = np.arange(count) % classes
    return rng.normal(0, spread, (count, classes)) + 3.0 * np.eye(classes)[own], order[own], order


@pytest.mark.parametrize("relationship", ["reverse", "direct"])
def test_the_relationship_of_the_same_classes_is_their_permutation(relationship):
    logits, labels, order = separable()
    learnt, told = methods.find("co_tuning")(relationship=relationship).learn(
        flat(logits, labels, 6, held=180)
    )
    found = learnt["relationship"]
    assert found.dtype == torch.float32
    assert torch.allclose(found.sum(1), torch.ones(6), atol=1e-5)
    assert found.argmax(1)[order].tolist() == list(range(6))
    assert found.max(1).values.min() > (0.95 if relationship == "reverse" else 0.7)
    if relationship == "reverse":
        assert told["classifier_accuracy"] == 1.0
        assert told["classifier_c"] == 1e4  # the first of the equals


@pytest.mark.parametrize("calibration", [1.0, 0.5])
def test_the_direct_relationship_is_a_mean(calibration):
    logits, labels, _ = separable(spread=1.0)
    labels[labels == 2] = 3
    learnt, told = methods.find("co_tuning")(relationship="direct", calibration=calibration).learn(
        flat(logits, labels, 6, 180)
    )
    expected = np.zeros((6, 6))
    for index in (0, 1, 3, 4, 5):
        rows = [np.exp(row) / np.exp(row).sum() for row in calibration * logits[labels == index]]
        expected[index] = sum(rows) / len(rows)
    assert np.allclose(learnt["relationship"].numpy(), expected, atol=1e-6)
    assert told == {}


def test_bayes_rule_by_hand(monkeypatch):
    """Given votes for two labels from three source classes: the calibration by search, then Bayes in loops."""
    votes = np.array([[2.0, 0.0, -1.0], [0.5, 0.0, 1.5]])
    monkeypatch.setattr(relating, "_regression", lambda *_: votes)
    rng = np.random.default_rng(0)
    train, held = rng.dirichlet(np.ones(3), 12), rng.dirichlet(np.ones(3), 40)
    answers = (held @ (votes[1] - votes[0]) + rng.normal(0, 0.5, 40) > 0).astype(int)
    found, told = relating.reverse(train, np.arange(12) % 2, held, answers, classes=2)

    def surprise(scale):
        return (
            -sum(
                log_softmax_rows(scale * held @ votes.T)[place, answer]
                for place, answer in enumerate(answers)
            )
            / 40
        )

    assert surprise(told["scale"]) < min(
        surprise(told["scale"] - 0.05), surprise(told["scale"] + 0.05)
    )
    assert told["scale"] == pytest.approx(min(np.linspace(0.5, 20, 40), key=surprise), abs=0.3)
    # p(label | source class)
    given = np.exp(
        [log_softmax_rows(told["scale"] * votes[:, [source]].T)[0] for source in range(3)]
    )
    marginal = [sum(list(train[:, source]) + list(held[:, source])) / 52 for source in range(3)]
    for label in range(2):
        total = sum(given[source][label] * marginal[source] for source in range(3))
        for source in range(3):
            assert found[label, source] == pytest.approx(
                given[source][label] * marginal[source] / total, rel=1e-6
            )
    assert told["classifier_accuracy"] == pytest.approx(
        ((held @ votes.T).argmax(1) == answers).mean()
    )


def test_two_labels_have_two_rows_of_votes():
    """p(label | source class) of scikit-learn's own two-class model."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    train = rng.dirichlet(np.ones(3), 60)
    labels = (train[:, 0] > train[:, 1]).astype(int)
    own = LogisticRegression(C=10.0, fit_intercept=False).fit(train, labels)
    assert np.allclose(
        np.exp(log_softmax(relating._regression(train, labels, 10.0), axis=0)).T,
        own.predict_proba(np.eye(3)),
    )


@pytest.mark.parametrize("relationship", ["reverse", "direct"])
@pytest.mark.parametrize(
    ("held", "labels", "zero"),
    [
        (None, [0, 1, 2] * 8, [3]),  # no validation images, and a class without images
        (18, [0, 1, 2] * 6 + [3] * 6, [3]),  # all images of a class are for validation
        (20, [0, 1] * 12, [2, 3]),
        (20, [1] * 24, [0, 2, 3]),
        (1, [1] * 2, [0, 2, 3]),
    ],
)
def test_classes_without_images_have_no_relationship(relationship, held, labels, zero):
    logits = np.random.default_rng(0).normal(0, 2, (len(labels), 5))
    learnt, told = methods.find("co_tuning")(relationship=relationship).learn(
        flat(logits, np.array(labels), 4, held)
    )
    found = learnt["relationship"].numpy()
    if relationship == "direct" and held == 18:
        zero = []  # a mean needs no training image
    assert np.flatnonzero(found.sum(1) == 0).tolist() == zero
    assert np.allclose(
        found.sum(1)[[index for index in range(4) if index not in zero]], 1, atol=1e-5
    )
    assert (found >= 0).all()
    assert all(np.isfinite(value) for value in told.values())


def test_a_class_that_the_source_never_thinks_of_is_not_related():
    logits = np.random.default_rng(0).normal(0, 1, (30, 4))
    logits[:, 3] = -1e4
    learnt, _ = methods.find("co_tuning")().learn(flat(logits, np.arange(30) % 3, 3, 24))
    assert (learnt["relationship"][:, 3] == 0).all()
    assert torch.allclose(learnt["relationship"].sum(1), torch.ones(3))


def test_co_tuning_formula(transfer):
    method = methods.find("co_tuning")(weight=1.7)
    related = torch.softmax(
        torch.randn(CLASSES, SOURCE_CLASSES, generator=torch.Generator().manual_seed(0)), 1
    )
    student = student_of(transfer).eval()
    ready = method.prepare(student, transfer, {"relationship": related})
    view = view_of(transfer, student)
    features, _ = outputs_of(student, view.images)
    log_p = log_softmax_rows(
        features @ numbers(transfer.source.head.weight).T + numbers(transfer.source.head.bias)
    )
    expected = 0.0
    for row, label in enumerate(transfer.labels[:8].tolist()):
        expected -= (
            sum(related[label, place].item() * log_p[row, place] for place in range(SOURCE_CLASSES))
            / 8
        )
    assert method.penalty(view, ready).item() == pytest.approx(1.7 * expected, rel=1e-4)


def test_the_copy_of_the_source_s_head_trains_and_the_source_does_not(transfer):
    run = run_of(methods.find("co_tuning")(relationship="direct"), transfer)
    related, head = run.prepared
    assert related.shape == (CLASSES, SOURCE_CLASSES)
    assert not related.requires_grad
    run.advance(0, 3)
    assert not torch.equal(head.weight, transfer.source.head.weight)
    assert torch.equal(run.transfer.source.head.weight, transfer.source.head.weight)
    assert [name.partition(".")[0] for name in run.state()["prepared"]] == ["0", "0"]


def test_a_relationship_that_does_not_fit_is_said(transfer):
    with pytest.raises(ValueError, match=r"shape \(4, 5\), but it must be \(5, 4\)"):
        methods.find("co_tuning")().prepare(
            student_of(transfer), transfer, {"relationship": torch.ones(4, 5)}
        )


def test_the_temperature_is_fitted_on_images_held_out_of_the_source():
    """The stationary point of the likelihood: the mean logit of the label is the expected one."""
    rng = np.random.default_rng(0)
    # The true labels follow softmax(0.3 logits), so that the scale is about 0.3.
    logits = 5 * rng.normal(size=(300, 4))
    labels = (0.3 * logits + rng.gumbel(size=(300, 4))).argmax(1)
    target, answers, _ = separable()
    transfer = flat(target, answers, 6)
    width = target.shape[1]
    held = np.zeros((300, width))
    held[:, :4] = logits
    held[:, 4:] = -50  # classes that never win
    transfer = dataclasses.replace(
        transfer,
        held_source=lambda: (
            torch.from_numpy(held).float()[:, :, None, None],
            torch.from_numpy(labels),
        ),
    )
    method = methods.find("co_tuning")(relationship="direct", temperature="fitted")
    learnt_tensors, measured = method.learn(transfer)
    scale = measured["calibration"]
    assert 0.2 < scale < 0.4
    p = np.exp(log_softmax(scale * held, axis=1))
    assert (p * held).sum(1).mean() == pytest.approx(held[range(300), labels].mean(), abs=1e-3)
    same = methods.find("co_tuning")(relationship="direct", calibration=scale).learn(transfer)[0][
        "relationship"
    ]
    assert torch.allclose(learnt_tensors["relationship"], same)
    other = methods.find("co_tuning")(relationship="direct").learn(transfer)[0]["relationship"]
    assert not torch.allclose(learnt_tensors["relationship"], other, atol=1e-3)


def test_a_fitted_temperature_needs_images_of_the_source():
    def problems(**given):
        config = {"method": "co_tuning", "co_tuning.temperature": "fitted", **given}
        return fine_tuning.problems(fine_tuning.resolve(config))

    assert not problems()
    pretrained = {
        "dataset": "pretrained-uci",
        "backbone": "tf_efficientnet_lite0",
        "weights": "efficientnet-lite0",
        "image_size": 64,
    }
    for given in ({"source_validation": 0.0}, pretrained):
        ((key, text),) = problems(**given)
        assert key == "co_tuning.temperature"
        assert "needs `source_validation` above 0" in text
    resolved = fine_tuning.resolve({"method": "co_tuning", "co_tuning.temperature": "fitted"})
    stage = fine_tuning.stages(resolved)["co_tuning"][1]
    assert stage["co_tuning.temperature"] == "fitted"
    plain = fine_tuning.resolve({"method": "co_tuning"})
    assert "co_tuning.temperature" not in {**plain, **fine_tuning.stages(plain)["co_tuning"][1]}


def test_its_stage_finds_the_images_of_the_source(tmp_path):
    config = fine_tuning.resolve(
        {
            "method": "co_tuning",
            "co_tuning.temperature": "fitted",
            "source_epochs": 1,
            "source_steps_per_epoch": 5,
            "fraction": 0.1,
        }
    )
    stages = fine_tuning.stages(config)
    workspace = Workspace(tmp_path / "learnt")
    workspace.stages = {"source": stage(source_task, stages["source"][1], tmp_path / "source")}
    (row,) = fine_tuning_learnt(stages["co_tuning"][1], workspace)
    assert 1e-2 < row["co_tuning/calibration"] < 1e2
    assert row["co_tuning/calibration"] != 1
