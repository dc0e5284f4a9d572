"""Values of a study's text: scalars, merge keys, aliases, and what a study cannot hold."""

import pytest
from documents import told
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from htsweep.study import document
from htsweep.study.values import DEEPEST


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("yes", "yes"),
        ("on", "on"),
        ("no", "no"),
        ("true", True),
        ("012", 12),
        ("0o17", 15),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("2020-13-45", "2020-13-45"),
        ("null", None),
        ("~", None),
        ("'1'", "1"),
        (".5", 0.5),
        ("[1, a]", [1, "a"]),
        ("=", "="),
        ("<<", "<<"),
        ("!!str 3", "3"),
        ("!!float 3", 3.0),
        (".inf", float("inf")),
        ("-.inf", float("-inf")),
        ("0e-999", 0.0),
        ("9223372036854775807", 2**63 - 1),
        (r'"\ud83d\ude00"', "\U0001f600"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = document.scalar(text)
    assert found == value
    assert type(found) is type(value)
    assert not document.parse(text).problems


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


MERGED = """\
x-common: &common
  epochs: 1
  deep: {a: 1}
x-more: &more {epochs: 2, rate: 0.5}
fixed:
  rate: 0.1
  <<: [*common, *more]
plain:
  <<: *more
  epochs: 3
inline: {<<: {a: 1}, b: 2}
nested:
  <<: &both
    <<: *common
    epochs: 9
again: *both
"""


def test_a_key_of_its_own_wins_over_what_is_merged_and_the_first_over_the_later() -> None:
    found = document.parse(MERGED)
    assert not found.problems
    assert found.value["fixed"] == {"epochs": 1, "deep": {"a": 1}, "rate": 0.1}
    assert found.value["plain"] == {"epochs": 3, "rate": 0.5}
    assert found.value["inline"] == {"a": 1, "b": 2}
    assert found.value["nested"] == found.value["again"] == {"epochs": 9, "deep": {"a": 1}}


def test_a_merged_value_stands_where_it_was_written() -> None:
    found = document.parse(MERGED)
    assert found.line(("fixed", "epochs")) == 2
    assert found.line(("fixed", "rate")) == 6
    assert found.line(("plain", "rate")) == 4
    assert found.line(("plain", "epochs")) == 10
    assert found.line(("nested", "deep", "a")) == 3


def test_what_may_be_merged_is_said_with_the_line() -> None:
    found = told("a: &a 1\nb:\n  <<: *a\nc:\n  <<: [{x: 1}, 2]\n")
    assert [(key, line) for key, line, _ in found] == [("b.<<", 3), ("c.<<", 5)]
    [(key, line, message)] = told("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n")
    assert (key, line) == ("b.<<", 4)
    assert "first in line 3" in message
    [(key, line, message)] = told("a: &a\n  <<: *a\n  x: 1\n")
    assert (key, line) == ("a.<<", 2)
    assert "into itself" in message
    # A duplicate in what is merged is said once
    [(key, line, _)] = told("a: &a {x: 1, x: 2}\nb: {<<: *a}\n")
    assert (key, line) == ("a.x", 1)


def test_a_quoted_merge_key_is_a_key() -> None:
    assert document.parse("a: {'<<': 1, \"x\": 2}").value == {"a": {"<<": 1, "x": 2}}


# PyYAML 6.0.4 is no measure: of `k1: &m1 {<<: *m0, a: 1}` and `{<<: *m1}` it gives the second the
# `a` of m0.
KEYS = st.sampled_from("abcd")


MAPPINGS = st.recursive(
    st.integers(0, 9), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


@settings(max_examples=100)
@given(
    st.lists(st.dictionaries(KEYS, MAPPINGS, min_size=1, max_size=3), min_size=2, max_size=4),
    st.data(),
)
def test_merging_is_what_ruamel_makes_of_it(
    parts: list[dict[str, object]], data: st.DataObject
) -> None:
    lines = []
    for number, part in enumerate(parts):
        merged = data.draw(st.lists(st.integers(0, number - 1), max_size=2)) if number else []
        keys = [f"  {key}: {document.dump(value)}" for key, value in part.items()]
        one = (
            f"  <<: *m{merged[0]}"
            if len(merged) == 1
            else "  <<: [" + ", ".join(f"*m{other}" for other in merged) + "]"
        )
        keys.insert(data.draw(st.integers(0, len(keys))), one if merged else "")
        lines += [f"k{number}: &m{number}", *filter(None, keys)]
    text = "\n".join(lines) + "\n"
    assert document.parse(text).value == YAML(typ="safe", pure=True).load(text)
    assert not document.parse(text).problems


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("1e400", "would become .inf"),
        ("-1e400", "would become -.inf"),
        ("1e-400", "would become 0.0"),
        ("9" * 5000, "cannot be read"),
        (str(2**63), "64 bits"),
        ("0x" + "f" * 50_000, "64 bits"),
        ("!!int x", "cannot be read"),
        ("!!int ''", "cannot be read"),
        ("!!bool maybe", "cannot be read"),
        ("!!binary aGk=", "the tag !!binary"),
        ("!!set {a, b}", "the tag !!set"),
        ("!!omap [a: 1]", "the tag !!omap"),
        ("!mine 3", "the tag !mine"),
        ("!!python/object/apply:os.getcwd []", "the tag !!python/object/apply:os.getcwd"),
        ("!!python/name:os.system ''", "the tag !!python/name:os.system"),
        (r'"\ud800"', "half a character"),
    ],
)
def test_a_value_that_a_study_cannot_hold_is_named_with_its_line(text: str, hint: str) -> None:
    [(key, line, message)] = told(f"first: 1\na:\n  b: {text}\n")
    assert (key, line) == ("a.b", 3)
    assert hint in message
    assert len(message) < 300


def test_keys_are_text_whatever_they_look_like() -> None:
    assert document.parse("1: a\ntrue: b\nnull: c\n2020-01-01: d\n1.0: e\n").value == {
        "1": "a",
        "true": "b",
        "null": "c",
        "2020-01-01": "d",
        "1.0": "e",
    }


def test_no_tag_makes_an_object() -> None:
    assert document.parse("a: !!python/object/apply:os.getcwd []").value == {"a": []}


def test_as_deep_as_is_allowed() -> None:
    depth = DEEPEST - 2
    assert document.parse("a: " + "[" * depth + "]" * depth).problems == ()
    [(_, line, message)] = told("a:\n  " + "[" * 60 + "]" * 60)
    assert line == 2
    assert "nested deeper than 50 levels" in message
