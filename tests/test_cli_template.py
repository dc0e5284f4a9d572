"""`htsweep new` writes a study that reads, or says which option is wrong and writes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from htsweep.cli.template import write
from htsweep.errors import HtsweepError, StudyError
from htsweep.planning.plan import plan
from htsweep.planning.reading import read

GRID = {
    "dataset": "mnist-uci",
    "missing_ratio": "0.3,0.5",
    "backbone": "lenet_bn",
    "method": "plain,l2sp",
}


def test_the_study_has_what_the_options_say(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    said = write(path, GRID, ["l2sp.backbone=0.01,0.1"], 5)
    assert f"htsweep plan {path}" in said
    assert f"htsweep launch {path}" in said
    study = read(path)
    assert study.grid == {
        "dataset": ["mnist-uci"],
        "missing_ratio": [0.3, 0.5],
        "backbone": ["lenet_bn"],
        "method": ["plain", "l2sp"],
        "l2sp.backbone": [0.01, 0.1],
    }
    assert study.repetitions == 5
    # plain has no weight, so both values of it are one trial.
    assert plan(study).trial_count == 2 * (1 + 2) * 5


def test_a_file_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    with pytest.raises(HtsweepError, match=r"mine\.yaml already exists; .*--force"):
        write(path, GRID, [], 5)
    assert path.read_text() == "mine"
    write(path, GRID, [], 5, force=True)
    assert read(path).name == "mine"


@pytest.mark.parametrize(
    ("method", "weight", "hint"),
    [
        ("l2ps", [], "did you mean 'l2sp'?"),
        ("plain", ["l2sp.backbone"], "must be METHOD.PARAMETER=VALUES"),
        ("plain", ["l2sp.backbone="], "must be METHOD.PARAMETER=VALUES"),
    ],
)
def test_a_wrong_option_writes_nothing(
    method: str, weight: list[str], hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.yaml"
    with pytest.raises(StudyError) as caught:
        write(path, {**GRID, "method": method}, weight, 5)
    assert hint in str(caught.value)
    assert not path.exists()


def test_any_file_name_gives_a_valid_study(tmp_path: Path) -> None:
    path = tmp_path / "__a: b\n#c.yaml"
    write(path, GRID, [], 2)
    assert read(path).name == "a_ b__c"
