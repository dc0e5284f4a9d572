"""The upper bound: training on images that adaptation does not have."""

from tasks.methods.method import Method


def oracle() -> Method:
    """Plain fine-tuning on target images of all classes, as if none were missing: upper bound."""
    return Method(all_classes=True, needs=frozenset({"missing"}))
