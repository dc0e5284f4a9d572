"""POT, the optional solver of optimal transport (175 MB) for the scores `otce_...` and `tta...`."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any


@functools.cache
def installed() -> bool:
    """Whether POT is installed; does not import it."""
    return importlib.util.find_spec("ot") is not None


def solver() -> Any:
    """The module `ot`.

    Raises:
        ValueError: it is not installed; says how to install it.
    """
    if not installed():
        raise ValueError(
            "this score solves optimal transport by the package POT, which is not installed; "
            "pip install 'htsweep[transport]'"
        )
    return importlib.import_module("ot")
