"""The closed-form scores against implementations written from their equations, and their laws; the registry."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from tasks import scores
from tasks.metrics import nearest_class_mean as cosine_to_means
from tasks.scores import controls, label_statistics, logme, separation, transport
from tasks.scores.spectra import principal


def made(seed=0, count=60, width=7, classes=4, apart=1.0):
    """Features with class structure, labels with every class, and source probabilities."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    features = (
        rng.normal(size=(classes, width))[labels] * apart + rng.normal(size=(count, width)) + 0.7
    )
    return features, labels, rng.dirichlet(np.ones(6), count)


cases = st.builds(
    made,
    seed=st.integers(0, 10_000),
    count=st.integers(8, 50),
    width=st.integers(1, 60),
    classes=st.integers(2, 5),
    apart=st.floats(0, 3),
)


# --- label statistics


def nce_by_loops(probabilities, labels):
    guesses, total = probabilities.argmax(1), 0.0
    for z in set(guesses.tolist()):
        for y in set(labels.tolist()):
            both = np.mean((guesses == z) & (labels == y))
            if both:
                total += both * np.log(both / np.mean(guesses == z))
    return total


def leep_by_loops(probabilities, labels):
    count, sources = probabilities.shape
    joint = {
        (y, z): sum(probabilities[i, z] for i in range(count) if labels[i] == y) / count
        for y in set(labels.tolist())
        for z in range(sources)
    }
    marginal = [sum(joint[y, z] for y in set(labels.tolist())) for z in range(sources)]
    return np.mean(
        [
            np.log(
                sum(
                    joint[labels[i], z] / marginal[z] * probabilities[i, z]
                    for z in range(sources)
                    if marginal[z]
                )
            )
            for i in range(count)
        ]
    )


@settings(max_examples=40, deadline=None)
@given(cases, st.integers(0, 2**32 - 1))
def test_label_statistics_are_their_equations_and_keep_their_laws(case, seed):
    _, labels, probabilities = case
    leep, nce = (
        label_statistics.leep(probabilities, labels),
        label_statistics.nce(probabilities, labels),
    )
    assert leep == pytest.approx(leep_by_loops(probabilities, labels), abs=1e-12)
    assert nce == pytest.approx(nce_by_loops(probabilities, labels), abs=1e-12)
    assert leep <= 0
    assert nce <= 1e-15
    # By Jensen's inequality LEEP is at least -H(Y|Z) under the soft joint, which is at least -H(Y).
    entropy = scipy.stats.entropy(np.bincount(labels))
    assert min(leep, nce) >= -entropy - 1e-12
    one_hot = np.eye(6)[probabilities.argmax(1)]
    assert label_statistics.leep(one_hot, labels) == pytest.approx(nce, abs=1e-12)
    order = np.random.default_rng(seed).permutation(len(labels))
    columns = np.random.default_rng(seed).permutation(6)
    for score, value in ((label_statistics.leep, leep), (label_statistics.nce, nce)):
        assert score(probabilities[order][:, columns], (labels * 7 + 3)[order]) == pytest.approx(
            value, abs=1e-12
        )


def test_label_statistics_at_their_ends():
    labels = np.array([0, 0, 1, 1])
    assert label_statistics.leep(np.eye(2)[labels], labels) == 0
    assert label_statistics.nce(np.eye(2)[labels], labels) == 0
    same = np.full((4, 3), 1 / 3)
    assert label_statistics.leep(same, labels) == pytest.approx(-np.log(2))
    assert label_statistics.nce(same, labels) == pytest.approx(-np.log(2))
    # A source class that nothing gets any probability of, and a likelihood so small that its square
    # is 0 in float32.
    rare = np.array([[1, 0, 0], [1 - 1e-30, 1e-30, 0], [1, 0, 0], [1, 0, 0]])
    assert np.isfinite(label_statistics.leep(rare, np.array([0, 1, 0, 0])))


