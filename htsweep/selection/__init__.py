"""Which point speaks for a sweep: measurements come in, one (sweep, point, step) for each sweep goes out. Pure."""

from htsweep.selection.choose import (
    CHOICE,
    NAMES,
    TEST,
    at,
    choice,
    choose,
    columns,
    find,
    last_steps,
    left_out,
    needs,
    possible,
    submitted,
    whole,
)

__all__ = [
    "CHOICE",
    "NAMES",
    "TEST",
    "at",
    "choice",
    "choose",
    "columns",
    "find",
    "last_steps",
    "left_out",
    "needs",
    "possible",
    "submitted",
    "whole",
]
