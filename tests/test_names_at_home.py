"""Methods, scores and protocols are known by name where they live, and nowhere else: others read what they declare."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from htsweep import selection
from tasks import methods, scores

ROOT = Path(__file__).parent.parent
METHODS = frozenset(methods.NAMES)
SCORES = frozenset(scores.NAMES) | {scores.group(name) for name in scores.NAMES}
PROTOCOLS = frozenset(selection.NAMES)
ALLOWED = {
    ("source", "htsweep/planning/task.py"): "a role that a task may answer",
    (
        "source",
        "htsweep/analysis/halves.py",
    ): "a reference of areas: what the source model reaches",
    ("hypervolume", "htsweep/analysis/protocols.py"): "a metric: the area of a front",
    ("hypervolume", "htsweep/report/"): "the metric's title",
    (
        "last",
        "htsweep/study/schema.py",
    ): "the default of `select`, which stands below the protocols",
    ("last", "htsweep/planning/screen.py"): "a study of scores has one point per sweep: the word",
    ("at", "htsweep/report/page/series.py"): "a key of the page's data: where a value stands",
    ("last", "htsweep/ledger/remeasured.py"): "pyarrow's word for which of a group counts",
    ("last", "htsweep/analysis/frontier.py"): "pandas' word for which duplicate stays",
    ("oracle", "htsweep/cli/template.py"): "the key of an objective that owns up to a test column",
    ("oracle", "htsweep/planning/checks/study.py"): "the same key",
    ("oracle", "htsweep/planning/reading.py"): "the same key",
    ("at", "htsweep/execution/ray_load.py"): "a key of what a node says: when it said it",
    ("oracle", "htsweep/selection/protocols.py"): "what a protocol was called before",
    ("at", "htsweep/selection/"): "the function that takes rows at chosen steps",
}
"""(name, file or folder) -> what else it is there."""
DISTINCTIVE = (METHODS | SCORES | PROTOCOLS) - {
    *("at", "delta", "l2", "last", "plain", "source"),
    *("hypervolume", "logme", "nce", "swa"),
}
"""Names that are no words of a sentence: they may not be part of a text either."""


def texts(file: Path) -> Iterator[tuple[str, int]]:
    """Each string constant of a module with its line; docstrings, of attributes too, aside."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    described = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in described:
            continue
        if isinstance(node.value, str):
            yield node.value, node.lineno


def quoted(file: Path) -> Iterator[tuple[str, int]]:
    """Each string of a script with its line; of a template, its lines."""
    for line, text in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if file.suffix == ".js":
            for string in re.findall(r"\"[^\"]*\"|'[^']*'|`[^`]*`", text):
                yield string[1:-1], line
        else:
            yield text, line


def named(text: str) -> set[str]:
    """The names that a text is, begins with as the prefix of a key or column, or has as a distinctive word."""
    names = METHODS | SCORES | PROTOCOLS
    found = {name for name in names if text == name or re.match(rf"{name}[./+]", text)}
    return found | (DISTINCTIVE & set(re.findall(r"[A-Za-z0-9_]+", text)))


STRINGS = {".py": texts, ".js": quoted, ".html": quoted}


def is_allowed(name: str, file: str) -> bool:
    return any(name == other and file.startswith(place) for other, place in ALLOWED)


def offences(folder: Path, root: Path) -> list[str]:
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.suffix in STRINGS):
        file = path.relative_to(root).as_posix()
        for text, line in STRINGS[path.suffix](path):
            for name in sorted(named(text)):
                at_home = name in PROTOCOLS and file.startswith("htsweep/selection/")
                if not at_home and not is_allowed(name, file):
                    found.append(f"{file}:{line} names '{name}' in {text[:60]!r}")
    return found


def test_nothing_in_the_orchestrator_knows_a_method_a_score_or_a_protocol_by_name() -> None:
    assert offences(ROOT / "htsweep", ROOT) == []


def test_every_exception_is_still_one() -> None:
    used = {
        (name, place)
        for name, place in ALLOWED
        for path in (ROOT / "htsweep").rglob("*.py")
        if path.relative_to(ROOT).as_posix().startswith(place)
        for text, _ in texts(path)
        if name in named(text)
    }
    assert used == set(ALLOWED)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ('BOUND = "oracle"', "oracle"),
        ('if row["method"] == "wise_ft": pass', "wise_ft"),
        ('name.startswith("tta/")', "tta"),
        ('key = "l2sp.backbone"', "l2sp"),
        ('f"take {x} by seen_validation"', "seen_validation"),
        ('scores["otce_w"]', "otce_w"),
    ],
)
def test_a_name_in_a_module_is_found(tmp_path: Path, code: str, name: str) -> None:
    (tmp_path / "module.py").write_text(f'"""The word {name} in a docstring."""\n{code}\n')
    [found] = offences(tmp_path, tmp_path)
    assert f"module.py:2 names '{name}'" in found