def test_n_leep_is_leep_on_the_posteriors_of_a_mixture():
    """One Gaussian a class on classes far apart: its posteriors are the labels, so that nothing is left to learn."""
    features, labels, _ = made(apart=40.0, width=5)
    assert label_statistics.n_leep(
        features, labels, 5, 1, covariance="full", steps=50, seed=0
    ) == pytest.approx(0, abs=1e-6)
    features, labels, _ = made(apart=0.0, count=400)
    blurred = label_statistics.n_leep(features, labels, 5, 1, covariance="diag", steps=50, seed=0)
    entropy = scipy.stats.entropy(np.bincount(labels) / len(labels))
    assert -entropy - 1e-9 <= blurred <= -0.7 * entropy
    turned = features @ scipy.stats.special_ortho_group.rvs(7, random_state=0) * 9
    assert label_statistics.n_leep(
        turned, labels, 5, 1, covariance="diag", steps=50, seed=0
    ) == pytest.approx(blurred, abs=1e-6)


def test_n_leep_is_the_mixture_of_scikit_learn_on_its_principal_components():
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    features, labels, _ = made(count=200, width=12, apart=2.0)
    points = PCA(0.8, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(8, covariance_type="diag", random_state=3, max_iter=20, tol=1e-3)
    posteriors = mixture.fit(points / points.std()).predict_proba(points / points.std())
    expected = leep_by_loops(posteriors, labels)
    assert label_statistics.n_leep(
        features, labels, 12, 2, covariance="diag", steps=20, seed=3
    ) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("count", "width"), [(50, 9), (9, 50)])
def test_principal_components_are_those_of_scikit_learn(count, width):
    from sklearn.decomposition import PCA

    features = np.random.default_rng(0).normal(size=(count, width)) * np.linspace(1, 9, width) + 3
    for energy, most in ((0.8, 100), (0.8, 2), (0.3, 5)):
        theirs = PCA(energy, svd_solver="full").fit_transform(features)[:, :most]
        ours = principal(features, energy, most)
        assert np.allclose(np.abs(ours), np.abs(theirs))


# --- LogME


def log_marginal(features, target, alpha, beta):
    """log N(y; 0, I/beta + F F^T / alpha), from the density."""
    covariance = np.eye(len(target)) / beta + features @ features.T / alpha
    return (
        -(
            np.linalg.slogdet(2 * np.pi * covariance)[1]
            + target @ np.linalg.solve(covariance, target)
        )
        / 2
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("apart", [0.0, 1.0, 4.0])
def test_logme_is_the_brute_force_maximum_of_the_evidence(seed, apart):
    features, labels, _ = made(seed, count=30, width=5, classes=3, apart=apart)
    best = []
    for index in range(3):
        target = (labels == index).astype(float)

        def surprise(logs, target=target):
            return -log_marginal(features, target, *np.exp(logs))

        # alpha may grow without end: the ratio that the box allows is far out there already.
        found = [
            scipy.optimize.minimize(
                surprise, start, bounds=[(-10, 14), (-4, 8)], method="L-BFGS-B", tol=1e-12
            ).fun
            for start in ((0, 0), (3, 2), (-3, 3), (8, 2))
        ]
        best.append(-min(found))
    assert logme.logme(features, labels) == pytest.approx(np.mean(best) / 30, abs=1e-5)


def test_logme_of_more_features_than_images_is_the_limit():
    """Beta has no end there; at a large one the density is the limit already."""
    features, labels, _ = made(count=12, width=40, classes=2)
    features = features.astype(np.float32)
    wide = features.astype(np.float64)
    best = []
    for index in range(2):
        target = (labels == index).astype(float)
        found = scipy.optimize.minimize_scalar(
            lambda a, target=target: (
                -max(
                    log_marginal(wide, target, np.exp(a), np.exp(b)) for b in np.linspace(0, 18, 19)
                )
            ),
            bounds=(-5, 12),
            method="bounded",
        )
        best.append(-found.fun)
    assert logme.logme(features, labels) == pytest.approx(np.mean(best) / 12, abs=1e-3)


def test_logme_where_the_evidence_has_no_maximum_is_an_error():
    labels = np.array([0, 0, 0, 1, 1, 1])
    with pytest.raises(ValueError, match="class 3 is an exact linear function"):
        logme.logme(np.eye(2)[labels], labels * 4 + 3)


# --- separation


@settings(max_examples=40, deadline=None)
@given(cases)
def test_h_score_is_the_sum_of_generalised_eigenvalues(case):
    features, labels, _ = case
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    if len(features) < 2 * features.shape[1]:
        return  # scipy's needs a positive definite matrix
    means = np.array([features[labels == label].mean(0) for label in labels])
    between = np.atleast_2d(np.cov(means, rowvar=False))
    expected = scipy.linalg.eigh(between, covariance, eigvals_only=True).sum()
    assert separation.h_score(features, labels) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_shrunk_h_score_is_its_equation(case):
    features, labels, _ = case
    fitted = LedoitWolf().fit(features)
    means = np.array([features[labels == label].mean(0) for label in labels])
    between = np.atleast_2d(np.cov(means, rowvar=False, ddof=0))
    expected = np.trace(np.linalg.solve(fitted.covariance_, (1 - fitted.shrinkage_) * between))
    score, shrinkage = separation.shrunk_h_score(features, labels)
    assert shrinkage == pytest.approx(fitted.shrinkage_, abs=1e-9)
    if fitted.shrinkage_ or len(features) > 2 * features.shape[1]:
        assert score == pytest.approx(expected, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(cases, st.floats(1e-4, 10))
def test_transrate_is_its_determinants(case, epsilon):
    features, labels, _ = case

    def rate(rows):
        return (
            np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * epsilon))[1] / 2
        )

    centred = features - features.mean(0)
    within = [
        (labels == label).mean() * rate(centred[labels == label]) for label in np.unique(labels)
    ]
    found = separation.transrate(features, labels, epsilon)
    assert found == pytest.approx(rate(centred) - sum(within), abs=1e-8)
    assert found >= -1e-9  # log det is concave


