"""What is said of a value that does not fit a section: the rule, then what was given."""

from typing import Any

import pytest

from htsweep.study.messages import real, said, shown
from htsweep.study.schema import Budget, Study

SECTIONS = {"": Study, "budget": Budget}


def entry(kind: str, given: Any = None, loc: tuple[Any, ...] = ("x",), **context: Any) -> Any:
    return {"type": kind, "input": given, "loc": loc, "ctx": context, "msg": "pydantic's own"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 1}, "a mapping"),
        ([1, 2, 3], "a list of 3"),
        ("3", "the text '3'"),
        (True, "true"),
        (None, "null"),
        (3, "3"),
    ],
)
def test_a_value_in_words(value: Any, text: str) -> None:
    assert shown(value).strip() == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (entry("greater_than", 0, gt=0), "must be greater than 0, but got 0"),
        (entry("greater_than_equal", -1, ge=2), "must be at least 2, but got -1"),
        (entry("less_than_equal", 7, le=5), "must be at most 5, but got 7"),
        (entry("int_type", "a"), "must be a whole number, but got the text 'a'"),
        (entry("float_type", [1]), "must be a number, but got a list of 1"),
        (entry("model_type", 3), "must be a mapping of keys to values, but got 3"),
        (entry("too_short", []), "must have at least one entry, but got a list of 0"),
        (entry("missing"), "the key is required, but missing"),
        (entry("of_a_new_kind", {}), "pydantic's own, but got a mapping"),
    ],
)
def test_the_rule_comes_before_what_was_given(given: Any, text: str) -> None:
    assert said(given, SECTIONS) == text


def test_a_word_that_is_none_of_those_allowed_is_told_with_the_nearest() -> None:
    told = said(entry("literal_error", "gird", expected="'grid', 'random' or 'tpe'"), SECTIONS)
    assert told.startswith("got 'gird'; did you mean 'grid'?")
    assert "random" in told


def test_an_unknown_key_is_told_with_the_nearest_of_its_section() -> None:
    inner = said(entry("extra_forbidden", loc=("budget", "trails")), SECTIONS)
    assert inner.startswith("unknown key; did you mean 'trials'?")
    assert "x-" not in inner
    outer = said(entry("extra_forbidden", loc=("repetition",)), SECTIONS)
    assert outer.startswith("unknown key; did you mean 'repetitions'?")
    assert outer.endswith("; a key of your own, for settings that others share, begins with `x-`")


def test_a_place_is_without_the_parts_that_unions_add() -> None:
    value = {"ablate": {"components": {"a": {"x": 1}}}, "grid": {"x": [1, 2]}}
    assert real(("ablate", "components", "mapping", "a"), value) == ("ablate", "components", "a")
    assert real(("grid", "x", 1), value) == ("grid", "x", 1)
    assert real(("grid", "x", "list", 1), value) == ("grid", "x", 1)
    assert real(("ablate", "full"), value) == ("ablate", "full"), "a key that is missing is named"
