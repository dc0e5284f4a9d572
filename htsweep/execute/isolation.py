"""A process that runs one trial after another, each as if it were the first."""

from __future__ import annotations

import importlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def fresh(seed: int, threads: int, device: str) -> Iterator[None]:
    """Global state as a new process has it, seeded; what the trial changes is put back after it."""
    folder, environment, arguments = os.getcwd(), dict(os.environ), list(sys.argv)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    _reset(seed, threads, device)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        os.chdir(folder)
        if dict(os.environ) != environment:
            os.environ.clear()
            os.environ.update(environment)
        sys.argv[:] = arguments
        root.handlers[:] = handlers
        root.setLevel(level)
        _reset(seed, threads, device)


def _reset(seed: int, threads: int, device: str) -> None:
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    # The orchestrator does not know torch; the tasks do, and only where one of them has loaded it there is a state.
    if "torch" in sys.modules:
        importlib.import_module("tasks.process").reset(seed, threads, device)
