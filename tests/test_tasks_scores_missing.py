"""The proposals for missing classes against finite differences and a plain loop, and what every score does with bad input."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from tasks import scores
from tasks.scores import Evidence, missing

CLASSES, WIDTH, MISSING = 5, 6, (1, 3)
SEEN = (0, 2, 4)
OURS = [name for name in scores.NAMES if not name.startswith("tta")]


def evidence(seed=0, count=60, shift=0.6):
    """A source model fitted to its own means, a target with three of its five classes, both with noise."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(CLASSES, WIDTH)) * 2

    def drawn(classes, images, moved=0.0):
        labels = np.concatenate([classes, rng.choice(classes, images - len(classes))])
        return (means[labels] + moved + rng.normal(size=(images, WIDTH))).astype(np.float32), labels

    features, domain_labels = drawn(SEEN, count, shift)
    source_features, source_labels = drawn(range(CLASSES), 80)
    held_features, held_labels = drawn(range(CLASSES), 50)
    test_features, test_labels = drawn(SEEN, 30, shift)
    weight, bias = means.astype(np.float32) / 2, (-(means**2).sum(1) / 4).astype(np.float32)
    logits = torch.from_numpy(features @ weight.T + bias)
    return Evidence(
        features=features,
        labels=np.searchsorted(SEEN, domain_labels),
        target_classes=SEEN,
        missing_classes=MISSING,
        shared_classes=True,
        probabilities=logits.softmax(1).numpy(),
        head=(weight, bias),
        source_features=source_features,
        source_labels=source_labels,
        held_features=held_features,
        held_labels=held_labels,
        test_features=test_features,
        test_labels=np.searchsorted(SEEN, test_labels),
        seed=lambda *names: sum(map(ord, "".join(map(str, names)))),
        device="cpu",
    )


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


# --- what every score does with every bad input

OF_HEAD = {"nce", "leep", "missing_push"}
"""Scores that read the head's probabilities in place of features."""
OF_FEATURES = set(OURS) - OF_HEAD - {"source_accuracy"}
OF_LABELS = set(OURS) - {"source_accuracy", "missing_push"}
OF_POSITIONS = {"missing_interference", "missing_retained"}
"""Scores to which it matters which class a label is."""
OF_WEIGHTS = OF_POSITIONS | {"source_accuracy"}
"""Scores that read the head's weights, and source images held out."""


def at(values, index, value):
    found = np.array(values)
    found[index] = value
    return found


