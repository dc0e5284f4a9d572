"""The closed-form scores against implementations written from their equations, and their laws; the registry."""

import functools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from evidenced import CLASSES, WIDTH, evidence

from tasks import scores

# --- the registry


def test_the_registry_imports_nothing_heavy():
    code = (
        "import sys; from tasks import scores; [scores.parameters(n) for n in scores.NAMES if not "
        "n.startswith('tta')]; "
        "print(sorted({'torch', 'sklearn', 'ot'} & set(sys.modules)))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_parameters_have_keys_of_their_group_types_ranges_and_a_line():
    keys = scores.parameters("otce_w")
    assert scores.parameters("otce_ce") == keys
    setting = keys["otce.samples"]
    assert (setting.type, setting.default, setting.low, setting.doc) == (
        int,
        1000,
        1,
        "images of each domain at most",
    )
    assert scores.parameters("n_leep")["n_leep.covariance"].choices == (
        "diag",
        "full",
        "tied",
        "spherical",
    )
    for name in scores.NAMES:
        assert all(setting.doc for setting in scores.parameters(name).values()), name
        assert all(key.startswith(f"{scores.group(name)}.") for key in scores.parameters(name))
    assert set(scores.known()) == set(scores.NAMES)
    assert all(scores.known().values())


def test_needs_are_told_with_a_reason():
    assert scores.needs("leep") == {"head"}
    assert scores.needs("logme") == set()
    assert scores.unmet("otce_w", {"head", "transport"}) == [
        "'otce_w' needs the images of the source domain, which a pretrained source comes without; "
        "leave it out"
    ]
    assert scores.unmet("missing_retained", set(scores.NEEDS)) == []


def test_an_unknown_name_is_told_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'logme'"):
        scores.find("logmee")
    assert "did you mean 'leep'" in scores.problem("leeep")
    assert scores.problem("leep") == ""


OURS = [name for name in scores.NAMES if not name.startswith("tta")]
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
