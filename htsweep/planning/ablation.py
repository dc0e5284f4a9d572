"""Expands `ablate:` of a study: the full config, the same without each component, and more; pure.

A component is a member of the chain `full.method`, or a set of config keys with their values
without it. A variant is a cell of the grid like any other, with the same trials as if it were
written there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from htsweep.planning import task
from htsweep.study.schema import CHAIN, members

if TYPE_CHECKING:
    from htsweep.study.schema import Ablation, Study

FULL, LEFT_OUT, REPLACED, ALONE, NONE, FACTORIAL = (
    "full",
    "left out",
    "replaced",
    "alone",
    "none",
    "factorial",
)
MOST = 6
"""The most components of a full factorial, which then has 64 variants."""


@final
@dataclass(frozen=True)
class Variant:
    """One config of an ablation."""

    kind: str
    """Why it is planned first: `full`, `left out`, `replaced`, `alone`, `none` or `factorial`."""
    components: frozenset[str]
    """The components of the full config that it has."""
    control: str
    """`a over b` if b replaces the component a; else empty."""
    changes: Mapping[str, Any]
    """The keys of `full`, with this variant's changes."""


def variants_of(ablate: Ablation, empty: str) -> tuple[Variant, ...]:
    """The variants, each once: full, left out, alone, then those of the factorial.

    `empty`: the chain without members, as the study's task calls it.
    """
    parts = list(ablate.parts)
    whole = frozenset(parts)
    variants = [variant_with(ablate, FULL, whole, empty)]
    for part in parts:
        variants.append(variant_with(ablate, LEFT_OUT, whole - {part}, empty))
        if part in ablate.controls:
            variants.append(variant_with(ablate, REPLACED, whole - {part}, empty, replaced=part))
    if ablate.alone:
        variants += [variant_with(ablate, ALONE, frozenset({part}), empty) for part in parts]
        variants.append(variant_with(ablate, NONE, frozenset(), empty))
    # With more components there would be too many variants to check; `checks` refuses them.
    if ablate.factorial and len(parts) <= MOST:
        variants += [
            variant_with(ablate, FACTORIAL, frozenset(chosen), empty)
            for size in range(len(parts), -1, -1)
            for chosen in itertools.combinations(parts, size)
        ]
    once: dict[tuple[frozenset[str], str], Variant] = {}
    for variant in variants:
        once.setdefault((variant.components, variant.control), variant)
    return tuple(once.values())


def cells_of(study: Study) -> Iterator[Mapping[str, Any]]:
    """The cells of a study, the last factor fastest; variants come before other cells.

    If the grid lists values of a key that the ablation sets too (`method: [plain]`), they are cells
    of their own beside the variants.
    """
    listed = variants_of(study.ablate, task.of(study).empty) if study.ablate else ()
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
    """The number of cells of `cells_of`, without making them."""
    own = study.ablate.keys if study.ablate else []
    rests = math.prod(len(values) for key, values in study.grid.items() if key not in own)
    if study.ablate is None:
        return rests
    beside = [len(values) for key, values in study.grid.items() if key in own]
    return rests * (len(variants_of(study.ablate, "")) + (math.prod(beside) if beside else 0))


def rests_of(study: Study) -> Iterator[Mapping[str, Any]]:
    """The cells of the grid without the keys of the ablation; each of them has all variants."""
    own = study.ablate.keys if study.ablate else []
    return _product({key: values for key, values in study.grid.items() if key not in own})


def variant_with(
    ablate: Ablation, kind: str, chosen: frozenset[str], empty: str, *, replaced: str = ""
) -> Variant:
    """The variant with the components `chosen`.

    Args:
        ablate: the study's.
        kind: why it is planned.
        chosen: the components that it has.
        empty: the chain without members, as the study's task calls it.
        replaced: the left-out component whose control takes its place.
    """
    parts = ablate.parts
    changes = dict(ablate.full)
    stand_in = ablate.controls.get(replaced)
    if CHAIN in changes and None in parts.values():
        gone = {name for name, without in parts.items() if without is None and name not in chosen}
        put = {replaced: stand_in} if stand_in else {}
        kept = [
            put.get(name, name)
            for name in members(changes[CHAIN])
            if name not in gone or name in put
        ]
        changes[CHAIN] = _chain(kept, changes[CHAIN], empty)
    for name, without in parts.items():
        if name not in chosen and without is not None:
            changes.update(without)
    return Variant(kind, chosen, f"{replaced} over {stand_in}" if replaced else "", changes)


def _chain(names: Sequence[str], like: Any, empty: str) -> Any:
    """A chain of `names`, as a list or as `a+b` like the chain `like`."""
    if not names and empty:
        return empty
    return list(names) if isinstance(like, list) else "+".join(names)


def _product(grid: Mapping[str, Sequence[Any]]) -> Iterator[Mapping[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))
