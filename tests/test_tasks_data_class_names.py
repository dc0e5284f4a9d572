"""Classes are found by name and index, and what could mean two is refused."""

import pytest

from tasks import data


def test_classes_are_found_by_name_and_index():
    assert data.class_indices(["dog", 0], ("cat", "cow", "dog")) == [0, 2]
    with pytest.raises(ValueError, match="no class 'dgo', 7; did you mean dog"):
        data.class_indices(["dgo", 7], ("cat", "cow", "dog"))


NUMBERS = ("0", "1", "10", "11", "2")


@pytest.mark.parametrize(
    ("given", "found"), [(0, 0), (1, 1), ("2", 4), ("10", 2), (10, 2), (11, 3)]
)
def test_a_number_is_a_name_first(given, found):
    """As text, folders 0 to 11 have other indices than their names say."""
    assert data.class_indices([given], NUMBERS) == [found]


@pytest.mark.parametrize(
    ("given", "classes", "said"),
    [
        (2, NUMBERS, "2 could be '10' or '2'.*quotes"),
        (2, ("01", "02", "03"), "2 could be '02' or '03'.*quotes"),
        (1, ("1", "01", "a"), "1 could be '1' or '01'"),
        (1.0, NUMBERS, "no class 1.0"),
        (True, NUMBERS, "no class True"),
        (None, NUMBERS, "no class None"),
        (-1, NUMBERS, "no class -1"),
        (5, NUMBERS, "no class 5"),
        (
            False,
            ("false", "true"),
            "no class False; a name that YAML does not read as text takes quotes: 'false'",
        ),
        (1.5, ("1.5", "2"), "takes quotes: '1.5'"),
        ([0], NUMBERS, r"no class \[0\]"),
    ],
)
def test_what_is_no_class_or_could_be_two_is_refused(given, classes, said):
    with pytest.raises(ValueError, match=said):
        data.class_indices([given], classes)


def test_digits_have_their_names_for_indices():
    assert data.class_indices(list(range(10)), data.classes("uci")) == list(range(10))
