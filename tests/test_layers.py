"""Who may import whom: each outside library has one home, and the two halves meet by name."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOMES = {
    "ruamel": ("htsweep/study/document.py", "htsweep/study/values.py"),
    "pydantic": (
        "htsweep/study/schema.py",
        "htsweep/study/resources.py",
        "htsweep/planning/reading.py",
    ),
    "optuna": ("htsweep/planning/search.py", "htsweep/analysis/importance.py"),
    "pyarrow": (
        "htsweep/ledger/",
        "htsweep/remote.py",
        "htsweep/buckets.py",
        "htsweep/results/tables.py",
        "htsweep/results/export.py",
    ),
    "ray": (
        "htsweep/execution/tune.py",
        "htsweep/execution/ray_internals.py",
        "htsweep/execution/ray_nodes.py",
        "htsweep/execution/ray_checks.py",
        "htsweep/execution/ray_load.py",
        "htsweep/execution/ray_metrics.py",
        "htsweep/execution/ray_probing.py",
        "htsweep/execution/trainee.py",
        "htsweep/execution/observer.py",
        "htsweep/submitting/ray_jobs.py",
        "htsweep/execution/near.py",
    ),
    "yaml": ("htsweep/execution/ray_nodes.py",),
    "mlflow": ("htsweep/mirror/",),
    "sqlalchemy": ("htsweep/mirror/",),
    "alembic": ("htsweep/mirror/",),
    "typer": tuple(
        f"htsweep/cli/{name}.py"
        for name in ("app", "data", "following", "keeping", "options", "reading", "running")
    ),
    "rich": ("htsweep/cli/progress.py", "htsweep/cli/printing.py"),
    "jinja2": ("htsweep/report/html.py",),
    "markupsafe": ("htsweep/report/html.py",),
    "matplotlib": ("htsweep/report/",),
    "plotly": ("htsweep/report/",),
    "moocore": ("htsweep/selection/fronts.py", "htsweep/analysis/"),
    "duckdb": ("htsweep/results/query.py",),
    "torch": ("tasks/",),
    "timm": ("tasks/",),
    "open_clip": ("tasks/clip.py",),
    "huggingface_hub": ("tasks/fetching.py",),
    "kornia": ("tasks/augmentation.py",),
    "torchvision": ("tasks/",),
    "sklearn": ("tasks/",),
    "ot": ("tasks/",),
    "mlxtend": ("tasks/",),
    "PIL": ("tasks/",),
    "safetensors": ("tasks/",),
    "resvg_py": ("tasks/data/emoji.py",),
}
FORBIDDEN = {
    "htsweep/": {"torch", "timm", "torchvision", "kornia"},
    "tasks/": {"htsweep", "ray", "mlflow", "optuna", "pyarrow", "typer"},
}


def imports() -> Iterator[tuple[str, str, int]]:
    """(file, top-level package, line) of every import, those inside functions too."""
    for path in sorted([*ROOT.glob("htsweep/**/*.py"), *ROOT.glob("tasks/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = (
                [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else (
                    [node.module or ""]
                    if isinstance(node, ast.ImportFrom) and not node.level
                    else []
                )
            )
            for name in names:
                yield path.relative_to(ROOT).as_posix(), name.partition(".")[0], node.lineno


def test_each_outside_library_has_one_home() -> None:
    wrong = [
        f"{file}:{line} imports {name}; its home is {HOMES[name]}"
        for file, name, line in imports()
        if name in HOMES and not file.startswith(HOMES[name])
    ]
    assert wrong == []


def test_every_outside_library_is_known_here() -> None:
    known = (
        set(HOMES)
        | set(sys.stdlib_module_names)
        | {"htsweep", "tasks", "search_spaces", "numpy", "pandas", "scipy"}
    )
    assert {name for _, name, _ in imports()} <= known


@pytest.mark.parametrize("half", FORBIDDEN)
def test_the_halves_meet_by_name_alone(half: str) -> None:
    wrong = [
        f"{file}:{line} imports {name}"
        for file, name, line in imports()
        if file.startswith(half) and name in FORBIDDEN[half]
    ]
    assert wrong == []


ORDER = (
    "cli",
    "submitting",
    "launching",
    "mirror",
    "report",
    "results",
    "analysis",
    "execution",
    "ledger",
    "planning",
    "selection",
    "buckets",
    "remote",
    "commands",
    "study",
    "files",
    "hiding",
    "errors",
    "words",
)
"""The folders and modules of htsweep: each imports only what stands after it."""


def own_imports(types: bool = True) -> Iterator[tuple[str, str, str]]:
    """(module, module that it imports, file:line) within htsweep; `types`: also what only type checkers import."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(ROOT.glob("htsweep/**/*.py"))
    }
    for module, path in paths.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        guarded = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ]
        for_types = {id(inner) for node in guarded for inner in ast.walk(node)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Import | ast.ImportFrom) or (
                id(node) in for_types and not types
            ):
                continue
            for one in node.names:
                names = (
                    [one.name]
                    if isinstance(node, ast.Import)
                    else [f"{node.module}.{one.name}", str(node.module)]
                )
                imported = next((name for name in names if name in paths), None)
                if imported and imported != module:
                    yield module, imported, f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"


def test_every_module_has_its_place_in_the_order() -> None:
    there = {
        path.stem
        for path in ROOT.glob("htsweep/*")
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there == {"__init__", *ORDER}


def test_imports_run_one_way() -> None:
    def place(module: str) -> int:
        return ORDER.index(module.split(".")[1])

    wrong = [
        f"{where}: {module} imports {imported}"
        for module, imported, where in own_imports()
        if module != "htsweep" and (imported == "htsweep" or place(imported) < place(module))
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, imported, _ in own_imports(types=False):
        graph.setdefault(module, set()).add(imported)
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle
