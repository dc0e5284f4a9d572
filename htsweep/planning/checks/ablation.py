"""Checks the key `ablate` for contradictions, and for components that change nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from htsweep.errors import Problem, did_you_mean
from htsweep.planning import ablation
from htsweep.planning.dimension import repeated
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import CHAIN, Ablation, Study, members

MOST_COMPONENTS = 1_000
"""The most components of an ablation."""


def problems(study: Study, where: Located) -> Iterator[Problem]:
    """What is wrong with `ablate`, whatever the task."""
    ablate = study.ablate
    if ablate is None:
        return
    chain = members(ablate.full.get(CHAIN))
    parts = ablate.parts
    if not parts:
        yield where.problem(
            ("ablate",),
            "an ablation needs a component: set `full: {method: [a, b]}`, or `components: "
            "{name: {key: its value without it}}`",
        )
    if len(parts) > MOST_COMPONENTS:
        yield where.problem(
            ("ablate",),
            f"an ablation has at most {MOST_COMPONENTS:,} components, but got {len(parts):,}; list "
            "fewer",
        )
        return
    twice = set(repeated(ablate.components)) if isinstance(ablate.components, list) else set()
    for place, name in _members(ablate.components):
        if name not in chain:
            hint = did_you_mean(name, chain) if chain else "set `full: {method: [a, b]}`"
            yield where.problem(
                place,
                f"'{name}' is not in the chain `full.method`; {hint} "
                "(or give the keys that change without it: {name: {key: value}})",
            )
        elif place[-1] in twice:
            yield where.problem(place, f"the component '{name}' is listed twice; remove one")
    for name in ablate.controls:
        if name not in parts or parts[name] is not None:
            known = [part for part, without in parts.items() if without is None]
            yield where.problem(
                ("ablate", "controls", name),
                f"only a component that is a member of the chain can have a control; "
                f"{did_you_mean(name, known)}",
            )
    for key in ablate.full:
        if key in study.fixed:
            yield where.problem(("fixed", key), "is also in `ablate.full`; remove one of them")
    yield from _together(study, where)


def _members(components: Any) -> list[tuple[Place, str]]:
    """The components that must be members of the chain: (where each is named, its name)."""
    if isinstance(components, list):
        return [(("ablate", "components", index), name) for index, name in enumerate(components)]
    return [
        (("ablate", "components", name), name)
        for name, without in (components or {}).items()
        if without is None
    ]


def _together(study: Study, where: Located) -> Iterator[Problem]:
    """Checks that `alone` and `factorial` have few components, which can be left out together."""
    ablate = study.ablate
    assert ablate is not None
    parts = ablate.parts
    if ablate.factorial and len(parts) > ablation.MOST:
        own = ablate.keys
        cells = math.prod(len(values) for key, values in study.grid.items() if key not in own)
        count = 2 ** len(parts)
        yield where.problem(
            ("ablate", "factorial"),
            f"{len(parts)} components make {count:,} variants, here "
            f"{count * cells * study.repetitions:,} trials or more; a factorial has at most "
            f"{ablation.MOST} components: list fewer, or remove `factorial`",
        )
    taken: dict[str, str] = {}
    for name, without in parts.items():
        for key in without or {}:
            # If two components set the same key, the later one would silently win.
            other = taken.setdefault(key, name)
            if other != name and (ablate.alone or ablate.factorial):
                yield where.problem(
                    ("ablate", "components", name, key),
                    f"'{other}' sets this key too, so the two cannot be left out together, as "
                    "`alone` and `factorial` require; make them one component, "
                    "or remove those keys",
                )


def without_effect(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """Components without which the config is the same in every cell, unless there is a search."""
    if study.ablate is None or study.search is not None:
        return
    full, *others = ablation.variants_of(study.ablate, study_task.empty)
    for variant in others:
        if variant.kind not in (ablation.LEFT_OUT, ablation.REPLACED):
            continue
        cells = ablation.rests_of(study)
        if all(
            study_task.resolve({**study.fixed, **cell, **full.changes})
            == study_task.resolve({**study.fixed, **cell, **variant.changes})
            for cell in cells
        ):
            name = variant.control.partition(" over ")[0] or next(
                iter(full.components - variant.components)
            )
            where_said = "controls" if variant.control else "components"
            yield where.problem(
                ("ablate", where_said, name),
                f"without '{name}' the config is the same as `full`, so its trials would show "
                "nothing; give another value, or remove the component",
            )


def given(study: Study) -> list[tuple[str, Place, Any]]:
    """The keys that the ablation sets, as (key, place in the file, value)."""
    if study.ablate is None:
        return []
    entries: list[tuple[str, Place, Any]] = [
        (key, ("ablate", "full", key), value) for key, value in study.ablate.full.items()
    ]
    entries += [
        (CHAIN, ("ablate", "controls", name), value)
        for name, value in study.ablate.controls.items()
    ]
    return entries + [
        (key, ("ablate", "components", name, key), value)
        for name, without in study.ablate.parts.items()
        for key, value in (without or {}).items()
    ]


def place(ablate: Ablation, key: str, cell: Mapping[str, Any]) -> Place:
    """The place in `ablate` of the value that `cell` has for `key`."""
    for name, stand_in in ablate.controls.items() if key == CHAIN else ():
        if stand_in in members(cell[key]) and stand_in not in members(ablate.full.get(key)):
            return ("ablate", "controls", name)
    for name, without in ablate.parts.items():
        if without and key in without and (key not in ablate.full or cell[key] != ablate.full[key]):
            return ("ablate", "components", name, key)
    return ("ablate", "full", key)
