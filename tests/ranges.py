"""What a dimension may be, for property tests."""

from typing import Any

from hypothesis import strategies as st


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    log, integer = draw(st.booleans()), draw(st.booleans())
    number = st.integers(1, 50) if integer else st.floats(1e-6, 1e6)
    low, high = sorted(draw(st.tuples(number, number).filter(lambda pair: pair[0] != pair[1])))
    return {"low": low, "high": high, "log": log, "integer": integer}


CHOICES = st.lists(st.integers() | st.text(max_size=3), min_size=1, max_size=4, unique_by=repr)
