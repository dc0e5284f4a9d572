"""What a user's module defines, read from its text: planning runs no code that it does not need."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


def defines(module: str, name: str) -> bool:
    """Whether a module defines a name at all; True where only running it would tell.

    A module that was imported already is asked itself.

    Raises:
        ImportError, SyntaxError, OSError: there is no such module, or it is no Python.
    """
    if module in sys.modules:
        return hasattr(sys.modules[module], name)
    spec = _spec(module)
    if spec.origin is None or not spec.origin.endswith(".py"):
        return True  # compiled
    tree = ast.parse(Path(spec.origin).read_bytes(), spec.origin)
    return any(_may_define(node, name) for node in ast.walk(tree))


def _spec(module: str) -> ModuleSpec:
    """Where a module lies; runs none of the packages around it."""
    spec, places, whole = None, None, ""
    for part in module.split("."):
        whole = f"{whole}.{part}" if whole else part
        spec = PathFinder.find_spec(whole, places)
        if spec is None:
            raise ModuleNotFoundError(f"No module named '{whole}'", name=whole)
        places = list(spec.submodule_search_locations or ())
    assert spec is not None, "split returns a part at least"
    return spec


def _may_define(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name in (name, "__getattr__")
        case ast.Name():
            # A module that changes its own names as it runs may define any.
            return (node.id == name and isinstance(node.ctx, ast.Store)) or node.id in (
                "globals",
                "exec",
                "setattr",
            )
        case ast.alias():
            return (node.asname or node.name) in (name, "*")
    return False
