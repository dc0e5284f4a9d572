"""`htsweep new` writes a study that reads, or says which option is wrong and writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from htsweep.cli.template import Options, write
from htsweep.errors import HtsweepError, StudyError
from htsweep.planning.plan import plan
from htsweep.planning.reading import read

GRID = {
    "dataset": "mnist-uci",
    "missing_ratio": "0.3,0.5",
    "backbone": "lenet_bn",
    "method": "plain,l2sp",
}


def folder_of(parent: Path) -> Path:
    """A folder of two domains, three classes each, with a few grey images in each class."""
    for domain in "ab":
        for name in "xyz":
            folder = parent / "images" / domain / name
            folder.mkdir(parents=True)
            for number in range(12):
                Image.new("L", (8, 8), number * 9).save(folder / f"{number}.png")
    return parent / "images"


def test_the_study_has_what_the_options_say(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    said = write(path, Options(GRID, ["l2sp.backbone=0.01,0.1"], 5))
    assert f"htsweep plan {path}" in said
    assert f"htsweep launch {path}" in said
    assert "image_size" not in said  # digits have one size, so that it would have no effect
    study = read(path)
    assert study.grid == {
        "dataset": ["mnist-uci"],
        "missing_ratio": [0.3, 0.5],
        "backbone": ["lenet_bn"],
        "method": ["plain", "l2sp"],
    }
    assert study.repetitions == 5
    # A sweep of plain and one of l2sp in each group, and l2sp has two configurations there; its
    # other parameter, which the search space would vary too, keeps its default.
    planned = plan(study)
    assert sorted(planned.sizes.values()) == [1, 1, 2, 2]
    assert {point.config.get("l2sp.head") for point in planned.points} == {None, 0.1}
    # Among several configurations, the first is no choice.
    assert study.select == "seen_validation"


def test_a_search_is_over_what_all_methods_share_and_their_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    write(path, Options(GRID, ["l2sp.backbone=0.01,0.1"], 2, search="tpe:7", epochs=3))
    study = read(path)
    assert study.search is not None
    assert (study.search.sampler, study.search.trials) == ("tpe", 7)
    assert study.search.spaces == {
        "training": {"learning_rate": None},
        "l2sp": {"backbone": [0.01, 0.1]},
    }
    assert study.fixed == {"epochs": 3}
    assert [objective.metric for objective in study.objectives] == ["validation/seen_accuracy"]
    assert "l2sp.head" in plan(study).searched


def test_another_task_and_protocol(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    write(path, Options({"method": "plain,bss"}, task="fine_tuning", select="test_accuracy"))
    study = read(path)
    assert (study.task, study.select, list(study.grid)) == (
        "fine_tuning",
        "test_accuracy",
        ["dataset", "backbone", "method"],
    )


def test_a_folder_of_images_is_looked_into(tmp_path: Path) -> None:
    root = folder_of(tmp_path)
    said = write(tmp_path / "mine.yaml", Options({"dataset": f"folder:{root}:a-b"}))
    assert "images" in said.splitlines()[1]
    assert read(tmp_path / "mine.yaml").fixed == {"image_size": "auto"}


def test_a_file_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("mine")
    with pytest.raises(HtsweepError, match=r"mine\.yaml already exists; .*--force"):
        write(path, Options(GRID))
    assert path.read_text() == "mine"
    write(path, Options(GRID), force=True)
    assert read(path).name == "mine"


@pytest.mark.parametrize(
    ("method", "weight", "more", "hint"),
    [
        ("l2ps", [], {}, "--method: no method 'l2ps'; did you mean 'l2sp'?"),
        ("plain", ["l2sp.backbone"], {}, "must be METHOD.PARAMETER=VALUES"),
        ("plain", ["l2sp.backbone="], {}, "must be METHOD.PARAMETER=VALUES"),
        ("plain", ["l2sp.backbone=1"], {}, "--weight l2sp: the study has no method 'l2sp'"),
        ("l2sp", ["l2sp.bakcbone=1"], {}, "--weight l2sp.bakcbone: the task has no key"),
        ("plain", [], {"task": "fine_tunning"}, "did you mean 'fine_tuning'?"),
        ("plain", [], {"task": "fine_tuning"}, "--missing-ratio: task 'fine_tuning' has no key"),
        ("plain", [], {"search": "tpe:many"}, "must be SAMPLER or SAMPLER:TRIALS"),
        ("plain", [], {"search": "randm:2"}, "--search: got 'randm'; did you mean 'random'?"),
        ("plain", [], {"select": "seen"}, "--select: unknown protocol 'seen'"),
        ("plain", [], {"epochs": 10**9}, "--epochs: must be at most 100000"),
    ],
)
def test_a_wrong_option_writes_nothing(
    method: str, weight: list[str], more: dict[str, Any], hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "wrong.yaml"
    with pytest.raises(StudyError) as caught:
        write(path, Options({**GRID, "method": method}, weight, 5, **more))
    assert hint in str(caught.value)
    assert "  line " not in str(caught.value)  # of a file that is not there
    assert not path.exists()


def test_any_file_name_gives_a_valid_study(tmp_path: Path) -> None:
    path = tmp_path / "__a: b\n#c.yaml"
    write(path, Options(GRID))
    assert read(path).name == "a_ b__c"