@functools.cache
def bad():
    """By kind: an evidence with one thing wrong, the scores that refuse it, and what their error says."""
    one = evidence()
    count = len(one.labels)
    single = np.flatnonzero(one.labels == 0)[1:]
    keep = np.setdiff1d(np.arange(count), single)
    p = one.probabilities
    return {
        "nan in features": (
            replace(one, features=at(one.features, (3, 2), np.nan)),
            OF_FEATURES,
            "row 3, column 2 is nan",
        ),
        "infinite features": (
            replace(one, features=at(one.features, (0, 5), np.inf)),
            OF_FEATURES,
            "row 0, column 5 is inf",
        ),
        "no images": (
            replace(one, features=one.features[:0], labels=one.labels[:0], probabilities=p[:0]),
            set(OURS) - {"source_accuracy"},
            "must be a matrix with a row an image",
        ),
        "features of one axis": (
            replace(one, features=one.features[:, 0]),
            OF_FEATURES,
            "must be a matrix",
        ),
        "labels too short": (
            replace(one, labels=one.labels[1:]),
            OF_LABELS,
            "for each of the 60 rows",
        ),
        "negative label": (replace(one, labels=at(one.labels, 7, -1)), OF_LABELS, "row 7 has -1"),
        "nan label": (
            replace(one, labels=at(one.labels.astype(float), 7, np.nan)),
            OF_LABELS,
            "row 7 has nan",
        ),
        "half a label": (
            replace(one, labels=at(one.labels.astype(float), 7, 0.5)),
            OF_LABELS,
            "row 7 has 0.5",
        ),
        "labels with gaps": (
            replace(one, labels=one.labels * 10),
            OF_POSITIONS,
            "positions among the 3 target classes",
        ),
        "a class with one sample": (
            replace(
                one, features=one.features[keep], labels=one.labels[keep], probabilities=p[keep]
            ),
            (),
            "",
        ),
        "more features than samples": (wide(one), (), ""),
        "constant features": (replace(one, features=np.full_like(one.features, 0.1)), (), ""),
        "zero features": (replace(one, features=np.zeros_like(one.features)), (), ""),
        "a constant column": (
            replace(one, features=at(one.features, (slice(None), 2), 3.3)),
            (),
            "",
        ),
        "a single class": (
            replace(one, labels=0 * one.labels, target_classes=(0,), missing_classes=(1, 2, 3, 4)),
            (),
            "",
        ),
        "a single image": (
            replace(one, features=one.features[:1], labels=one.labels[:1], probabilities=p[:1]),
            {"linear_probe"},
            "none of the 1 classes has two images",
        ),
        "an image a class": (
            replace(one, features=one.features[:3], labels=np.arange(3), probabilities=p[:3]),
            {"linear_probe"},
            "none of the 3 classes has two images",
        ),
        "a row that does not sum to one": (
            replace(one, probabilities=at(p, 4, p[4] / 2)),
            OF_HEAD,
            "row 4 sums to 0.5",
        ),
        "a negative probability": (
            replace(one, probabilities=at(p, (4, 1), -0.25)),
            OF_HEAD,
            "row 4, column 1 is -0.25",
        ),
        "nan probability": (
            replace(one, probabilities=at(p, (4, 1), np.nan)),
            OF_HEAD,
            "row 4, column 1 is nan",
        ),
        "a probability of zero": (
            replace(one, probabilities=np.eye(CLASSES, dtype=np.float32)[p.argmax(1)]),
            (),
            "",
        ),
        "head of another width": (
            replace(one, head=(one.head[0][:, :4], one.head[1])),
            OF_WEIGHTS,
            "equally wide",
        ),
        "bias of another length": (
            replace(one, head=(one.head[0], one.head[1][:3])),
            OF_WEIGHTS,
            "a bias for each of its 5 classes, but got 3",
        ),
        "nan in the head": (
            replace(one, head=(at(one.head[0], (1, 1), np.nan), one.head[1])),
            OF_WEIGHTS,
            "the head's weight must be finite, but row 1, column 1 is nan",
        ),
        "nan in source features": (
            replace(one, source_features=at(one.source_features, (2, 0), np.nan)),
            {"otce_w", "otce_ce"},
            "source features must be finite, but row 2, column 0",
        ),
        "source features of another width": (
            replace(one, source_features=one.source_features[:, :5]),
            {"otce_w", "otce_ce"},
            "source features 5, features 6",
        ),
        "nan in held-out features": (
            replace(one, held_features=at(one.held_features, (2, 0), np.nan)),
            OF_WEIGHTS,
            "row 2, column 0 is nan",
        ),
        "a held-out label beyond the head": (
            replace(one, held_labels=at(one.held_labels, 2, 9)),
            OF_WEIGHTS,
            "below 5, but row 2 has 9",
        ),
        "no head": (
            replace(one, head=None, probabilities=None),
            OF_HEAD | OF_WEIGHTS,
            "come without one",
        ),
        "no source": (
            replace(
                one, source_features=None, source_labels=None, held_features=None, held_labels=None
            ),
            {"otce_w", "otce_ce"} | OF_WEIGHTS,
            "of which this source has none|no source image was held out",
        ),
    }


