"""Checks and conversions of the inputs of scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may sum from 1; half precision has steps of 5e-4 there."""


def matrix(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """The values as a non-empty float64 matrix [rows, columns] of finite numbers.

    Raises:
        ValueError: the shape is wrong, or a number is not finite; says where.
    """
    array = np.asarray(values)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f"{name} must be a matrix with a row an image, but got the shape {array.shape}"
        )
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        row, column = wrong[0]
        raise ValueError(
            f"{name} must be finite, but row {row}, column {column} is {array[row, column]} "
            f"({len(wrong)} such values); the model that made them has diverged, or the images "
            "are broken"
        )
    return array.astype(np.float64, copy=False)


def indices(name: str, values: ArrayLike, rows: int, below: int | None = None) -> NDArray[np.int64]:
    """Class indices [rows] as non-negative integers, less than `below` if that is given.

    Raises:
        ValueError: the shape is wrong, or a value is not a class index; says which.
    """
    array = np.asarray(values)
    if array.shape != (rows,):
        raise ValueError(
            f"{name} must be a class index for each of the {rows} rows, but got the shape "
            f"{array.shape}"
        )
    # Written so that NaN is wrong too.
    right = (
        (array >= 0) & (array == np.floor(array)) & (array < (np.inf if below is None else below))
    )
    if not right.all():
        row = int(np.flatnonzero(~right)[0])
        limit = "" if below is None else f" below {below}"
        raise ValueError(
            f"{name} must be class indices from 0 up{limit}, but row {row} has {array[row]}"
        )
    return array.astype(np.int64)


def numbered(
    name: str, values: ArrayLike, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels [rows] renumbered to 0..K-1 without gaps, and the images per class, [K], never 0."""
    _, renumbered, counts = np.unique(
        indices(name, values, rows), return_inverse=True, return_counts=True
    )
    return renumbered, counts


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """One-hot labels, [N, classes]."""
    return np.asarray(labels[:, None] == np.arange(classes), np.float64)


def distributions(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """Probabilities [N, K] in float64, rows normalised to sum to 1 up to float64 rounding.

    Raises:
        ValueError: a number is negative or not finite, or a row does not sum to 1; says which.
    """
    rows = matrix(name, values)
    negative = np.argwhere(rows < 0)
    if len(negative):
        row, column = negative[0]
        raise ValueError(
            f"{name} must not be negative, but row {row}, column {column} is "
            f"{rows[row, column]:g}; give probabilities, not logits"
        )
    sums = rows.sum(1)
    off = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if len(off):
        raise ValueError(
            f"rows of {name} must sum to 1, but row {off[0]} sums to {sums[off[0]]:g} ({len(off)} "
            "such rows); give the softmax over all of the source's classes"
        )
    return np.asarray(rows / sums[:, None])


def same_width(**named: NDArray[np.float64]) -> None:
    """Checks that matrices have equally many columns.

    Raises:
        ValueError: they do not; says how many each has.
    """
    if len({rows.shape[1] for rows in named.values()}) > 1:
        widths = ", ".join(
            f"{name.replace('_', ' ')} {rows.shape[1]}" for name, rows in named.items()
        )
        raise ValueError(
            f"all must come from one backbone and be equally wide, but the columns are: {widths}"
        )
