"""Which sweep of a plan has which components of the study's ablation, for the analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from htsweep.planning import task
from htsweep.planning.ablation import NONE, rests_of, variant_with, variants_of
from htsweep.planning.plan import sweep_of
from htsweep.planning.spaces import Spaces
from htsweep.results.tables import cell

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.results.results import Results


def variants(results: Results) -> pd.DataFrame:
    """One row per variant of each cell of the study's ablation; none without `ablate:`.

    Columns: one per factor of the study, with the values of the cell's full config; `sweep`, the id
    of the variant's sweep; `kind`; `components` (a frozenset of those that it has); `control` (`a
    over b` where b replaces a). The variant without any component has a row wherever the study
    plans it, even if only in the grid.
    """
    import pandas as pd

    columns = ["sweep", "kind", "components", "control"]
    study = results.study
    if study.ablate is None:
        return pd.DataFrame(columns=columns)
    planned = results.full_plan
    ids = {sweep.id for sweep in planned.sweeps}
    study_task = task.of(study)
    listed = list(variants_of(study.ablate, study_task.empty))
    if all(variant.components for variant in listed):
        listed.append(variant_with(study.ablate, NONE, frozenset(), study_task.empty))
    spaces, rows = Spaces(study.search, study_task.settings), []
    for rest in rests_of(study):
        sweeps = [
            sweep_of(study, study_task, {**rest, **variant.changes}, spaces) for variant in listed
        ]
        full = {**rest, **listed[0].changes, **sweeps[0].base}
        about = {name: cell(full.get(name)) for name in planned.factors}
        rows += [
            {
                **about,
                "sweep": sweep.id,
                "kind": variant.kind,
                "components": variant.components,
                "control": variant.control,
            }
            for variant, sweep in zip(listed, sweeps, strict=True)
            if sweep.id in ids
        ]
    return pd.DataFrame(rows, columns=[*planned.factors, *columns])