def wide(one, width=200):
    """The same evidence with features turned into more dimensions than there are images, and the head with them."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(width, WIDTH)))[0].T
    noise = np.random.default_rng(1).normal(size=(3, 1000, width)) * 0.05
    parts = (one.features, one.source_features, one.held_features)
    turned = [
        (part @ turn + extra[: len(part)]).astype(np.float32)
        for part, extra in zip(parts, noise, strict=True)
    ]
    return replace(
        one,
        features=turned[0],
        source_features=turned[1],
        held_features=turned[2],
        head=((one.head[0] @ turn).astype(np.float32), one.head[1]),
    )


@pytest.mark.parametrize("kind", bad())
@pytest.mark.parametrize("name", OURS)
def test_bad_input_gives_a_number_that_is_right_or_an_error_that_says_which(name, kind):
    broken, refusing, message = bad()[kind]
    if name in refusing:
        with pytest.raises(ValueError, match=message):
            scores.compute(name, broken, {})
        return
    found = scores.compute(name, broken, {})["transferability"]
    low, high = bounds(name, broken)
    assert low - 1e-9 <= found <= high + 1e-9
    if (name, kind) in EXACT:
        assert found == pytest.approx(EXACT[name, kind](broken), abs=1e-9)


def bounds(name, one):
    """What the score's definition allows on this evidence."""
    share = np.unique(one.labels, return_counts=True)[1] / len(one.labels)
    entropy = entropy_of(one)
    # Knowing something never tells less than knowing nothing
    if name in ("nce", "leep", "n_leep", "otce_ce"):
        return -entropy, 0
    if name in ("h_score", "shrunk_h_score"):
        return 0, max(len(share) - 1, 0)
    if name == "missing_push":
        return -1, 0
    if name in ("logme", "missing_interference"):
        return -np.inf, np.inf
    return {"otce_w": (-np.inf, 0), "transrate": (0, np.inf)}.get(name, (0, 1))


def entropy_of(one):
    share = np.unique(one.labels, return_counts=True)[1] / len(one.labels)
    return -(share * np.log(share)).sum()


def noise_evidence(one):
    """LogME where features tell nothing: the best N(0, I/b) of each class."""
    shares = np.unique(one.labels, return_counts=True)[1] / len(one.labels)
    return np.mean(-np.log(2 * np.pi * np.e * shares) / 2)


EXACT = {
    ("nce", "a single class"): lambda one: 0,
    ("leep", "a single class"): lambda one: 0,
    ("n_leep", "a single class"): lambda one: 0,
    ("h_score", "a single class"): lambda one: 0,
    ("shrunk_h_score", "a single class"): lambda one: 0,
    ("transrate", "a single class"): lambda one: 0,
    ("otce_ce", "a single class"): lambda one: 0,
    ("linear_probe", "a single class"): lambda one: 1,
    ("nearest_class_mean", "a single class"): lambda one: 1,
    ("h_score", "constant features"): lambda one: 0,
    ("shrunk_h_score", "constant features"): lambda one: 0,
    ("transrate", "constant features"): lambda one: 0,
    ("nearest_class_mean", "constant features"): lambda one: 0,
    ("n_leep", "constant features"): lambda one: -entropy_of(one),
    ("n_leep", "zero features"): lambda one: -entropy_of(one),
    ("logme", "zero features"): noise_evidence,
    ("h_score", "zero features"): lambda one: 0,
    ("h_score", "more features than samples"): lambda one: 2,
    **{
        (name, "labels with gaps"): lambda one, name=name: scores.compute(name, evidence(), {})[
            "transferability"
        ]
        for name in set(OURS) - OF_POSITIONS
    },
}


# --- compute, and scores of a user's own


def test_no_score_looks_at_test_images():
    one = evidence()
    other = replace(
        one, test_features=one.test_features * np.nan, test_labels=one.test_labels[::-1] - 100
    )
    for name in OURS:
        assert scores.compute(name, one, {}) == scores.compute(name, other, {}), name


