"""Calls to a network file system, made again where its answer is about to change."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
PASSING = (errno.ESTALE, errno.EAGAIN, errno.EINTR, errno.ETIMEDOUT)
"""What a network file system answers of a file that another machine has just replaced."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds after which a folder is asked again that has answered one of `PASSING`."""


def unless_passing(call: Callable[[], _T]) -> _T:
    """What `call` returns, made again a few times if it answers one of `PASSING`.

    Raises:
        OSError: it still does, or answers something else.
    """
    for pause in PAUSES:
        try:
            return call()
        except OSError as error:
            if error.errno not in PASSING:
                raise
            time.sleep(pause)
    return call()
