"""YAML 1.2 with lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htsweep import document

PLAIN = st.none() | st.booleans() | st.integers(-10**9, 10**9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(
    st.characters(codec="ascii", exclude_categories=["Cc"]))


@pytest.mark.parametrize(("text", "value"), [
    ("1e-3", 0.001), ("1E3", 1000.0), ("yes", "yes"), ("on", "on"), ("no", "no"), ("true", True), ("012", 12),
    ("0o17", 15), ("12:30", "12:30"), ("2020-01-01", "2020-01-01"), ("null", None), ("~", None), ("'1'", "1"),
    (".5", 0.5), ("[1, a]", [1, "a"]),
])
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = document.scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_every_value_knows_its_line() -> None:
    found = document.parse("a: 1\nb:\n  - x\n  - y: 2\n")
    assert found.line(("a",)) == 1
    assert found.line(("b",)) == 2
    assert found.line(("b", 1, "y")) == 4
    assert found.line(("b", 1, "absent")) == 4
    assert found.line(("absent",)) == 1


def test_duplicate_keys_are_all_reported_with_both_lines() -> None:
    found = document.parse("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [(problem.key, problem.line) for problem in found.problems] == [("a", 2), ("b.c", 3)]
    assert "first in line 1" in found.problems[0].message
    assert found.value == {"a": 1, "b": {"c": 1}}


@pytest.mark.parametrize("text", ["a: [1,\n", "\ta: 1", "a: b: c", "a: *nowhere", "&x [*x]"])
def test_broken_text_is_a_problem_with_a_line(text: str) -> None:
    found = document.parse(text)
    assert found.problems
    assert found.problems[0].line is not None


def test_no_tag_makes_an_object() -> None:
    assert document.parse("a: !!python/object/apply:os.getcwd []").value == {"a": []}


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4), max_leaves=8))
def test_what_is_dumped_is_read_back(value: object) -> None:
    assert document.scalar(document.dump(value)) == value
