"""What `ablate:` in a study stands for: a whole config, the same without each component, and what else is asked for; pure.

A component is a member of the chain `full.method`, or keys of the config as they are without it. A variant is a cell of
the grid like any other: it has the same trials as if it had been written there.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.study.schema import Ablation, Study

CHAIN = "method"
"""The key whose value may be a chain: a list of names, or `a+b`."""
EMPTY = "plain"
"""The chain that has no member."""
FULL, LEFT_OUT, REPLACED, ALONE, NONE, FACTORIAL = "full", "left out", "replaced", "alone", "none", "factorial"
MOST = 6
"""Components of a full factorial at most: 64 variants."""


@final
@dataclass(frozen=True)
class Variant:
    """One config of an ablation."""

    kind: str
    """Why it is planned first: `full`, `left out`, `replaced`, `alone`, `none` or `factorial`."""
    components: frozenset[str]
    """What it has of the full config's components."""
    control: str
    """`a over b` where b stands in for the component a; else empty."""
    changes: Mapping[str, Any]
    """Its keys: those of `full`, with what is different."""


def members(chain: Any) -> list[str]:
    """The names of a chain, written as a list or as `a+b`; none for what is no chain."""
    if isinstance(chain, list):
        return [str(name) for name in chain]
    return re.split(r"\s*\+\s*", chain.strip()) if isinstance(chain, str) and chain.strip() else []


def components_of(ablate: Ablation) -> dict[str, Mapping[str, Any] | None]:
    """Component -> the keys as they are without it; None: a member of the chain. Where none are named: all members."""
    named = ablate.components
    if isinstance(named, dict):
        return dict(named)
    return dict.fromkeys(members(ablate.full.get(CHAIN)) if named is None else named)


def keys_of(ablate: Ablation) -> list[str]:
    """The keys that tell the variants apart, or the variants from the grid's other cells: `full`'s and what is changed."""
    changed = [key for keys in components_of(ablate).values() for key in keys or ()]
    return list(dict.fromkeys([*ablate.full, *changed]))


def variants_of(ablate: Ablation) -> tuple[Variant, ...]:
    """The variants in the order of the table that shows them, each once: full, those without, alone, the factorial's."""
    parts = list(components_of(ablate))
    whole = frozenset(parts)
    found = [_variant(ablate, FULL, whole)]
    for part in parts:
        found.append(_variant(ablate, LEFT_OUT, whole - {part}))
        if part in ablate.controls:
            found.append(_variant(ablate, REPLACED, whole - {part}, part))
    if ablate.alone:
        found += [_variant(ablate, ALONE, frozenset({part})) for part in parts]
        found.append(_variant(ablate, NONE, frozenset()))
    if ablate.factorial and len(parts) <= MOST:  # of more, there would be more than any check could go through
        found += [_variant(ablate, FACTORIAL, frozenset(chosen))
                  for size in range(len(parts), -1, -1) for chosen in itertools.combinations(parts, size)]
    once: dict[tuple[frozenset[str], str], Variant] = {}
    for variant in found:
        once.setdefault((variant.components, variant.control), variant)
    return tuple(once.values())


def cells_of(study: Study) -> Iterator[Mapping[str, Any]]:
    """The cells of a study, the grid's last factor fastest; with an ablation, its variants before the other cells.

    The grid's values of a key that the ablation has as well (`method: [plain]`) stand beside the variants, as they are.
    """
    listed = variants_of(study.ablate) if study.ablate else ()
    for rest in rests_of(study):
        if study.ablate is None:
            yield rest
            continue
        for variant in listed:
            yield {**rest, **variant.changes}
        beside = {key: values for key, values in study.grid.items() if key not in rest}
        if beside:
            for cell in _product(beside):
                both = {**rest, **cell}
                yield {key: both[key] for key in study.grid}


def cell_count(study: Study) -> int:
    """How many cells `cells_of` gives, by arithmetic."""
    own = keys_of(study.ablate) if study.ablate else []
    rests = math.prod(len(values) for key, values in study.grid.items() if key not in own)
    if study.ablate is None:
        return rests
    beside = [len(values) for key, values in study.grid.items() if key in own]
    return rests * (len(variants_of(study.ablate)) + (math.prod(beside) if beside else 0))


def rests_of(study: Study) -> Iterator[Mapping[str, Any]]:
    """The cells of the grid without the keys of the ablation: each has all its variants."""
    own = keys_of(study.ablate) if study.ablate else []
    return _product({key: values for key, values in study.grid.items() if key not in own})


def variants(study: Study) -> pd.DataFrame:
    """What the analysis of an ablation must know: one row per variant of each cell; none without `ablate:`.

    A column per factor of the study, with the values of the cell's full config; `sweep`, the id of the variant's; and
    `components` (a frozenset of what it has), `control` (`a over b` where b stands in for a), `kind`. The variant that has
    no component is there wherever the study plans it, be it as `plain` in the grid.
    """
    import pandas as pd

    from htsweep.planning import task
    from htsweep.planning.plan import plan, sweep_of
    from htsweep.planning.spaces import Spaces

    columns = ["sweep", "kind", "components", "control"]
    if study.ablate is None:
        return pd.DataFrame(columns=columns)
    planned = plan(study)
    ids = {sweep.id for sweep in planned.sweeps}
    listed = list(variants_of(study.ablate))
    if all(variant.components for variant in listed):
        listed.append(_variant(study.ablate, NONE, frozenset()))
    found, spaces, rows = task.find(study.task), Spaces(study.search), []
    for rest in rests_of(study):
        sweeps = [sweep_of(study, found, {**rest, **variant.changes}, spaces) for variant in listed]
        full = {**rest, **listed[0].changes, **sweeps[0].base}
        about = {name: _cell(full.get(name)) for name in planned.factors}
        rows += [{**about, "sweep": sweep.id, "kind": variant.kind, "components": variant.components,
                  "control": variant.control} for variant, sweep in zip(listed, sweeps, strict=True) if sweep.id in ids]
    return pd.DataFrame(rows, columns=[*planned.factors, *columns])


def _variant(ablate: Ablation, kind: str, chosen: frozenset[str], replaced: str = "") -> Variant:
    parts = components_of(ablate)
    changes = dict(ablate.full)
    stand_in = ablate.controls.get(replaced)
    if CHAIN in changes and None in parts.values():
        gone = {name for name, without in parts.items() if without is None and name not in chosen}
        put = {replaced: stand_in} if stand_in else {}
        kept = [put.get(name, name) for name in members(changes[CHAIN]) if name not in gone or name in put]
        changes[CHAIN] = _chain(kept, changes[CHAIN])
    for name, without in parts.items():
        if name not in chosen and without is not None:
            changes.update(without)
    return Variant(kind, chosen, f"{replaced} over {stand_in}" if replaced else "", changes)


def _chain(names: Sequence[str], like: Any) -> Any:
    """A chain of `names`, written as `like` is."""
    if not names:
        return EMPTY
    return list(names) if isinstance(like, list) else "+".join(names)


def _product(grid: Mapping[str, Sequence[Any]]) -> Iterator[Mapping[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _cell(value: Any) -> Any:
    """`value` as the tables of results hold it."""
    return json.dumps(value) if isinstance(value, list | dict) else value