@settings(max_examples=30, deadline=None)
@given(cases, st.integers(0, 2**32 - 1))
def test_feature_scores_do_not_see_order_names_and_rotations(case, seed):
    features, labels, _ = case
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(features.shape[1],) * 2))[0]
    turned, renamed = features[order] @ turn, (9 - 2 * labels)[order] + 100
    for score in (
        logme.logme,
        separation.h_score,
        lambda f, y: separation.shrunk_h_score(f, y)[0],
        lambda f, y: separation.transrate(f, y, 1e-2),
        controls.nearest_class_mean,
    ):
        assert score(turned, renamed) == pytest.approx(score(features, labels), rel=1e-5, abs=1e-6)
    scaled = features * 37 + 5
    assert separation.h_score(scaled, labels) == pytest.approx(
        separation.h_score(features, labels), rel=1e-5, abs=1e-6
    )


def test_h_score_counts_dimensions_that_tell_classes_apart():
    """With as many features as images every labelling is told apart, whatever the labels: K - 1."""
    features, labels, _ = made(count=20, width=50, classes=4, apart=0.0)
    assert separation.h_score(features, labels) == pytest.approx(3)
    assert separation.shrunk_h_score(features, labels)[0] < 1.5


# --- transport


def by_linear_program(source_features, source_labels, features, labels):
    """W and CE from a plan that scipy's simplex gives."""
    cost = np.array([[((s - f) ** 2).sum() for f in features] for s in source_features])
    rows, columns = cost.shape
    sums = np.array(
        [np.kron(np.eye(rows)[i], np.ones(columns)) for i in range(rows)]
        + [np.kron(np.ones(rows), np.eye(columns)[j]) for j in range(columns)]
    )
    found = scipy.optimize.linprog(
        cost.ravel(), A_eq=sums, b_eq=[1 / rows] * rows + [1 / columns] * columns, method="highs"
    )
    plan, entropy = found.x.reshape(rows, columns), 0.0
    for s in set(source_labels.tolist()):
        for t in set(labels.tolist()):
            both = plan[np.ix_(source_labels == s, labels == t)].sum()
            entropy -= both * np.log(both / plan[source_labels == s].sum()) if both > 1e-12 else 0
    return found.fun, entropy