def test_compute_tells_the_declared_parts_and_hands_on_its_groups_parameters():
    one = evidence()
    for name in OURS:
        assert set(scores.compute(name, one, {})) == {"transferability", *scores.parts(name)}, name
    plain, few = (
        scores.compute("otce_w", one, given)
        for given in ({}, {"otce.samples": 10, "leep.samples": 3, "dataset": "x"})
    )
    assert plain != few
    assert plain["transferability"] == -plain["otce/wasserstein"]
    assert (
        scores.compute("otce_ce", one, {})["transferability"] == -plain["otce/conditional_entropy"]
    )
    assert (
        scores.compute("missing_retained", one, {"missing_retained.steps": 0})["transferability"]
        == scores.compute("missing_retained", one, {})["missing_retained/start"]
    )


OWN = '''
from typing import Annotated
from tasks.scores import Range, score

def width(evidence, factor: Annotated[float, Range(0, 10)] = 2.0):
    """Wide is good.

    Args:
        factor: of the width
    """
    return evidence.features.shape[1] * factor

def seeded(features, labels, seed, power=1.0):
    return len(features) + labels.sum() + seed * power

@score(parts=("own/one", "own/two"))
def paired(evidence):
    return 1.0, 2.0, 3.0

@score(parts=("own/one",), group="shared")
def short(evidence, size=1.0):
    return 1.0, 2.0, 3.0

def blind(seed):
    return 1.0

def parts(evidence):
    return {"transferability": 1, "own/number": 2}

def nameless(evidence):
    return {"score": 1}

def endless(evidence):
    return float("nan")

def bare(evidence, factor):
    return factor

def greedy(evidence):
    return 0.0
greedy.needs = ("head",)

@score(needs={"head"})
def heady(evidence):
    return 0.0
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_scores.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "own_scores"


def test_a_score_of_ones_own_has_parameters_parts_and_needs(own):
    one = evidence()
    setting = scores.parameters(f"{own}:width")[f"{own}:width.factor"]
    assert (setting.type, setting.default, setting.high, setting.doc) == (
        float,
        2.0,
        10,
        "of the width",
    )
    assert scores.compute(f"{own}:width", one, {f"{own}:width.factor": 3.0}) == {
        "transferability": 18.0
    }
    assert scores.compute(f"{own}:parts", one, {}) == {"transferability": 1.0, "own/number": 2.0}
    assert scores.needs(f"{own}:heady") == {"head"}
    assert scores.needs(f"{own}:width") == frozenset()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "cannot be loaded"),
        ("bare", "without a default: factor"),
        ("greedy", "an attribute `needs`, which nobody reads"),
        ("blind", "reads nothing"),
    ],
)
def test_what_cannot_be_a_score_is_told(own, name, message):
    with pytest.raises(ValueError, match=message):
        scores.find(f"{own}:{name}")
    assert message in scores.problem(f"{own}:{name}")


def test_what_a_score_must_give_is_told(own):
    with pytest.raises(ValueError, match="must be called 'transferability'"):
        scores.compute(f"{own}:nameless", evidence(), {})
    with pytest.raises(ValueError, match="must be finite"):
        scores.compute(f"{own}:endless", evidence(), {})
    with pytest.raises(ValueError, match=r"gave 3 numbers, but declares 2: .*own/one"):
        scores.compute(f"{own}:short", evidence(), {})


def test_a_score_asks_by_name_for_what_it_reads(own):
    one = evidence()
    seed = one.seed(f"{own}:seeded")
    expected = len(one.features) + one.labels.sum() + 2.0 * seed
    given = {f"{own}:seeded.power": 2.0, f"{own}:seeded.seed": 5}
    assert scores.compute(f"{own}:seeded", one, given) == {"transferability": expected}
    assert list(scores.parameters(f"{own}:seeded")) == [f"{own}:seeded.power"]
    assert scores.compute(f"{own}:paired", one, {}) == {
        "transferability": 1.0,
        "own/one": 2.0,
        "own/two": 3.0,
    }
    assert list(scores.parameters(f"{own}:short")) == [f"{own}:shared.size"], (
        "a group is its module's"
    )


def test_a_declaration_of_what_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="needs gold, which nothing offers; known: head"):
        scores.score(needs={"gold"})
    with pytest.raises(ValueError, match="of the kind 'best'; known: score, control"):
        scores.score(kind="best")
