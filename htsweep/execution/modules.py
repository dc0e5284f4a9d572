"""What modules hold when a trial begins, so that its changes to them can be undone."""

from __future__ import annotations

import functools
import site
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from operator import is_
from typing import Any, NamedTuple, final

_STANDARD = frozenset(sys.stdlib_module_names) | {"builtins"}
_INSTALLED = tuple({*site.getsitepackages(), site.getusersitepackages()})
_CALLABLE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


@final
class _Holds(NamedTuple):
    """A module or a class of the standard library, and what it holds."""

    holder: Any
    values: list[Any]
    functions: dict[str, Any]
    classes: list[tuple[str, type]]
    """The classes that it defines, with their full names; none of a class."""


_known: dict[str, _Holds] = {}
"""By full name, as of the last look."""


@final
class Modules:
    """The values of the user's own modules, and the functions of the standard library.

    A process that runs many short trials makes one for each. So that this takes 2 ms and not 7, the
    standard library is only compared with what it held at the last look.
    """

    def __init__(self, own: Sequence[str]) -> None:
        """Notes what modules hold now.

        Args:
            own: the folders of the user's own modules.
        """
        folders = tuple(f"{folder.rstrip('/')}/" for folder in own)
        self._values: dict[types.ModuleType, dict[str, Any]] = {}
        self._standard: dict[str, _Holds] = {}
        for name, module in list(sys.modules.items()):
            if _is_standard(name):
                self._standard[name] = holds = _look(name, module)
                for full, each in holds.classes:
                    self._standard[full] = _look(full, each)
            elif folders and _is_below(getattr(module, "__file__", None), folders):
                self._values[module] = vars(module).copy()

    def changes(self) -> list[str]:
        """Restores all modules, and describes what was replaced in the standard library.

        The latter is reported although it is restored: other modules may have imported it
        meanwhile.
        """
        for module, values in self._values.items():
            _put_back(module, values)
        changes = []
        for name, before in self._standard.items():
            now = vars(before.holder)
            if _same(now, before.values):
                continue
            for key in _replaced(before.functions, now):
                setattr(before.holder, key, before.functions[key])
                changes.append(f"{name}.{key} of the standard library was replaced")
        return changes


def _look(name: str, holder: Any) -> _Holds:
    """What a module or a class holds now."""
    now, known = vars(holder), _known.get(name)
    if known is None or known.holder is not holder or not _same(now, known.values):
        functions = {key: value for key, value in now.items() if isinstance(value, _CALLABLE)}
        classes = (
            [
                (f"{name}.{key}", value)
                for key, value in functions.items()
                if isinstance(value, type) and value.__module__ == name
            ]
            if isinstance(holder, types.ModuleType)
            else []
        )
        known = _known[name] = _Holds(holder, list(now.values()), functions, classes)
    return known


def _same(now: Mapping[str, Any], values: Collection[Any]) -> bool:
    """Whether these are the values, in their order; by identity."""
    return len(now) == len(values) and all(map(is_, now.values(), values))


@functools.cache
def _is_standard(name: str) -> bool:
    return name.partition(".")[0] in _STANDARD


def _replaced(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names of functions and classes that are others now, but for those of a library.

    Some libraries replace functions of the standard library when they are imported.
    """
    return [
        key
        for key, value in before.items()
        if now.get(key) is not value and not _is_of_a_library(now.get(key))
    ]


def _is_of_a_library(value: Any) -> bool:
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return str(getattr(module, "__file__", None) or "").startswith(_INSTALLED)


@functools.cache
def _is_below(file: object, folders: tuple[str, ...]) -> bool:
    """Whether a file lies in one of the folders, and not among installed libraries."""
    return isinstance(file, str) and file.startswith(folders) and not file.startswith(_INSTALLED)


def _put_back(module: types.ModuleType, values: dict[str, Any]) -> None:
    # What has not changed has its names in the same order, too.
    if _same(vars(module), values.values()) and [*vars(module)] == [*values]:
        return
    for name, value in list(vars(module).items()):
        if name not in values and not isinstance(value, types.ModuleType):
            delattr(module, name)
    for name, value in values.items():
        if vars(module).get(name) is not value:
            setattr(module, name, value)
