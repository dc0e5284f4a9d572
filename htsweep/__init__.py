"""Studies of transfer learning when the target data covers only some of the classes.

The verbs of the command line, for scripts and notebooks:

    study = htsweep.read("studies/digits.yaml")
    htsweep.plan(study).trial_count
    htsweep.launch(study)
    htsweep.frontier(study)             # pandas tables: trials, measurements, frontier
    htsweep.query(study, 'SELECT method, avg("test/ausuc") FROM chosen GROUP BY method')
    htsweep.compare(study, results_b="after").table
    htsweep.open("studies/digits.yaml").curves()    # displayed in a notebook
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from htsweep.launching import launch
    from htsweep.planning.plan import plan
    from htsweep.planning.reading import read
    from htsweep.report.build import frontier
    from htsweep.report.notebook import open
    from htsweep.results.compare import compare
    from htsweep.results.ensemble import ensemble
    from htsweep.results.gather import gather
    from htsweep.results.query import query
    from htsweep.results.remeasure import remeasure
    from htsweep.results.results import measurements, trials

__all__ = [
    "compare",
    "ensemble",
    "frontier",
    "gather",
    "launch",
    "measurements",
    "open",
    "plan",
    "query",
    "read",
    "remeasure",
    "trials",
]

_HOMES = {
    "read": "planning.reading",
    "plan": "planning.plan",
    "launch": "launching",
    "trials": "results.results",
    "measurements": "results.results",
    "frontier": "report.build",
    "compare": "results.compare",
    "query": "results.query",
    "ensemble": "results.ensemble",
    "gather": "results.gather",
    "remeasure": "results.remeasure",
    "open": "report.notebook",
}


def __getattr__(name: str) -> Any:
    # Each verb is imported when it is used: `import htsweep` costs nothing.
    if name not in _HOMES:
        msg = f"module 'htsweep' has no attribute '{name}'"
        raise AttributeError(msg)
    import importlib

    return getattr(importlib.import_module(f"htsweep.{_HOMES[name]}"), name)
