"""`htsweep plan`: times a short run of each kind for --measure, and asks what a cluster has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

from htsweep.errors import HtsweepError
from htsweep.execution import registry
from htsweep.execution.conditions import conditions_of
from htsweep.execution.fractions import Fractions
from htsweep.execution.loop import run_agenda
from htsweep.execution.probing import probe_missing, unmeasured_shapes
from htsweep.execution.watch import Watch
from htsweep.launching import agenda_of
from htsweep.planning.plan import Plan, Sweep, sweep_of
from htsweep.planning.resources import amounts_of
from htsweep.planning.spaces import Spaces
from htsweep.results import Results
from htsweep.results.cost import COLUMNS, first_of, run_of
from htsweep.results.foreseen import Foreseen
from htsweep.results.room import Room
from htsweep.study.schema import Budget

AMOUNTS = (1, 4)
"""How often a short run repeats what the study's runs repeat, such as epochs: two give a line."""
WARM = 2
"""As `AMOUNTS`, of a first run, which also loads libraries and starts the device: not counted."""


def measure(results: Results, watch: Watch) -> list[Mapping[str, Any]]:
    """Runs one short trial of each kind here, one after another, and returns their ledger rows.

    Each runs with one epoch and with four (whatever its task declares to repeat first), at its
    defaults, in a folder of its own that is removed. The study's results do not change.
    """
    study, planned = results.study, results.full_plan
    rows = results.rows(COLUMNS)
    past = Foreseen(rows, study, planned.task)
    if study.resources.automatic:
        fractions = Fractions(results.store)
        conditions = conditions_of(study, results.location)
        probe_missing(unmeasured_shapes(planned, fractions, conditions), fractions, watch.note)
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
    cells = list(_unknown(planned, past))
    repeated = _repeated(planned)

    def short_of(sweep: Sweep, amount: int) -> Sweep:
        shorter = {key: min(amount, sweep.base.get(key, amount)) for key in repeated}
        return sweep_of(short, planned.task, {**sweep.factors, **shorter}, Spaces(None))

    timed = {made.id: made for sweep in cells for made in (short_of(sweep, n) for n in AMOUNTS)}
    warm = {made.id: made for made in (short_of(sweep, WARM) for sweep in cells[:1])}
    counted = Plan(short, planned.task, tuple(timed.values()))
    if not cells:
        return []
    both = Plan(short, planned.task, tuple({**warm, **timed}.values()))
    kinds = {point.id for point in counted.points} | set(counted.known_stages)
    return [row for row in _timed(both, watch) if row["point"] in kinds]


def room_of(results: Results, slots: int | None, address: str | None) -> Room | None:
    """What trials share where a launch will run them; None: this machine.

    Args:
        results: of the study.
        slots: how many trials run at once, as the user says.
        address: of the Ray cluster that is asked what its nodes have.

    Raises:
        HtsweepError: both are given; or the cluster does not answer, or can run no trial.
    """
    if address is None:
        return None if slots is None else Room.here(slots)
    if slots is not None:
        raise HtsweepError(
            f"got --slots {slots} and --address {address}, which both say how many trials run at "
            "once; give one of them"
        )
    return Room.at(address, amounts_of(results.full_plan, results.score_plan))


def _timed(planned: Plan, watch: Watch) -> list[Mapping[str, Any]]:
    """The ledger's rows of all runs of a plan, in a folder of its own."""
    study = planned.study
    with tempfile.TemporaryDirectory(prefix="htsweep-measure-") as folder:
        results = Results(study, folder)
        agenda = agenda_of(results, planned)
        options = registry.Options(study.resources.cpu, study.resources.gpu, None)
        with registry.make("inline", options) as executor:
            if run_agenda(agenda, executor, conditions_of(study, folder), watch):
                raise KeyboardInterrupt
        for outcome in agenda.failures:
            watch.note(f"a run that was to be timed failed: {outcome.reason}")
        return list(results.reread().rows(COLUMNS))


def _unknown(planned: Plan, past: Foreseen) -> Iterator[Sweep]:
    """A cell of each kind of run that has no time of its own yet."""
    seen: set[object] = set()
    for sweep in planned.sweeps:
        run = run_of(planned, first_of(planned, sweep))
        seconds, own = past.seconds(run)
        if run.key not in seen and (seconds is None or not own):
            seen.add(run.key)
            yield sweep


def _repeated(planned: Plan) -> list[str]:
    """The first setting of each part that multiplies its work, such as epochs."""
    first: dict[str, str] = {}
    for key, setting in (planned.task.settings or {}).items():
        part = getattr(setting, "repeats", "")
        if part:
            first.setdefault(part, key)
    return list(first.values())