@pytest.mark.parametrize("seed", range(6))
def test_otce_is_the_linear_program(seed):
    """Costs of real numbers: the plan is unique, so that the entropy is too."""
    source, source_labels, _ = made(seed, count=9, width=3, classes=3)
    target, labels, _ = made(seed + 50, count=11 - seed % 3, width=3, classes=3)
    distance, entropy = transport.otce(
        source, source_labels * 2, target, labels, samples=100, seed=0
    )
    expected = by_linear_program(source, source_labels, target, labels)
    assert (distance, entropy) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.integers(-4, 4).map(float)), st.integers(0, 99))
def test_otce_of_a_domain_and_itself_is_nothing(features, seed):
    labels = np.unique(features, axis=0, return_inverse=True)[1].ravel()
    distance, entropy = transport.otce(
        features, labels, features[::-1], labels[::-1], samples=100, seed=seed
    )
    assert distance == pytest.approx(0, abs=1e-9)
    assert entropy == pytest.approx(0, abs=1e-9)


def test_otce_draws_as_many_as_told_and_a_seed_decides_which():
    source, source_labels, _ = made(0, count=300)
    target, labels, _ = made(1, count=200)
    found = [
        transport.otce(source, source_labels, target, labels, samples=50, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]
    whole = transport.otce(source, source_labels, target, labels, samples=300, seed=1)
    assert whole == transport.otce(source, source_labels, target, labels, samples=1000, seed=2)


def test_a_large_common_mean_costs_otce_no_digits():
    source, source_labels, _ = made(0, count=30)
    target, labels, _ = made(1, count=30)
    near, far = (
        transport.otce(source + m, source_labels, target + m, labels, samples=100, seed=0)[0]
        for m in (0.0, 1e6)
    )
    assert far == pytest.approx(near, rel=1e-8)


# --- controls


def test_accuracy_is_the_share_that_the_head_tells_right():
    rng = np.random.default_rng(0)
    weight, bias, features, labels = (
        rng.normal(size=(4, 3)),
        rng.normal(size=4),
        rng.normal(size=(50, 3)),
        rng.integers(0, 4, 50),
    )
    right = [
        max(range(4), key=lambda k, f=f: float(weight[k] @ f + bias[k])) == y
        for f, y in zip(features, labels, strict=True)
    ]
    assert controls.source_accuracy((weight, bias), features, labels) == np.mean(right)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_nearest_class_mean_leaves_each_image_out(case):
    features, labels, _ = case
    right = []
    for index in range(len(labels)):
        others = np.arange(len(labels)) != index
        cosines = cosine_to_means(
            features[others], labels[others], features[[index]], int(labels.max()) + 1
        )[0]
        right.append(cosines.argmax() == labels[index] and np.isfinite(cosines[labels[index]]))
    if features.shape[1] > 1:  # in one dimension all cosines are 1 or -1, and ties are no accident
        assert controls.nearest_class_mean(features, labels) == pytest.approx(np.mean(right))


def test_linear_probe_is_a_regression_judged_on_images_that_it_was_not_fitted_to():
    features, labels, _ = made(count=400, width=8, apart=1.2)
    accuracy, fitted = controls.linear_probe(features, labels, 0.25, 1e-3, steps=100, seed=1)
    # Held-out accuracies over many splits by scikit-learn's own means: ours is one of their kind.
    from sklearn.model_selection import StratifiedShuffleSplit

    theirs = [
        LogisticRegression(C=1 / (1e-3 * 300), max_iter=100)
        .fit(features[a], labels[a])
        .score(features[b], labels[b])
        for a, b in StratifiedShuffleSplit(10, test_size=0.25, random_state=0).split(
            features, labels
        )
    ]
    assert min(theirs) <= accuracy <= max(theirs)
    ours = [
        controls.linear_probe(features, labels, 0.25, 1e-3, steps=100, seed=seed)[0]
        for seed in range(10)
    ]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4 * np.std(theirs) / np.sqrt(10))
    assert fitted >= np.mean(ours)
    assert controls.linear_probe(features, labels, 0.25, 1e-3, steps=100, seed=1) == (
        accuracy,
        fitted,
    )


def test_linear_probe_of_labels_without_meaning_is_chance():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(2000, 50)), rng.integers(0, 4, 2000)
    accuracy, fitted = controls.linear_probe(features, labels, 0.5, 1e-4, steps=100, seed=0)
    assert accuracy == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 1000))
    assert fitted > accuracy


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
