"""Finds executors by name: `ray`, `inline`, or a user's own as `module:function`.

The function takes `Options` and returns an executor (htsweep/execution/executor.py). It is called
at the start of each launch, whether or not there is anything to run, and may raise an HtsweepError
to refuse options that the executor cannot serve. Its module is found beside the study file, as
those of tasks are. See `docs/examples/my_executor.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from htsweep.errors import HtsweepError, did_you_mean
from htsweep.execution import machine
from htsweep.execution.executor import Executor
from htsweep.execution.shipping import Shipped
from htsweep.execution.workspace import cache_folder
from htsweep.study.resources import Amount

BUILT_IN = {
    "inline": (
        "htsweep.execution.inline:in_this_process",
        "one after another in the process of the launch; for debugging",
    ),
    "ray": (
        "htsweep.execution.ray:on_ray",
        "in parallel on this machine, or with --address on a cluster (default)",
    ),
}
"""Name -> the function that makes the executor, and a line that describes it."""
DEFAULT = "ray"
MEMBERS = ("__enter__", "__exit__", "events", "room", "slots", "stop", "submit")


@final
@dataclass(frozen=True)
class Options:
    """What an executor is made from."""

    cpu: float = 1.0
    """The most cores that a trial needs."""
    gpu: float = 0.0
    """The most GPUs that a trial needs, or a fraction of one."""
    address: str | None = None
    """What the user gave as `--address`."""
    wait_minutes: float | None = None
    """What the user gave as `--wait-for-nodes`."""
    amounts: Sequence[Amount] = ()
    """The different amounts that trials need, where they differ."""
    shipped: Shipped | None = None
    """The files beside the study, which a node elsewhere may lack."""

    def require_this_machine(self) -> None:
        """Checks that trials can run on this machine.

        Raises:
            ResourceError: it has less than a trial needs.
            HtsweepError: it has no usable cache folder, without which every trial would fail.
        """
        machine.lacking(self.cpu, self.gpu, "launch with --address on a cluster that has more")
        cache_folder()


def make(name: str, options: Options) -> Executor:
    """The executor called `name`; nothing is started before its context is entered.

    Raises:
        HtsweepError: no executor has that name, or it cannot serve the options.
    """
    reference = BUILT_IN[name][0] if name in BUILT_IN else name
    module_name, colon, function_name = reference.partition(":")
    if not (module_name and colon and function_name):
        msg = (
            f"unknown executor '{name}'; choose {' or '.join(BUILT_IN)}, "
            "or name your own as module:function"
        )
        raise HtsweepError(msg)
    module = _imported(name, module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        callables = [
            key
            for key, value in vars(module).items()
            if callable(value) and not key.startswith("_")
        ]
        where = getattr(module, "__file__", None) or module_name
        hint = did_you_mean(function_name, callables)
        raise HtsweepError(
            f"unknown executor '{name}': {where} has no function '{function_name}'; {hint}"
        )
    executor: Executor = function(options)
    missing = [member for member in MEMBERS if not hasattr(executor, member)]
    if missing:
        msg = (
            f"executor '{name}': the function returned a {type(executor).__name__}, which is not "
            f"an executor: it lacks {', '.join(missing)}. "
            "What an executor has is in htsweep/execution/executor.py"
        )
        raise HtsweepError(msg)
    return executor


def _imported(name: str, module_name: str) -> object:
    try:
        spec = importlib.util.find_spec(module_name)
    except (ImportError, ValueError):  # a package on the way to it is missing or broken
        spec = None
    if spec is None:
        msg = (
            f"unknown executor '{name}': there is no module '{module_name}' beside the study file "
            "or where Python looks for modules"
        )
        raise HtsweepError(msg)
    try:
        return importlib.import_module(module_name)
    except Exception as error:
        msg = (
            f"executor '{name}': {spec.origin or module_name} cannot be imported: "
            f"{type(error).__name__}: {error}; fix that file, then launch again"
        )
        raise HtsweepError(msg) from error
