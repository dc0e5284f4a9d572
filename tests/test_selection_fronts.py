"""The searches for a front agree with each other, and with a comparison of all pairs."""

from hypothesis import given
from hypothesis import strategies as st

from htsweep.selection.fronts import front_places, non_dominated

NUMBER = st.integers(0, 5).map(float)


@given(pairs=st.lists(st.tuples(NUMBER, NUMBER), max_size=20))
def test_the_front_in_plain_python_is_the_front(pairs: list[tuple[float, float]]) -> None:
    found = front_places(pairs)
    beaten = [any(a >= x and b >= y and (a, b) != (x, y) for a, b in pairs) for x, y in pairs]
    assert sorted(found) == [place for place, worse in enumerate(beaten) if not worse]
    flags = non_dominated([x for x, _ in pairs], [y for _, y in pairs])
    assert sorted(found) == [place for place, on in enumerate(flags) if on]
    assert [pairs[place][0] for place in found] == sorted(
        (pairs[place][0] for place in found), reverse=True
    )
