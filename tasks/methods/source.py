"""The source model as it is."""

from tasks.methods.method import Method


def source() -> Method:
    """The source model without adaptation: what every method starts from."""
    return Method(adapts=False, needs=frozenset({"same_head"}))
