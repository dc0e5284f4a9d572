"""Silences numpy's warnings where measured numbers, or their sums, may be infinite."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def with_infinities(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The function without numpy's warnings about overflow and about inf - inf."""

    @functools.wraps(function)
    def unwarned(*arguments: _P.args, **named: _P.kwargs) -> _T:
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            return function(*arguments, **named)

    return unwarned
