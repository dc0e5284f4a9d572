"""LwF, Bi-Tuning, Co-Tuning and TRED: each formula against numpy, what is learnt beforehand, and its degenerate cases."""

import copy
import dataclasses
import io
import zlib

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import nn

from tasks import backbones, methods, process
from tasks.methods import Method, View, chain
from tasks.methods import bi_tuning as contrasting
from tasks.methods import co_tuning as relating
from tasks.methods import tred as splitting
from tasks.model import Model
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES, SOURCE_CLASSES = 5, 4
RECIPE = Recipe(
    epochs=2, steps_per_epoch=3, batch_size=12, learning_rate=0.05, momentum=0.9, weight_decay=5e-4
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    process.reset(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def transfer(one_thread):
    """100 images of five classes, and a source model that has seen four classes of them for a moment."""
    rng = np.random.default_rng(0)
    labels = np.arange(100) % CLASSES
    images = torch.from_numpy(
        rng.random((100, 1, 8, 8), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 5
    )
    labels, every = torch.from_numpy(labels), torch.arange(100)
    model = backbones.build("lenet_bn", 1, 8, SOURCE_CLASSES)
    seen = Transfer(
        None,
        images,
        labels % SOURCE_CLASSES,
        every,
        every[:0],
        SOURCE_CLASSES,
        (),
        True,
        "cpu",
        seed,
    )
    Run(model, seen, Method(), RECIPE).advance(0, 6)
    return dataclasses.replace(
        seen,
        source=model.requires_grad_(False).eval(),
        labels=labels,
        classes=CLASSES,
        train=every[:80],
        validation=every[80:],
    )


@pytest.fixture(scope="module")
def same_head(transfer):
    return dataclasses.replace(
        transfer, labels=transfer.labels % SOURCE_CLASSES, classes=SOURCE_CLASSES, new_head=False
    )


def student_of(transfer):
    """The source a little away from itself, under a head of the target's classes."""
    generator = torch.Generator().manual_seed(1)
    student = copy.deepcopy(transfer.source)
    if transfer.new_head:
        student = student.with_head(nn.utils.skip_init(nn.Linear, student.width, transfer.classes))
        nn.init.normal_(student.head.weight, std=0.1, generator=generator)
        nn.init.normal_(student.head.bias, std=0.1, generator=generator)
    with torch.no_grad():
        for weight in student.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    return student.requires_grad_(True)


def run_of(method, transfer, recipe=RECIPE):
    return Run(
        student_of(transfer),
        dataclasses.replace(transfer, source=copy.deepcopy(transfer.source)),
        method,
        recipe,
    )


def view_of(transfer, student, count=8, maps=False):
    return View(student, transfer, transfer.images[:count], transfer.labels[:count], maps=maps)


def numbers(tensor):
    return tensor.detach().double().numpy()


def outputs_of(model, images):
    return [numbers(one) for one in model(images)]


def log_softmax_rows(rows):
    """By the definition, one row at a time."""
    found = []
    for row in rows:
        top = max(row)
        total = sum(np.exp(value - top) for value in row)
        found.append([value - top - np.log(total) for value in row])
    return np.array(found)


@pytest.mark.parametrize("name", ["bi_tuning", "co_tuning", "lwf", "bi_tuning+co_tuning"])
def test_continued_it_equals_undisturbed(name, transfer):
    def build():
        return methods.build(
            name,
            {"co_tuning.relationship": "direct", "bi_tuning.keys": 3, "bi_tuning.momentum": 0.5},
        )

    whole, first, second = (run_of(build(), transfer) for _ in range(3))
    whole.advance(0, 3)
    whole.advance(3, 6)
    first.advance(0, 3)
    kept = io.BytesIO()
    torch.save(first.state(), kept)
    kept.seek(0)
    second.restore(torch.load(kept, weights_only=True))
    second.advance(3, 6)
    for part in ("student", "prepared"):
        found, expected = second.state()[part], whole.state()[part]
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert whole.state()["prepared"] or name == "lwf"


# LwF


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("head", ["fixed", "trained"])
@pytest.mark.parametrize("setting", ["new head", "same head"])
def test_lwf_formula(transfer, same_head, temperature, head, setting):
    given = transfer if setting == "new head" else same_head
    method = methods.find("lwf")(weight=0.7, temperature=temperature, head=head)
    student = student_of(given).eval()
    view = view_of(given, student)
    ready = method.prepare(student, given, None)
    if ready is not None:
        assert {weight.requires_grad for weight in ready.parameters()} == {head == "trained"}
        assert torch.equal(ready.weight, transfer.source.head.weight)
        ready.weight.data += 0.1  # as after training
    features, logits = outputs_of(student, view.images)
    if setting == "new head":
        logits = features @ numbers(ready.weight).T + numbers(ready.bias)
    _, wanted = outputs_of(given.source, view.images)
    log_q, log_p = log_softmax_rows(logits / temperature), log_softmax_rows(wanted / temperature)
    expected = 0.0
    for row in range(8):
        for place in range(SOURCE_CLASSES):
            expected += np.exp(log_p[row, place]) * (log_p[row, place] - log_q[row, place]) / 8
    assert method.penalty(view, ready).item() == pytest.approx(
        0.7 * temperature**2 * expected, rel=1e-3
    )
    assert expected > 1e-4


def test_lwf_trains_the_source_s_head_only_where_asked(transfer):
    for head, moves in (("fixed", False), ("trained", True)):
        run = run_of(methods.find("lwf")(head=head), transfer)
        run.advance(0, 3)
        assert torch.equal(run.prepared.weight, transfer.source.head.weight) != moves


@pytest.mark.parametrize(
    ("name", "runs"), [("lwf", 3), ("tred", 3), ("bi_tuning", 0), ("co_tuning", 0)]
)
def test_the_source_runs_where_it_is_looked_at(transfer, name, runs):
    run = run_of(
        methods.build(name, {"tred.steps": 2, "co_tuning.relationship": "direct"}), transfer
    )
    passes = []
    run.transfer.source.backbone[0].register_forward_pre_hook(lambda *_: passes.append(1))
    run.advance(0, 3)
    assert len(passes) == runs


# Co-Tuning: the relationship


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


# Co-Tuning: the loss


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


# Bi-Tuning


def contrasted(own, row, queues, label, temperature):
    """The cross-entropy of one image in loops: `row` is compared with each key of each class."""
    scores, shares = [own / temperature], [1.0]
    for index, queue in enumerate(queues):
        for key in queue:
            scores.append(float(np.dot(row, key)) / temperature)
            shares.append(float(index == label))
    log_p = log_softmax_rows([scores])[0]
    return -sum(share * value for share, value in zip(shares, log_p, strict=True)) / sum(shares)


def unit(vector):
    return np.asarray(vector) / np.sqrt(np.sum(np.square(vector)))


def test_bi_tuning_formula(transfer):
    """Both terms in loops; keys from a key encoder that has moved on by half."""
    method = methods.find("bi_tuning")(
        weight=0.6, temperature=0.3, keys=3, momentum=0.5, projection=7
    )
    student = student_of(transfer).eval()
    contrast = method.prepare(student, transfer, None)
    old = copy.deepcopy(contrast)
    with torch.no_grad():
        for weight in (*student.parameters(), *contrast.projector.parameters()):
            weight.add_(0.01)
    encoder = copy.deepcopy(student)
    with torch.no_grad():
        for key, before, now in zip(
            encoder.parameters(), old.encoder.parameters(), student.parameters(), strict=True
        ):
            key.copy_(0.5 * before + 0.5 * now)
    view = view_of(transfer, student)
    found = method.penalty(view, contrast)
    assert all(
        torch.allclose(*pair)
        for pair in zip(contrast.encoder.parameters(), encoder.parameters(), strict=True)
    )
    features, keys = outputs_of(student, view.images)[0], outputs_of(encoder, view.images)[0]
    projector = [numbers(weight) for weight in contrast.projector.parameters()]
    key_projector = [
        (numbers(left) + numbers(right)) / 2
        for left, right in zip(
            old.projector.parameters(), contrast.projector.parameters(), strict=True
        )
    ]
    expected = 0.0
    for row, label in enumerate(transfer.labels[:8].tolist()):
        weights = unit([*numbers(student.head.weight)[label], numbers(student.head.bias)[label]])
        expected += (
            contrasted(
                np.dot(unit([*features[row], 1.0]), weights),
                weights,
                numbers(old.features),
                label,
                0.3,
            )
            / 8
        )
        query = unit(projector[0] @ features[row] + projector[1])
        key = unit(key_projector[0] @ keys[row] + key_projector[1])
        expected += contrasted(np.dot(query, key), query, numbers(old.projections), label, 0.3) / 8
        assert np.allclose(
            numbers(contrast.projections)[label, (row // CLASSES) % 3], key, atol=1e-4
        )
        assert np.allclose(
            numbers(contrast.features)[label, (row // CLASSES) % 3],
            unit([*keys[row], 1.0]),
            atol=1e-4,
        )
    assert found.item() == pytest.approx(0.6 * expected, rel=1e-4)
    found.backward()
    assert all(weight.grad is None for weight in student.head.parameters()), (
        "the classifier side holds the head constant"
    )
    assert all(weight.grad is not None for weight in contrast.projector.parameters())
    assert all(weight.grad is None for weight in contrast.encoder.parameters())


@pytest.mark.parametrize(
    "labels",
    [[0, 0, 0, 0, 0, 0, 0], [2], [1, 0, 1, 2, 1, 1, 0, 1], [2, 2, 0, 2], [0, 1, 0, 1, 0, 1]],
)
def test_the_queue_keeps_the_last_of_each_class(labels):
    """Against lists that are appended to, over several batches."""
    state, classes, keys = nn.Module(), 4, 3
    state.register_buffer("features", torch.zeros(classes, keys, 2))
    state.register_buffer("projections", torch.zeros(classes, keys, 1))
    state.register_buffer("next", torch.zeros(classes, dtype=torch.long))
    lists = [[0.0] * keys for _ in range(classes)]
    clock = 0
    for batch in range(4):
        now = torch.tensor(labels[batch:] + labels[:batch])
        stamps = torch.arange(clock + 1, clock + 1 + len(labels)).float()
        clock += len(labels)
        contrasting._enqueue(state, stamps[:, None].expand(-1, 2), -stamps[:, None], now)
        for label, stamp in zip(now.tolist(), stamps.tolist(), strict=True):
            lists[label] = [*lists[label][1:], stamp]
        for index in range(classes):
            assert sorted(state.features[index, :, 0].tolist()) == sorted(lists[index])
            oldest_first = [
                state.features[index, (state.next[index] + place) % keys, 1].item()
                for place in range(keys)
            ]
            assert oldest_first == lists[index]
            assert torch.equal(state.projections[index, :, 0], -state.features[index, :, 0])


def test_the_key_encoder_follows_after_the_queues_seed(transfer):
    runs = [
        run_of(methods.find("bi_tuning")(keys=4), dataclasses.replace(transfer, seed=of))
        for of in (seed, seed, lambda *names: seed(5, *names))
    ]
    queues = [run.prepared.features for run in runs]
    assert torch.equal(queues[0], queues[1])
    assert not torch.equal(queues[0], queues[2])
    assert torch.allclose(queues[0].square().sum(2), torch.ones(CLASSES, 4))
    projector = runs[0].prepared.projector.weight
    assert projector.abs().max() <= 64**-0.5
    before = queues[0].clone()
    runs[0].advance(0, 3)
    moved = (queues[0] != before).any(2).sum().item()
    assert 12 < moved <= 20


@pytest.mark.parametrize("frozen", [False, True])
def test_the_key_encoder_s_batch_norm_is_in_the_student_s_mode(transfer, frozen):
    method = methods.find("bi_tuning")(keys=2)
    run = run_of(chain(method, Method(frozen=frozenset({"norms"}))) if frozen else method, transfer)
    contrast = run.prepared[0] if frozen else run.prepared
    assert not any(weight.requires_grad for weight in contrast.encoder.parameters())
    run.advance(0, 3)
    assert [norm.training for norm in contrast.encoder.norms()] == [not frozen] * 2
    assert not contrast.encoder.training


def test_random_layers_draw_the_same_with_keys_and_without(transfer):
    """With dropout in the backbone, weight zero is plain training all the same."""
    found = []
    for method in (methods.find("bi_tuning")(weight=0.0), Method()):
        student = student_of(transfer)
        student.backbone.append(nn.Dropout(0.5))
        run = Run(student, transfer, method, RECIPE)
        torch.manual_seed(3)
        run.advance(0, 3)
        found.append(run.student.state_dict())
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


# TRED


def test_mmd_in_loops():
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 1, (6, 3)), rng.normal(0.5, 2, (6, 3))
    rows = [*left, *right]
    apart = [((rows[i] - rows[j]) ** 2).sum() for i in range(12) for j in range(i + 1, 12)]
    median = sorted(apart)[(len(apart) - 1) // 2]

    def kernel(a, b):
        return sum(
            np.exp(-((a - b) ** 2).sum() / (2 * factor * median)) for factor in (0.25, 0.5, 1, 2, 4)
        )

    def mean(first, second):
        return sum(kernel(a, b) for a in first for b in second) / (len(first) * len(second))

    expected = mean(left, left) + mean(right, right) - 2 * mean(left, right)
    assert splitting.mmd(torch.from_numpy(left), torch.from_numpy(right)).item() == pytest.approx(
        expected, rel=1e-9
    )
    assert splitting.mmd(torch.from_numpy(left), torch.from_numpy(left)).item() == pytest.approx(
        0, abs=1e-9
    )


@pytest.mark.parametrize("rows", [torch.zeros(4, 3), torch.ones(1, 3)])
def test_mmd_of_equal_rows_is_zero(rows):
    rows = rows.clone().requires_grad_(True)
    found = splitting.mmd(rows, rows * 1)
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(rows.grad).all()


def test_club_in_loops():
    rng = np.random.default_rng(0)
    given, other = rng.normal(0, 1, (5, 3)), rng.normal(0, 2, (5, 3))
    critic = [rng.normal(0, 0.5, shape) for shape in ((4, 3), (4,), (6, 4), (6,))]
    expected = 0.0
    for i in range(5):
        hidden = np.maximum(critic[0] @ given[i] + critic[1], 0)
        answer = critic[2] @ hidden + critic[3]
        mean, variance = answer[:3], np.exp(4 * np.tanh(answer[3:]))

        def log_density(row, mean=mean, variance=variance):
            return sum(-((row - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2)

        expected += log_density(other[i]) / 5 - sum(log_density(row) for row in other) / 25
    tensors = [torch.from_numpy(one) for one in critic]
    assert splitting.club(
        tensors, torch.from_numpy(given), torch.from_numpy(other)
    ).item() == pytest.approx(expected, rel=1e-9)


def test_tred_formula(transfer):
    method = methods.find("tred")(weight=0.3, head=0.2, stages="1,-1")
    student = student_of(transfer).eval()
    rng = np.random.default_rng(0)
    layers = {
        f"{index}.positive.{number}": torch.from_numpy(rng.normal(0, 0.3, shape)).float()
        for index, width in enumerate((8, 32))
        for number, shape in enumerate(((width, width), (width,), (width, width), (width,)))
    }
    view = view_of(transfer, student, maps=True)
    expected = 0.1 * sum((numbers(weight) ** 2).sum() for weight in student.head.parameters())
    for index in range(2):
        ours, theirs = (
            numbers(model.outputs(view.images, maps=True).maps[index])
            for model in (student, transfer.source)
        )
        first, bias, second, offset = (
            numbers(layers[f"{index}.positive.{number}"]) for number in range(4)
        )
        _, _, height, width = ours.shape
        for image in range(8):
            for y in range(height):
                for x in range(width):
                    at = theirs[image, :, y, x]
                    gate = 1 / (1 + np.exp(-(second @ np.maximum(first @ at + bias, 0) + offset)))
                    expected += (
                        0.3 / 8 * ((ours[image, :, y, x] - at * gate) ** 2).sum() / (height * width)
                    )
    ready = method.prepare(student, transfer, layers)
    assert method.penalty(view, ready).item() == pytest.approx(expected, rel=1e-4)
    assert method.decays


class Mean(nn.Module):
    def forward(self, images):
        return images.mean((2, 3))


def toy(count=400, shuffled=False):
    """Images that are their own feature map: four channels that tell the class, and four that are light or dark by chance."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 4
    images = rng.random((count, 8, 3, 3)) / 2
    images[:, 4:] += 2 * rng.random((count, 4, 1, 1))
    images[np.arange(count), labels] += 1.5
    model = Model(Mean(), nn.Linear(8, 4), lambda backbone, images: (backbone(images), [images]))
    rows = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return Transfer(
        model.requires_grad_(False).eval(),
        torch.from_numpy(images).float(),
        torch.from_numpy(rng.permutation(labels) if shuffled else labels),
        rows[: count // 2],
        rows[count // 2 :],
        4,
        (),
        True,
        "cpu",
        seed,
    )


def sides_of(learnt, images):
    with torch.no_grad():
        return [
            splitting.part([learnt[f"0.{side}.{number}"] for number in range(4)], images)
            for side in splitting.SIDES
        ]


def test_the_two_sides_give_back_the_maps_and_the_rest_is_free_of_the_labels():
    target = toy()
    told = {}
    for disentanglement in (0.0, 0.1):
        method = methods.find("tred")(
            disentanglement=disentanglement, steps=300, learning_rate=1e-2
        )
        learnt, told[disentanglement] = method.learn(target)
        positive, negative = sides_of(learnt, target.images)
        missed = (target.images - positive - negative).square().sum() / target.images.square().sum()
        assert missed < 0.02
        train = target.train
        norm = (negative[train].square().sum() / target.images[train].square().sum()).sqrt().item()
        assert told[disentanglement]["negative_norm"] == pytest.approx(norm, rel=1e-4)
        assert 0.2 < norm < 0.8
    assert told[0.0]["negative_accuracy"] > 0.7
    assert told[0.1]["negative_accuracy"] < 0.35


@pytest.mark.parametrize("criterion", ["max_mmd", "min_mi"])
def test_labels_that_images_do_not_tell_are_in_neither_side(criterion):
    _, told = methods.find("tred")(criterion=criterion, steps=30, learning_rate=1e-2).learn(
        toy(shuffled=True)
    )
    assert set(told) == {"negative_norm", "negative_accuracy"}
    assert told["negative_accuracy"] < 0.37


@pytest.mark.parametrize("criterion", ["max_mmd", "min_mi"])
@pytest.mark.parametrize(
    ("train", "held"),
    [
        (slice(0, 8), slice(0, 0)),
        (slice(0, 1), slice(1, 5)),
        (slice(0, 200, 4), slice(0, 9)),
    ],
)
def test_tred_of_few_images(criterion, train, held):
    """No validation images; one image; images of one class."""
    whole = toy(shuffled=False)
    rows = torch.arange(400)
    few = dataclasses.replace(whole, train=rows[train], validation=rows[held])
    method = methods.find("tred")(criterion=criterion, steps=4)
    learnt, told = method.learn(few)
    assert all(torch.isfinite(tensor).all() for tensor in learnt.values())
    assert 0 < told["negative_norm"] < 1
    assert 0 <= told["negative_accuracy"] <= 1


def test_maps_that_do_not_fit_are_computed_for_each_batch(monkeypatch):
    target, passes = toy(), []
    method = methods.find("tred")(steps=20)
    target.source.backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    kept, told = method.learn(target)
    first = len(passes)
    monkeypatch.setattr(splitting, "MEMORY", 0)
    computed, also = method.learn(target)
    assert all(torch.allclose(kept[name], computed[name]) for name in kept)
    assert also == pytest.approx(told)
    assert first < 6
    assert len(passes) - first > 20


def test_maps_of_nothing_are_no_division_by_zero():
    target = toy(count=40)
    dark = dataclasses.replace(target, images=target.images * 0)
    learnt, told = methods.find("tred")(steps=3).learn(dark)
    assert all(torch.isfinite(tensor).all() for tensor in learnt.values())
    assert told["negative_norm"] == 0


def test_each_stage_is_learnt_once(transfer):
    learnt, _ = methods.find("tred")(stages="-1,2,1", steps=2).learn(transfer)
    assert sorted({name.partition(".")[0] for name in learnt}) == ["0", "1"]
    assert learnt["0.positive.0"].shape == (8, 8)
    assert learnt["1.negative.2"].shape == (32, 32)
    again, _ = methods.find("tred")(stages="-1,2,1", steps=2).learn(transfer)
    assert all(torch.equal(learnt[name], again[name]) for name in learnt)
