"""The conditions under which the trials of a study run, from the study and from this process."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from htsweep.execution import machine
from htsweep.execution.work import Conditions
from htsweep.execution.workspace import SAVE_SECONDS
from htsweep.ledger import Store
from htsweep.study.resources import Amount
from htsweep.study.schema import Study


def conditions_of(study: Study, results: str, save_seconds: float = SAVE_SECONDS) -> Conditions:
    """What trials of a launch of `study` share, and what they take by default.

    Args:
        study: as `htsweep.read` returns it.
        results: a folder or a URI.
        save_seconds: the least time between two saved states of a trial.
    """
    folder = study.folder
    commit, dirty = machine.commit(folder)
    try:
        installed = version("htsweep")
    except PackageNotFoundError:
        installed = "unknown"
    conditions = Conditions(
        results=Store(results).uri,
        study=study.name,
        save_seconds=save_seconds,
        paths=tuple(dict.fromkeys([*_own_paths(), str(folder)])),
        folder=os.getcwd(),
        version=installed,
        commit=commit,
        dirty=dirty,
    )
    return taking(stopped_as(study, conditions), study.resources.default)


def taking(conditions: Conditions, amount: Amount) -> Conditions:
    """The conditions of a trial that takes `amount`."""
    return replace(
        conditions,
        cpu=amount.cpu,
        gpu=amount.gpus,
        accelerator=amount.accelerator or "",
        time_limit=amount.time_limit_seconds,
    )


def stopped_as(study: Study, conditions: Conditions) -> Conditions:
    """The conditions with the early stopping of `study`, which scores of a screen never have."""
    return replace(
        conditions,
        first_rung=study.stop.first if study.stop else None,
        eta=study.stop.eta if study.stop else 3,
        objectives=tuple((objective.metric, objective.direction) for objective in study.objectives),
    )


def _own_paths() -> list[str]:
    """Folders in which this process finds modules and a new process would not.

    A notebook's folder is one. Folders of the interpreter itself are left out.
    """
    prefixes = (sys.prefix, sys.base_prefix)
    absolute = [str(Path(entry or ".").resolve()) for entry in sys.path]
    return [entry for entry in absolute if not entry.startswith(prefixes) and Path(entry).is_dir()]
