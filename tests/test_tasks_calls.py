"""Texts of calls: what they mean, one text for equal ones, and what is no call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import calls
from tasks.calls import Call

literals = st.recursive(
    st.one_of(
        st.integers(-1000, 1000),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.booleans(),
        st.none(),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
names = st.from_regex(r"[a-z]\w{0,5}(:[a-z]\w{0,5})?", fullmatch=True).filter(str.isascii)
words = st.from_regex(r"v[a-z]{1,4}", fullmatch=True)


@given(
    st.lists(
        st.builds(
            Call,
            names,
            st.lists(literals, max_size=2).map(tuple),
            st.dictionaries(words, literals, max_size=2),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_the_text_of_calls_reads_as_the_calls(listed):
    text = ", ".join(map(str, listed))
    assert calls.read(text) == listed
    assert calls.canonical(text) == text


def test_equal_calls_have_one_text():
    texts = (
        "Crop( 28,padding = 2 ),Flip()",
        "Crop(28, padding=2), Flip",
        " Crop(28, padding=0x2), Flip ",
    )
    assert {calls.canonical(text) for text in texts} == {"Crop(28, padding=2), Flip"}
    assert calls.canonical("f(b=1, a=2)") == calls.canonical("f(a=2, b=1)") == "f(a=2, b=1)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,",
        "3",
        "a(",
        "a)",
        "a(b)",
        "a(x())",
        "a(1)(2)",
        "a(**{})",
        "a(*[1])",
        "a b",
        "a('",
        "a(1 for 1)",
        "a(__import__('os'))",
        "-a",
    ],
)
def test_what_is_no_call_is_refused(text):
    with pytest.raises(ValueError, match=r"got|cannot be read"):
        calls.read(text)
    assert calls.canonical(text) == text
