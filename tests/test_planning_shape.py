"""`plan` prints what is compared as it is read, and warns of chains that were meant as lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.planning.shape import lines

HEAD = "task: holistic_transfer\ngrid:\n  missing_ratio: [0.3, 0.5]\n"


@pytest.fixture
def told(study_file: Callable[..., Path]) -> Callable[[str], list[str]]:
    return lambda text: lines(plan(read(study_file(HEAD + text))))


def test_each_factor_has_a_line_with_its_values(told: Callable[[str], list[str]]) -> None:
    assert told("  method: [plain, [wise_ft, lolsgd]]\n") == [
        "grid    missing_ratio  2: 0.3, 0.5",
        "        method         2: plain, wise_ft + lolsgd (read as lolsgd + wise_ft)",
    ]


def test_a_long_list_is_cut(told: Callable[[str], list[str]]) -> None:
    epochs = ", ".join(map(str, range(1, 21)))
    (line,) = [line for line in told(f"  epochs: [{epochs}]\n") if "epochs" in line]
    assert line.endswith("20: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 8 more")


def test_a_list_too_many_is_one_method_and_warned_of(told: Callable[[str], list[str]]) -> None:
    said = told("  method: [[plain, l2sp], wise_ft]\n")
    assert said[1] == "        method         2: plain + l2sp (read as l2sp), wise_ft"
    assert said[2] == (
        "method  `plain + l2sp` is one method, a chain, in which `plain` does nothing; to compare "
        "them, list them apart: method: [plain, l2sp]"
    )
    assert len(told("  method: [plain, l2sp, [lolsgd, l2sp]]\n")) == 2
