"""Datasets that are made on the user's machine from packages: name -> how."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from tasks.data.npm import Say

MADE = {
    "emoji": (
        "tasks.data.emoji:get",
        "1,416 emoji in 66 classes, each drawn by six vendors: six domains",
    ),
    "glyphs": (
        "tasks.data.glyphs:get",
        "62 characters, each in 16 families of fonts of four styles: four domains",
    ),
}
"""Name -> (function, a line on the dataset)."""


def get(name: str, out: Path, given: Path | None, say: Say) -> None:
    """Makes what is missing of a dataset.

    Args:
        name: the name of the dataset.
        out: the folder in which its folder is made.
        given: a folder that holds what it is made from; None to fetch it.
        say: takes a line on what is being done.

    Raises:
        LookupError: there is no dataset of that name.
        ValueError: what it is made from cannot be had; says how to get it.
    """
    if name not in MADE:
        raise LookupError(name)
    module, _, function = MADE[name][0].partition(":")
    make: Callable[[Path, Path | None, Say], None] = getattr(
        importlib.import_module(module), function
    )
    make(out, given, say)
