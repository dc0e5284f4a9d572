"""Who may import whom: each outside library has one home, and the two halves meet by name."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOMES = {
    "ruamel": ("htsweep/study/document.py", "htsweep/study/values.py"), "pydantic": ("htsweep/study/schema.py",),
    "optuna": ("htsweep/planning/search.py", "htsweep/analysis/importance.py"),
    "pyarrow": ("htsweep/ledger/", "htsweep/results/tables.py", "htsweep/results/export.py"),
    "ray": ("htsweep/execution/tune.py",),
    "mlflow": ("htsweep/mirror/",), "sqlalchemy": ("htsweep/mirror/",), "alembic": ("htsweep/mirror/",),
    "typer": ("htsweep/cli/app.py",),
    "rich": ("htsweep/cli/progress.py",), "matplotlib": ("htsweep/report/",), "plotly": ("htsweep/report/",),
    "moocore": ("htsweep/analysis/",), "duckdb": ("htsweep/results/query.py",),
    "torch": ("tasks/",), "timm": ("tasks/",), "torchvision": ("tasks/",), "sklearn": ("tasks/",), "ot": ("tasks/",),
    "mlxtend": ("tasks/",), "PIL": ("tasks/",), "safetensors": ("tasks/",),
}
FORBIDDEN = {"htsweep/": {"torch", "timm", "torchvision"}, "tasks/": {"htsweep", "ray", "mlflow", "optuna", "pyarrow", "typer"}}


def imports() -> Iterator[tuple[str, str, int]]:
    """(file, top-level package, line) of every import, those inside functions too."""
    for path in sorted([*ROOT.glob("htsweep/**/*.py"), *ROOT.glob("tasks/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else (
                [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else [])
            for name in names:
                yield path.relative_to(ROOT).as_posix(), name.partition(".")[0], node.lineno


def test_each_outside_library_has_one_home() -> None:
    wrong = [f"{file}:{line} imports {name}; its home is {HOMES[name]}" for file, name, line in imports()
             if name in HOMES and not file.startswith(HOMES[name])]
    assert wrong == []


def test_every_outside_library_is_known_here() -> None:
    known = set(HOMES) | set(sys.stdlib_module_names) | {"htsweep", "tasks", "search_spaces", "numpy", "pandas", "scipy"}
    assert {name for _, name, _ in imports()} <= known


@pytest.mark.parametrize("half", FORBIDDEN)
def test_the_halves_meet_by_name_alone(half: str) -> None:
    wrong = [f"{file}:{line} imports {name}" for file, name, line in imports()
             if file.startswith(half) and name in FORBIDDEN[half]]
    assert wrong == []


def test_analysis_and_selection_know_no_ledger() -> None:
    """Tables in, tables out."""
    pure = ("htsweep/analysis/", "htsweep/selection/", "htsweep/planning/halving.py", "htsweep/planning/search.py")
    for path in sorted(ROOT.glob("htsweep/**/*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(pure):
            text = path.read_text(encoding="utf-8")
            assert not any(f"htsweep.{other}" in text for other in ("ledger", "execute", "mirror", "results", "study")), name
