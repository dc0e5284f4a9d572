"""Studies of transfer learning when the target data covers only some of the classes.

The verbs of the command line, for scripts and notebooks:

    study = htsweep.read("studies/digits.yaml")
    htsweep.plan(study).trial_count
    htsweep.launch(study)
    htsweep.frontier(study)             # pandas tables: trials, measurements, frontier
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from htsweep.launching import launch
    from htsweep.planning import plan
    from htsweep.reporting import frontier
    from htsweep.results import measurements, trials
    from htsweep.study import read

__all__ = ["frontier", "launch", "measurements", "plan", "read", "trials"]

_HOMES = {"read": "study", "plan": "planning", "launch": "launching", "trials": "results", "measurements": "results",
          "frontier": "reporting"}


def __getattr__(name: str) -> Any:
    # Each verb is imported when it is used: `import htsweep` costs nothing.
    if name not in _HOMES:
        msg = f"module 'htsweep' has no attribute '{name}'"
        raise AttributeError(msg)
    import importlib

    return getattr(importlib.import_module(f"htsweep.{_HOMES[name]}"), name)
