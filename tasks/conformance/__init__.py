"""Test suites for your own datasets, methods, metrics and scores, to subclass in a test file.

    from tasks.conformance import DatasetConformance

    class TestSketches(DatasetConformance):
        domain = "my_data:sketches"

pytest runs the checks; each failure says which rule is broken and what to do.
"""

from tasks.conformance.datasets import DatasetConformance
from tasks.conformance.methods import MethodConformance
from tasks.conformance.metrics import MetricConformance
from tasks.conformance.scores import ScoreConformance

__all__ = ["DatasetConformance", "MethodConformance", "MetricConformance", "ScoreConformance"]
