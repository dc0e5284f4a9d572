"""The metrics that come with htsweep keep the rules, and the suite finds what breaks them."""

import random

import numpy as np
import pytest

from tasks.conformance import MetricConformance
from tasks.output_metrics import METRICS

RULES = [name for name in dir(MetricConformance) if name.startswith("test_")]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rule", RULES)
def test_ours(metric, rule):
    suite = MetricConformance()
    suite.metric = metric
    getattr(suite, rule)()


def drawn(outputs):
    return random.random()


def first(outputs):
    return float(outputs.logits[0, 0])


def text(outputs):
    return "high"


def second(outputs):
    return float(outputs.labels[1])


def passed(outputs):
    return None if outputs.split == "validation" else np.float32(1)


@pytest.mark.parametrize(
    ("metric", "rule", "error"),
    [
        ("drawn", "same_bits", AssertionError),
        ("first", "order", AssertionError),
        ("text", "numbers", AssertionError),
        ("passed", "numbers", AssertionError),
        ("second", "one_image", IndexError),
    ],
)
def test_what_breaks_a_rule_is_found(metric, rule, error):
    suite = MetricConformance()
    suite.metric = f"{__name__}:{metric}"
    [name] = [name for name in RULES if rule in name]
    with pytest.raises(error):
        getattr(suite, name)()
