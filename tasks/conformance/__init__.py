"""Checks to subclass in a test file: give the name of your own, and pytest checks that it keeps the rules.

    from tasks.conformance import DatasetConformance

    class TestSketches(DatasetConformance):
        domain = "my_data:sketches"

Each failure says which rule is broken and what to do.
"""

from tasks.conformance.datasets import DatasetConformance
from tasks.conformance.methods import MethodConformance
from tasks.conformance.metrics import MetricConformance
from tasks.conformance.scores import ScoreConformance

__all__ = ["DatasetConformance", "MethodConformance", "MetricConformance", "ScoreConformance"]
