"""Which groups of a study are independent of each other, so that a test may count them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import pandas as pd

from htsweep.analysis.design import KNOWN, Design

FEWEST = 5
"""With fewer independent blocks Friedman's and Nemenyi's tests are not made: they show nothing."""
DATASET = KNOWN[0]


@final
@dataclass(frozen=True, eq=False)
class Blocks:
    """The independent block of each row of a table, and what makes one."""

    of: pd.Series | None
    """A number per row; None: nothing says which groups are independent."""
    what: str
    """What groups of one block have in common, in words."""
    condition: str = ""
    """What all blocks share, so that nothing is learnt about others; a sentence, or empty."""

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return 0 if self.of is None else int(self.of.nunique())


def blocks(
    rows: pd.DataFrame,
    design: Design,
    evidence: pd.DataFrame | None = None,
    named: Sequence[str] = (),
) -> Blocks:
    """The independent blocks of the groups in `rows`.

    A block is, in this order: the groups that share the values of the factors `named`; by
    `evidence`, the groups of one target, or, where there are several sources, the groups linked by
    a source or target domain (a pair of one is a pair of all that share a domain with it); the
    groups of one `dataset`. Missing ratios and backbones of one target test the same images and
    start from the same source, so that they are never blocks by themselves.

    Args:
        rows: a table with the columns `sweep` and those of the design.
        design: which columns make a group.
        evidence: a row per sweep with its `source_domain` and `target_domain`; None: not known.
        named: factors whose values the study calls independent.
    """
    keys = [name for name in named if name in rows.columns]
    if keys:
        return Blocks(_numbers(rows, keys), f"all groups of one {' and '.join(keys)}")
    if evidence is not None and "sweep" in rows and set(rows["sweep"]) <= set(evidence["sweep"]):
        domains = evidence.drop_duplicates("sweep").set_index("sweep").loc[rows["sweep"]]
        return _by_domain(domains.set_index(rows.index))
    if DATASET in design.groups and DATASET in rows.columns:
        return Blocks(_numbers(rows, [DATASET]), f"all groups of one {DATASET}")
    return Blocks(None, "")


def described(found: Blocks, groups: int) -> str:
    """What a block is, or why ranks are not tested and what to add, in whole sentences.

    Args:
        found: the blocks.
        groups: of how many groups; up to one there is nothing to say.
    """
    if groups < 2:
        return ""
    if found.of is None:
        return (
            "Ranks are not compared: nothing says which groups are independent of each other. Name "
            "the factors whose values are, in the study's `blocks:`."
        )
    what = f"A block is {found.what}, with the mean over them as its value"
    if found.count < FEWEST:
        are = "is" if found.count == 1 else "are"
        return (
            f"Ranks are not compared: the {groups} groups {are} only {found.count} independent "
            f"block{'s' if found.count != 1 else ''}, and fewer than {FEWEST} can show nothing. "
            f"{what}. Add datasets of other domains; if groups are independent all the same, name "
            "the factors that tell them apart in the study's `blocks:`."
        )
    return " ".join(
        filter(None, [f"{what}: {found.count} blocks of {groups} groups.", found.condition])
    )


def _numbers(rows: pd.DataFrame, keys: Sequence[str]) -> pd.Series:
    return rows.groupby(list(keys), sort=False, observed=True, dropna=False).ngroup()


def _by_domain(domains: pd.DataFrame) -> Blocks:
    """The blocks of rows with a source and a target domain; a source that all share links none."""
    sources = set(domains["source_domain"]) - {""}
    if len(sources) < 2:
        shared = f"All share the source {_short(next(iter(sources)))}" if sources else ""
        return Blocks(
            pd.Series(pd.factorize(domains["target_domain"])[0], domains.index),
            "all groups of one target",
            f"{shared}, so that ranks say nothing about other sources." if shared else "",
        )
    links: dict[Hashable, Hashable] = {}
    for source, target in (
        domains[["source_domain", "target_domain"]].drop_duplicates().to_numpy().tolist()
    ):
        ends = [_root(links, name) for name in (source, target) if name]
        links.update(dict.fromkeys(ends, ends[0]))
    roots = [_root(links, target) for target in domains["target_domain"]]
    return Blocks(
        pd.Series(pd.factorize(pd.Series(roots, dtype=object))[0], domains.index),
        "all groups that a shared source or target domain links",
    )


def _root(links: Mapping[Hashable, Hashable], name: Hashable) -> Hashable:
    while links.get(name, name) != name:
        name = links[name]
    return name


def _short(domain: str) -> str:
    """A domain's name without the path of its folder."""
    return domain.rpartition(":")[2] if domain.count(":") > 1 else domain
