"""`htsweep plan --measure`: times a short run of each kind that has no past run yet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from htsweep.execution import registry
from htsweep.execution.agenda import Agenda
from htsweep.execution.conditions import conditions_of
from htsweep.execution.loop import run_agenda
from htsweep.execution.shared_stages import SharedStages
from htsweep.execution.watch import Watch
from htsweep.launching import agenda_of
from htsweep.planning.plan import Plan, Sweep, sweep_of
from htsweep.planning.spaces import Spaces
from htsweep.results import Results
from htsweep.results.cost import COLUMNS, Past, first_of, run_of
from htsweep.study.schema import Budget, Study

AMOUNTS = (1, 2)
"""How often a short run repeats what the study's runs repeat, such as epochs: two give a line."""


def measure(results: Results, watch: Watch) -> list[Mapping[str, Any]]:
    """Runs one short trial of each kind here, one after another, and returns their ledger rows.

    Each runs once with one epoch and once with two (whatever its task declares to repeat first), at
    its defaults, in a folder of its own that is removed. The study's results do not change.
    """
    study, planned = results.study, results.full_plan
    rows = results.rows(COLUMNS)
    past = Past(rows, study.compared, gpu=study.resources.gpu > 0)
    short = study.model_copy(
        update={
            "repetitions": 1,
            "search": None,
            "screen": None,
            "stop": None,
            "budget": Budget(),
            "share_trainings": False,
            "keep": "nothing",
        }
    )
    sweeps = list(_unknown(planned, past, short))
    if not sweeps:
        return []
    # The first run also loads libraries and starts the device, so one goes before those that count.
    _timed(Plan(short, planned.task, tuple(sweeps[:1])), watch)
    return _timed(Plan(short, planned.task, tuple(sweeps)), watch)


def _timed(planned: Plan, watch: Watch) -> list[Mapping[str, Any]]:
    """The ledger's rows of all runs of a plan, in this process and in a folder of its own."""
    study = planned.study
    with tempfile.TemporaryDirectory(prefix="htsweep-measure-") as folder:
        results = Results(study, folder)
        agenda = agenda_of(results, planned, SharedStages(results.store))
        options = registry.Options(study.resources.cpu, study.resources.gpu, None)
        with registry.make("inline", options) as executor:
            if run_agenda(agenda, executor, conditions_of(study, folder), watch):
                raise KeyboardInterrupt
        _failed(agenda, watch)
        return list(results.reread().rows(COLUMNS))


def _failed(agenda: Agenda, watch: Watch) -> None:
    for outcome in agenda.failures:
        watch.note(f"a run that was to be timed failed: {outcome.reason}")


def _unknown(planned: Plan, past: Past, short: Study) -> Iterator[Sweep]:
    """The short sweeps: of each cell whose kind of run has no time of its own yet."""
    first = _repeated(planned)
    seen: set[object] = set()
    for sweep in planned.sweeps:
        run = run_of(planned, first_of(planned, sweep))
        seconds, own = past.seconds(run)
        if run.key in seen or (seconds is not None and own):
            continue
        seen.add(run.key)
        made: set[str] = set()
        for amount in AMOUNTS if first else AMOUNTS[:1]:
            shorter = {key: min(amount, sweep.base.get(key, amount)) for key in first}
            cell = {**sweep.factors, **shorter}
            short_sweep = sweep_of(short, planned.task, cell, Spaces(None))
            if short_sweep.id not in made:
                made.add(short_sweep.id)
                yield short_sweep


def _repeated(planned: Plan) -> list[str]:
    """The first setting of each part that multiplies its work, such as epochs."""
    first: dict[str, str] = {}
    for key, setting in (planned.task.settings or {}).items():
        part = getattr(setting, "repeats", "")
        if part:
            first.setdefault(part, key)
    return list(first.values())
