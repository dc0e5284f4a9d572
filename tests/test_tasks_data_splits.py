"""Class splits: nested missing classes, disjoint sets, official test images, canonical ratios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data import splits


@given(st.integers(2, 60), st.floats(0, 0.99), st.floats(0, 0.99), st.integers(0, 1000))
def test_missing_classes_are_nested_in_the_ratio(classes, a, b, seed):
    less, more = (set(splits.draw_missing(classes, ratio, seed)) for ratio in sorted((a, b)))
    assert less <= more
    assert len(more) < classes
    for ratio, found in zip(sorted((a, b)), (less, more), strict=True):
        assert len(found) == min(max(round(ratio * classes), int(ratio > 0)), classes - 1)


@given(
    st.lists(st.integers(0, 3), min_size=12, max_size=80),
    st.integers(0, 99),
    st.sets(st.integers(0, 3), max_size=2),
)
def test_splits_are_disjoint_stratified_and_blind_to_missing_classes(listed, seed, missing):
    labels = np.array(listed)
    found = splits.split(labels, sorted(missing), seed)
    assert sorted(
        [*found.reference, *splits.split(labels, [], seed).validation, *found.test]
    ) == list(range(len(labels)))
    assert not missing & set(labels[found.train].tolist())
    assert not missing & set(labels[found.validation].tolist())
    assert (found.test == splits.split(labels, [], seed).test).all()
    for index in set(listed):
        own = listed.count(index)
        assert index in labels[found.reference]
        if own >= 2:
            assert max(1, round(0.3 * own)) == (labels[found.test] == index).sum()


@given(st.integers(2, 400), st.floats(0, 0.99))
def test_one_ratio_stands_for_all_that_leave_out_as_many_classes(classes, ratio):
    meant = splits.canonical_ratio(classes, ratio)
    assert splits.missing_count(classes, meant) == splits.missing_count(classes, ratio)
    assert splits.canonical_ratio(classes, meant) == meant
    assert 0 <= meant <= max(ratio, 0.99)
    assert abs(meant - splits.missing_count(classes, ratio) / classes) <= 0.5 / classes + 1e-12


@given(st.integers(10, 2000), st.integers(0, 9))
def test_ratios_of_one_digit_stand_for_themselves(classes, tenths):
    """So that trials that were run with them keep their ids."""
    assert splits.canonical_ratio(classes, tenths / 10) == tenths / 10


@pytest.mark.parametrize(
    ("classes", "ratios", "meant"),
    [
        (4, (0.1, 0.2, 0.25, 0.3), 0.25),
        (2, (0.01, 0.5, 0.99), 0.5),
        (10, (0.26, 0.3, 0.34), 0.3),
        (65, (0.5,), 0.5),
        (3, (0.2, 0.3, 1 / 3), 0.3),
        (20, (0.25,), 0.25),
        (100, (0.335, 0.34), 0.34),
        (4, (0,), 0),
    ],
)
def test_equal_ratios_are_one(classes, ratios, meant):
    assert {splits.canonical_ratio(classes, ratio) for ratio in ratios} == {meant}


@pytest.mark.parametrize(
    ("images", "sets"),
    [
        (0, (0, 0, 0)),
        (1, (1, 0, 0)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (10, (6, 1, 3)),
        (100, (60, 10, 30)),
    ],
)
def test_a_class_of_few_images_trains_then_tests_then_validates(images, sets):
    """(train, validation, test)"""
    found = splits.split(np.zeros(images, np.int64) if images else np.array([1]), [], 0)
    tested, validated = splits.sizes(images)
    assert (splits.trained(images), validated, tested) == sets
    if images:
        assert (len(found.train), len(found.validation), len(found.test)) == sets


@given(
    st.lists(st.integers(0, 3), min_size=20, max_size=80),
    st.integers(0, 1000),
    st.sampled_from([(), (1,), (0, 3)]),
    st.sampled_from([0.2, 1.0]),
)
def test_an_official_split_tests_its_own_images_in_every_repetition(
    listed, seed, missing, fraction
):
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3, *listed])
    test = np.arange(len(labels)) % 2 == 0
    found = splits.split(labels, missing, seed, fraction, official_test=test)
    assert found.test.tolist() == np.flatnonzero(test).tolist()
    assert not set(found.train) & set(found.validation)
    assert not test[[*found.train, *found.validation, *found.reference]].any()
    assert not set(labels[[*found.train, *found.validation]]) & set(missing)
    assert set(labels[found.train]) == set(range(4)) - set(missing)
    if fraction == 1 and not missing:
        every = [*found.train, *found.validation, *found.test]
        assert sorted(every) == list(range(len(labels)))


def test_all_that_an_official_split_leaves_trains() -> None:
    labels = np.zeros(20, np.int64)
    test = np.arange(20) < 1  # far fewer than are drawn where there is no official split
    found = splits.split(labels, (), 0, official_test=test)
    assert len(found.test) == 1
    assert len(found.test) + len(found.validation) + len(found.train) == 20


def test_an_official_split_that_leaves_nothing_to_train_with_is_refused():
    labels = np.arange(20) % 2
    with pytest.raises(ValueError, match="all 10 images of class 1 are in the official test set"):
        splits.split(labels, (), 0, official_test=labels == 1)
    with pytest.raises(ValueError, match="marks 3 images, but there are 20"):
        splits.split(labels, (), 0, official_test=np.ones(3, bool))
