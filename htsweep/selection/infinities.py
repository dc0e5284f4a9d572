"""Numbers may be infinite, and sums of great ones are: what follows is infinite or not defined, and nobody need be warned."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def with_infinities(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The function, without numpy's warnings that inf - inf is not a number, and that a sum is beyond a float."""

    @functools.wraps(function)
    def unwarned(*arguments: _P.args, **named: _P.kwargs) -> _T:
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            return function(*arguments, **named)

    return unwarned
