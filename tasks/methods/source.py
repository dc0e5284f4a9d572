"""The unchanged source model."""

from tasks.methods.method import Method


def source() -> Method:
    """The source model without adaptation: what every method starts from."""
    return Method(adapts=False, needs=frozenset({"same_head"}))
