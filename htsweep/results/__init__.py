"""What came out of a study: the ledger's objects come in, tidy tables of the study's own trials go out."""

from htsweep.results.tables import (
    Members,
    baseline,
    factors,
    lists,
    load,
    measurements,
    parameters,
    trials,
    varied,
)

__all__ = [
    "Members",
    "baseline",
    "factors",
    "lists",
    "load",
    "measurements",
    "parameters",
    "trials",
    "varied",
]
