"""A test suite for metrics of logits, built in or a user's own."""

from __future__ import annotations

import importlib
import inspect
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tasks.output_metrics import METRICS
from tasks.outputs import SOURCE, TEST, VALIDATION, Outputs

SPLITS = (TEST, VALIDATION, SOURCE)
CLASSES, MISSING = 10, (2, 5, 8)


def small_outputs(split: str = TEST, images: int = 200) -> Outputs:
    """Outputs of a mostly correct model; the validation split has seen classes only."""
    generator = np.random.default_rng(0)
    classes = [index for index in range(CLASSES) if split != VALIDATION or index not in MISSING]
    labels = generator.choice(classes, images)
    logits = generator.normal(size=(images, CLASSES))
    logits[np.arange(images), labels] += 2
    return Outputs(logits.astype(np.float32), labels, MISSING, split)


class MetricConformance:
    """The rules for metrics: subclass it with a metric's name, and pytest runs its tests."""

    metric: str = ""
    """`ece`, or your own as `module:function`."""

    @property
    def function(self) -> Callable[[Outputs], Any]:
        """The metric's function."""
        module, _, name = self.metric.rpartition(":")
        found: Any = getattr(importlib.import_module(module), name) if module else METRICS[name]
        return found  # type: ignore[no-any-return]

    def numbers(self, outputs: Outputs) -> dict[str, float]:
        """The metric's numbers by key; a single number has the key ""."""
        function: Callable[..., Any] = self.function
        given = (
            function(
                outputs, {name: small_outputs(name) for name in SPLITS} | {outputs.split: outputs}
            )
            if len(inspect.signature(function).parameters) > 1
            else function(outputs)
        )
        return dict(given) if isinstance(given, Mapping) else {"": given}

    def test_it_gives_numbers(self) -> None:
        """On each split it returns a number (which may be NaN) or a mapping of numbers."""
        for split in (TEST, VALIDATION, SOURCE):
            for key, value in self.numbers(small_outputs(split)).items():
                assert isinstance(key, str), f"the key {key!r} is no text"
                number = isinstance(value, float | int | np.floating | np.integer)
                assert number > isinstance(value, bool), (
                    f"{key or 'the metric'} is {value!r} on split '{split}', which is no number; "
                    "give NaN where the split cannot answer"
                )

    def test_it_gives_the_same_bits_again(self) -> None:
        """It is deterministic and stateless: logits may be measured years later."""
        random.seed(1)
        np.random.seed(1)
        first = self.numbers(small_outputs())
        self.numbers(small_outputs(VALIDATION))
        random.seed(2)
        np.random.seed(2)
        again = self.numbers(small_outputs())
        assert first.keys() == again.keys()
        changed = [key for key in first if repr(float(first[key])) != repr(float(again[key]))]
        assert not changed, (
            f"{changed} differ from one call to the next; a metric is a pure function"
        )

    def test_the_order_of_images_makes_no_difference(self) -> None:
        """The order of images has no meaning."""
        outputs = small_outputs()
        order = np.random.default_rng(1).permutation(len(outputs.labels))
        shuffled = Outputs(outputs.logits[order], outputs.labels[order], outputs.missing, TEST)
        first, other = self.numbers(outputs), self.numbers(shuffled)
        assert first.keys() == other.keys()
        for key, value in first.items():
            same = math.isclose(value, other[key], rel_tol=1e-9, abs_tol=1e-9)
            assert same or (math.isnan(value) and math.isnan(other[key])), (
                f"{key or 'the metric'} is {value} and {other[key]} for the same images in "
                "another order"
            )

    def test_a_split_of_one_image_raises_nothing(self) -> None:
        """Small datasets have almost empty splits."""
        one = small_outputs()
        self.numbers(Outputs(one.logits[:1], one.labels[:1], one.missing, TEST))
