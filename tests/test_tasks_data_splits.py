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
    found = splits.split(labels, missing, seed, fraction, marks=splits.Marks(test))
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
    found = splits.split(labels, (), 0, marks=splits.Marks(test))
    assert len(found.test) == 1
    assert len(found.test) + len(found.validation) + len(found.train) == 20


def test_a_class_that_an_official_split_only_tests_has_no_training_image():
    labels = np.arange(20) % 2
    found = splits.split(labels, (), 0, marks=splits.Marks(labels == 1))
    assert set(labels[found.reference]) == {0}
    assert found.test.tolist() == np.flatnonzero(labels == 1).tolist()
    with pytest.raises(ValueError, match="marks 3 images, but there are 20"):
        splits.split(labels, (), 0, marks=splits.Marks(np.ones(3, bool)))


def test_images_that_are_marked_to_validate_do_and_no_others():
    labels = np.zeros(30, np.int64)
    place = np.arange(30) % 3
    found = splits.split(labels, (), 5, marks=splits.Marks(place == 0, place == 1))
    assert found.test.tolist() == np.flatnonzero(place == 0).tolist()
    assert found.validation.tolist() == np.flatnonzero(place == 1).tolist()
    assert found.train.tolist() == np.flatnonzero(place == 2).tolist()


def test_images_of_no_class_of_the_label_space_are_in_no_part():
    labels = np.array([-1, 0, 0, 0, -1, 1, 1, 1])
    found = splits.split(labels, (), 0)
    assert sorted([*found.train, *found.validation, *found.test]) == [1, 2, 3, 5, 6, 7]


def test_absent_classes_are_missing_and_a_ratio_is_of_the_others():
    missing = splits.draw_missing(10, 0.5, 3, present={0, 1, 2, 3})
    assert {4, 5, 6, 7, 8, 9} < set(missing)
    assert len(missing) == 6 + 2
    assert splits.draw_missing(10, 0, 3, present={7}) == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert splits.draw_missing(10, 0.3, 3, set(range(10))) == splits.draw_missing(10, 0.3, 3)


@pytest.mark.parametrize(
    ("test", "validation", "sets"), [(0.3, 0.1, (3, 1)), (0.5, 0.2, (5, 2)), (0.2, 0.0, (2, 0))]
)
def test_shares_are_of_a_classes_images(test, validation, sets):
    found = splits.split(np.zeros(10, np.int64), (), 0, shares=(test, validation))
    assert (len(found.test), len(found.validation)) == sets == splits.sizes(10, test, validation)
