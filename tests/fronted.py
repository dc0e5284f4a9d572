"""Fronts by brute force."""

from hypothesis import strategies as st

DIRECTIONS = st.tuples(st.booleans(), st.booleans())


def brute(
    pairs: list[tuple[float, float]], maximise: tuple[bool, bool] = (True, True)
) -> list[bool]:
    """Nobody is as good on both and better on one: two loops."""
    turned = [
        tuple(value if more else -value for value, more in zip(pair, maximise, strict=True))
        for pair in pairs
    ]
    return [not any(b[0] >= a[0] and b[1] >= a[1] and b != a for b in turned) for a in turned]
