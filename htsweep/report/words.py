"""Metrics and lists in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from htsweep.report import names

_NAMED = 6
"""How many names of a list are written out."""


def noun(metric: str) -> str:
    """A metric in a sentence: `overall accuracy`, `AUSUC`."""
    title = names.metric(metric)
    return f"{title} accuracy" if metric.endswith("_accuracy") and title != metric else title


def listed(texts: Sequence[str], between: str = ", ") -> str:
    """The texts in a row; of a long list, only the first and how many more there are."""
    shown = between.join(texts[:_NAMED])
    return f"{shown}{between}and {len(texts) - _NAMED} more" if len(texts) > _NAMED else shown
