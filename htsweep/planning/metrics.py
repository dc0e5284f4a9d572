"""The metrics that a study computes from kept logits, by name; not part of any id."""

from __future__ import annotations

import importlib
import inspect
import math
import random
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from htsweep.errors import HtsweepError, did_you_mean
from htsweep.planning import unrun

if TYPE_CHECKING:
    from tasks.outputs import Outputs


class MetricError(HtsweepError):
    """A metric raised an exception or returned no number; the message says which and where."""


@final
@dataclass(frozen=True)
class Metric:
    """A function of a model's outputs on one split, under the name that the study gives it."""

    name: str
    """`ece`, or `my_metrics:worst_class`."""
    function: Callable[..., Any]

    @property
    def label(self) -> str:
        """The name of its columns, after that of the split."""
        return label(self.name)

    def measured(
        self, outputs: Outputs, others: Mapping[str, Outputs] | None = None
    ) -> dict[str, float]:
        """Column -> number: `test/NAME`, or `test/NAME_KEY` for each of several; NaN is left out.

        Args:
            outputs: the outputs on the split to measure.
            others: split -> outputs at the same step, for a function with two parameters.

        Raises:
            MetricError: the function raised an exception, or returned no number.
        """
        with _undisturbed():
            try:
                given = (
                    self.function(outputs, others or {outputs.split: outputs})
                    if takes_others(self.function)
                    else self.function(outputs)
                )
            except Exception as error:  # a user's function may raise anything
                raise MetricError(
                    f"metric {self.name} raised {type(error).__name__}: {error} on split "
                    f"'{outputs.split}'{_place(error)}"
                ) from error
        column = f"{before(outputs.split)}{self.label}"
        values = (
            {f"{column}_{key}": value for key, value in given.items()}
            if isinstance(given, Mapping)
            else {column: given}
        )
        numbers = {name: self._number(name, value) for name, value in values.items()}
        return {name: number for name, number in numbers.items() if not math.isnan(number)}

    def _number(self, column: str, value: Any) -> float:
        if getattr(value, "ndim", None) == 0 and not isinstance(value, Real):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, Real):
            raise MetricError(
                f"metric {self.name} gives a number, or a mapping of numbers, but gave "
                f"{type(value).__name__} for {column}"
            )
        return float(value)


def label(name: str) -> str:
    """The name of a metric's columns, after that of the split."""
    return name.rpartition(":")[2]


def find(name: str) -> Metric:
    """The metric called `name`: one that comes with htsweep, or a user's own as `module:function`.

    Raises:
        HtsweepError: there is none, or its module cannot be imported.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        if name not in known():
            raise HtsweepError(
                f"no metric '{name}'; {did_you_mean(name, known())} "
                "(or your own as module:function)"
            )
        from tasks.output_metrics import METRICS

        return Metric(name, METRICS[name])
    try:
        function = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:  # a user's module may raise anything at import
        raise _not_imported(name, module, error) from None
    if not callable(function):
        raise HtsweepError(f"metric '{name}': {module} has no function '{attribute}'")
    return Metric(name, function)


def check(name: str) -> None:
    """Raises what `find` would raise, as far as that shows without running a user's module.

    Raises:
        HtsweepError: there is no such metric.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        find(name)
        return
    try:
        there = unrun.defines(module, attribute)
    except Exception as error:  # whatever is not a module
        raise _not_imported(name, module, error) from None
    if not there:
        raise HtsweepError(f"metric '{name}': {module} has no function '{attribute}'")


def known() -> dict[str, str]:
    """The metrics that come with htsweep: name -> a line that describes it."""
    from tasks.output_metrics import METRICS

    return {
        name: (metric.__doc__ or "").strip().partition("\n")[0] for name, metric in METRICS.items()
    }


def measured(metrics: Iterable[Metric], outputs: Mapping[str, Outputs]) -> dict[str, float]:
    """Column -> number, for all metrics on all splits.

    Raises:
        MetricError: see `Metric.measured`; or two metrics measured the same column.
    """
    row: dict[str, float] = {}
    for metric in metrics:
        for split in outputs.values():
            found = metric.measured(split, outputs)
            twice = sorted(row.keys() & found.keys())
            if twice:
                raise MetricError(
                    f"metric {metric.name} measures {twice[0]}, which another metric of the study "
                    "measures too; give one of the functions another name"
                )
            row |= found
    return row


def takes_others(function: Callable[..., Any]) -> bool:
    """Whether a metric has a second parameter, for the outputs on all splits.

    A calibration needs them, for instance.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    asked_for = [
        parameter
        for parameter in parameters
        if parameter.kind in positional and parameter.default is inspect.Parameter.empty
    ]
    return len(asked_for) > 1


def before(split: str) -> str:
    """The prefix of the columns measured on a split: `test/`, `validation/source_`."""
    from tasks.outputs import COLUMNS

    return COLUMNS.get(split, f"{split}/")


def asked(name: str, metrics: Sequence[str]) -> bool:
    """Whether a column may come from one of the study's metrics."""
    labels = [metric.rpartition(":")[2] for metric in metrics]
    prefixes = _prefixes() if labels else ()
    rests = [name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)]
    return any(rest == label or rest.startswith(f"{label}_") for rest in rests for label in labels)


def columns(metrics: Iterable[str]) -> list[str]:
    """The columns that a study's metrics have on known splits, if each returns one number."""
    labels = [name.rpartition(":")[2] for name in metrics]
    return [f"{prefix}{label}" for label in labels for prefix in _prefixes()]


def _prefixes() -> Sequence[str]:
    from tasks.outputs import COLUMNS

    return tuple(COLUMNS.values())


def _not_imported(name: str, module: str, error: Exception) -> HtsweepError:
    return HtsweepError(
        f"metric '{name}': importing {module} raised {type(error).__name__}: {error}"
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Restores the generators of Python and numpy, so that measuring changes no training."""
    import numpy as np

    own, state = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(own)
        np.random.set_state(state)


def _place(error: BaseException) -> str:
    """The line of the metric's own function that raised, as ` (FILE, line N)`; "" if unknown."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    if not frames:
        return ""
    return f" ({Path(frames[0].filename).name}, line {frames[0].lineno})"
