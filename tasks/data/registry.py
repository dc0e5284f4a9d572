"""Finds domains by name: built-in ones, folders of images, and your own.

`mnist` and `uci` are built in; `folder:ROOT:DOMAIN` is a folder of images; `office_home:ROOT:Art`
and the like are domains of benchmarks (`benchmarks/`); `module:function` is your own function
without arguments that returns a `Domain`. Followed by `@blur`, `@noise5` and so
on, each of them is the same domain with corrupted images (`corruptions.py`).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from tasks.data import benchmarks, corruptions
from tasks.data.benchmarks import is_benchmark
from tasks.data.domain import Domain

BUILT_IN = {"mnist": "tasks.data.digits:mnist", "uci": "tasks.data.digits:uci"}
"""Name of a domain -> the function that returns it; add new domains here."""
REQUIRED = ("classes", "channels", "size", "fingerprint", "load")
INHERITED = (
    "line",
    "official_test",
    "official_missing",
    "order",
    "rows",
    "labels",
    "counts",
    "problems",
    "notes",
)


def find(name: str) -> Domain:
    """The domain with this name.

    Raises:
        ValueError: there is none, or a user's function does not return one; says why.
    """
    if name in BUILT_IN:
        return _named(name)
    whole, corruption = corruptions.parts(name)
    if is_folder(whole):
        domain = _folder(whole)
    elif is_benchmark(whole):
        domain = benchmarks.find(whole)
    else:
        domain = _named(whole)
    return domain if corruption is None else corruptions.Corrupted(domain, corruption)


def is_folder(name: str) -> bool:
    """Whether the name is of a folder of images."""
    return name.startswith("folder:")


def is_own(name: str) -> bool:
    """Whether the name is of a user's domain, `module:function`, corrupted or not."""
    return ":" in name and not is_folder(name) and not is_benchmark(name)


def root(name: str) -> str:
    """The place of a domain's files as its name says it, a folder or a URI; "" if it has none."""
    placed = is_folder(name) or is_benchmark(name)
    return name.partition(":")[2].rpartition(":")[0] if placed else ""


def _folder(name: str) -> Domain:
    from tasks.data.folder import Folder

    return Folder(name)


@functools.cache
def _named(name: str) -> Domain:
    if name in BUILT_IN:
        module, _, function = BUILT_IN[name].partition(":")
        made: Domain = getattr(importlib.import_module(module), function)()
        return made
    if ":" in name:
        return _own(name)
    raise ValueError(
        f"no domain '{name}'; known: {', '.join(BUILT_IN)}, folder:ROOT:DOMAIN, or your own as "
        "module:function"
    )


def _own(name: str) -> Domain:
    """The domain that a user's function returns, checked."""
    module, _, attribute = name.partition(":")
    try:
        function: Callable[[], Any] = getattr(importlib.import_module(module), attribute)
        domain = function()
        lacking = [member for member in REQUIRED + INHERITED if not hasattr(domain, member)]
    except Exception as error:  # a user's module may raise anything
        raise ValueError(
            f"the domain '{name}' cannot be loaded: {type(error).__name__}: {error}; it must be a "
            "function of an importable module that takes no arguments and returns a "
            "tasks.data.Domain"
        ) from error
    if lacking:
        raise ValueError(
            f"'{name}' must return a tasks.data.Domain, but the {type(domain).__name__} that it "
            f"returns has no {', '.join(lacking)}; let its class inherit from tasks.data.Domain "
            f"and give {', '.join(REQUIRED)}"
        )
    wrong = _wrong(domain)
    if wrong:
        raise ValueError(f"the domain '{name}' {wrong}")
    checked: Domain = domain
    return checked


def _wrong(domain: Domain) -> str:
    """What is wrong with the members of a user's domain; empty if nothing is."""
    classes = domain.classes
    if not isinstance(classes, tuple) or not all(
        isinstance(name, str) and name for name in classes
    ):
        return f"must have a tuple of names as `classes`, but it has {classes!r}"
    if len(classes) < 2 or len(set(classes)) < len(classes):
        return f"must have two classes or more, each named once, but `classes` is {classes!r}"
    if domain.channels not in (1, 3):
        return f"must have 1 or 3 as `channels`, but it has {domain.channels!r}"
    if not (domain.size is None or (type(domain.size) is int and domain.size > 0)):
        return f"must have a number of pixels or None as `size`, but it has {domain.size!r}"
    fingerprint = domain.fingerprint()
    if not isinstance(fingerprint, str) or not fingerprint:
        return f"must have a text as `fingerprint()`, but it gives {fingerprint!r}"
    return ""
