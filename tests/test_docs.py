"""What the documents say holds."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import painted
import pandas as pd
import pytest

from htsweep.analysis.new_images import Contributions, Images
from htsweep.planning.plan import plan
from htsweep.planning.reading import read

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("*/README.md"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tests_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"test_[a-z_]+\.py", page.read_text(encoding="utf-8")):
        assert (ROOT / "tests" / name).exists(), name


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_study_that_the_readme_explains_is_one(study_file: Callable[..., Path]) -> None:
    [text] = blocks(ROOT / "README.md", "yaml")
    planned = plan(read(study_file(text)))
    assert (len(planned.sweeps), planned.trial_count > 0) == (48, True)


def test_the_readme_s_python_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    for block in blocks(ROOT / "README.md", "python"):
        exec(block, {})
    assert capsys.readouterr().out == "232\n"


@pytest.mark.parametrize("path", sorted(ROOT.glob("studies/*.yaml")), ids=lambda path: path.stem)
def test_the_ready_studies_are_valid_and_open_with_their_command(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "folder:data/emoji:" in path.read_text(encoding="utf-8"):
        painted.emoji(tmp_path)
        monkeypatch.chdir(tmp_path)
    assert plan(read(path)).trial_count > 0
    assert f"htsweep launch studies/{path.name}" in path.read_text(encoding="utf-8").splitlines()[0]


def test_every_module_is_on_the_map() -> None:
    """docs/architecture.md names each file or folder of htsweep/."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "htsweep").iterdir()):
        if path.name not in ("__init__.py", "__pycache__", "py.typed"):
            assert f"htsweep/{path.name}" in text, path.name


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.1 + 0.001 * place for place in range(8)], "holds"),
        ([-0.1 - 0.001 * place for place in range(8)], "**does not hold**"),
        ([0.1, 0.2, -0.1, -0.15, 0.12, -0.2, 0.1, -0.1], "not shown"),
        ([0.1, 0.11], "too few"),
        ([float("nan"), *(0.1 + 0.001 * place for place in range(7))], "holds"),
    ],
)
def test_a_claim_holds_where_the_reports_standard_says_so(
    differences: list[float], verdict: str
) -> None:
    made = runpy.run_path(str(ROOT / "docs" / "results" / "make.py"))
    verdicts, numbers = made["_verdicts"], made["Numbers"]
    (found,) = verdicts([("a claim", "here", numbers(pd.Series(differences)))], float("nan"))
    assert found.endswith(f"] {verdict}")


def test_claims_about_one_place_are_corrected_together() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "results" / "make.py"))
    verdicts, numbers = made["_verdicts"], made["Numbers"]
    sure = numbers(pd.Series([0.1 + 0.001 * place for place in range(7)]))  # p = 2/128 alone
    vague = numbers(pd.Series([0.1, -0.1, 0.2, -0.2, 0.1, -0.1, 0.0]))
    together = verdicts(
        [(f"claim {number}", "here", vague) for number in range(3)] + [("a", "here", sure)],
        float("nan"),
    )
    assert together[-1].endswith("too few")  # 4 times 1/64 is above 0.05
    apart = verdicts([("claim", "there", vague), ("a", "here", sure)], float("nan"))
    assert apart[-1].endswith("holds")


def test_a_claim_holds_for_new_images_where_they_are_drawn_anew() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "results" / "make.py"))
    verdicts, numbers = made["_verdicts"], made["Numbers"]
    uneven = [("a", "here", numbers(pd.Series([0.05, 0.12, 0.1, 0.06, 0.07, 0.08, 0.05])))]
    assert verdicts(uneven, float("nan"), None)[0].endswith(" holds")
    assert verdicts(uneven, 0.9, None)[0].endswith("not shown")


def test_a_claim_is_a_weighted_sum_of_trials_numbers() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "results" / "make.py"))
    rows = pd.DataFrame(
        {"sweep": ["s", "t", "s", "t"], "repetition": [0, 0, 1, 1], "x": [1, 3, 5, 9]}
    )
    mean = made["mean_of"](rows, "x")
    assert mean.values.tolist() == [2, 7]
    assert (mean - mean).values.tolist() == [0, 0]
    images = Images(
        {
            ("s", 0): Contributions(np.array([0, 1]), {"x": np.array([0.5, -0.5])}),
            ("t", 0): Contributions(np.array([0, 1]), {"x": np.array([0.1, -0.1])}),
            ("s", 1): Contributions(np.array([1, 2]), {"x": np.array([0.2, -0.2])}),
            ("t", 1): Contributions(np.array([1, 2]), {"x": np.array([0.0, 0.0])}),
        },
        3,
    )
    # Image 0 adds (0.5 + 0.1) / 2, image 1 (-0.6 + 0.2) / 2, image 2 -0.2 / 2, to a sum of two runs.
    expected = (0.3**2 + 0.2**2 + 0.1**2) / 4 * 3 / 2
    assert mean.spread(images).variance == pytest.approx(expected)
    assert (-mean).spread(images).variance == pytest.approx(expected)
    assert (mean - mean).spread(images).variance == pytest.approx(0)
    assert made["Numbers"](mean.values).spread(images) is None


def test_every_ready_study_has_its_tables() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "results" / "make.py"))["TABLES"]
    assert set(tables) == {path.stem for path in ROOT.glob("studies/*.yaml")}
    assert {path.stem for path in ROOT.glob("docs/results/*.md")} == {*tables, "claims", "README"}
