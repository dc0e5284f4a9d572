"""Relative paths in a study are those from its file, wherever the user stands."""

import shutil
from pathlib import Path

import pytest
import yaml
from pictures import domains

from htsweep.planning import paths
from htsweep.planning.notes import notes
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from tasks import data, weights
from tasks.task import Setting

SETTINGS = {
    "dataset": Setting(str, "", path=data.root_of),
    "weights": Setting(str, "", path=weights.path_of),
}

COUNTS = {"x": 4, "y": 4}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A study's folder and a working folder."""
    study, working = tmp_path / "studies", tmp_path / "working"
    for folder in (study, working):
        folder.mkdir()
    monkeypatch.chdir(working)
    return study, working


def located(folder, **config):
    return paths.located(SETTINGS, config, folder)


def test_what_is_beside_the_study_counts_then_what_is_in_the_working_folder(places):
    study, working = places
    (working / "file.pth").touch()
    assert located(study, weights="file.pth") == {"weights": f"{working}/file.pth"}
    assert paths.elsewhere(SETTINGS, {"weights": "file.pth"}, study) == ["file.pth"]
    assert paths.shadowed(SETTINGS, {"weights": "file.pth"}, study) == []
    (study / "file.pth").touch()
    assert located(study, weights="file.pth") == {"weights": f"{study}/file.pth"}
    assert paths.elsewhere(SETTINGS, {"weights": "file.pth"}, study) == []
    assert paths.shadowed(SETTINGS, {"weights": "file.pth"}, study) == [
        ("weights", study / "file.pth", working / "file.pth")
    ]


def test_the_text_around_a_path_stays(places):
    study, _ = places
    (study / "a" / "b").mkdir(parents=True)
    found = {
        text: located(study, dataset=text)["dataset"]
        for text in ("folder:a/b:x-y", "mnist-folder:a:x@blur3", "pretrained-office_home:a:Art")
    }
    assert found == {
        "folder:a/b:x-y": f"folder:{study}/a/b:x-y",
        "mnist-folder:a:x@blur3": f"mnist-folder:{study}/a:x@blur3",
        "pretrained-office_home:a:Art": f"pretrained-office_home:{study}/a:Art",
    }


@pytest.mark.parametrize(
    "config",
    [
        {"dataset": "mnist-uci"},
        {"dataset": "folder:/data:x-y"},
        {"dataset": "folder:~/data:x-y"},
        {"dataset": "folder:nowhere:x-y"},
        {"dataset": ["folder:a:x-y"]},
        {"dataset": "folder:" + "x" * 5000 + ":x-y"},
        {"dataset": "folder:\0:x-y"},
        {"weights": "timm"},
        {"weights": ""},
        {"method": "plain"},
    ],
)
def test_other_values_stay_as_they_are(config, places):
    assert located(places[0], **config) == config


def test_people_read_a_path_without_what_is_outside_of_the_study():
    def short(value):
        return paths.short(SETTINGS, "dataset", value)

    assert short("folder:pictures/new:a-b") == "folder:pictures/new:a-b"
    assert short("folder:/home/me/pictures:a-b") == "folder:pictures:a-b"
    assert short("folder:../pictures:a-b") == "folder:pictures:a-b"
    assert short("mnist-uci") is None


def file_of(folder: Path, *datasets: str) -> Path:
    file = folder / "s.yaml"
    text = {
        "task": "holistic_transfer",
        "grid": {"dataset": list(datasets), "missing_ratio": [0.5], "method": ["plain"]},
        "fixed": {"image_size": 32},
    }
    file.write_text(yaml.safe_dump(text))
    return file


def test_a_plan_is_the_same_from_everywhere(places, monkeypatch):
    study, working = places
    domains(study / "pictures", COUNTS, ("a", "b"))
    file = file_of(study, "folder:pictures:a-b")
    from_there = plan(read(file))
    assert from_there.sweeps[0].base["dataset"] == f"folder:{study}/pictures:a-b"
    assert notes(from_there.study)[0].startswith("dataset a:")
    monkeypatch.chdir(study)
    beside = read("s.yaml")
    monkeypatch.chdir(working)  # a notebook may go elsewhere after it has read the study
    # Another folder of that name in the working folder changes nothing, but is told.
    shutil.copytree(study / "pictures", working / "pictures")
    (working / "pictures" / "b" / "x" / "0.png").unlink()
    for other in (plan(beside), plan(read(file))):
        assert [one.id for one in other.sweeps] == [one.id for one in from_there.sweeps]
        assert [one.id for one in other.points] == [one.id for one in from_there.points]
        assert notes(other.study)[0] == (
            f"dataset {study}/pictures is used, by its path from the study's file; "
            f"{working}/pictures in the working folder is not"
        )


def test_patterns_and_names_in_figures_keep_the_path_of_the_study(places):
    study, _ = places
    domains(study / "pictures", COUNTS, ("a", "b"))
    domains(study / "more" / "pictures", COUNTS, ("a", "b"))
    read_study = read(file_of(study, "folder:pictures:*-b"))
    assert read_study.grid["dataset"] == ["folder:pictures:a-b"]
    assert plan(read_study).labels == {f"folder:{study}/pictures:a-b": "folder:pictures:a-b"}
    # Two that would be called the same keep their whole paths.
    both = file_of(study, f"folder:{study}/more/pictures:a-b", "folder:pictures:a-b")
    assert plan(read(both)).labels == {}


def test_a_folder_on_the_command_line_is_written_as_the_study_has_it(places):
    study, working = places
    (working / "pictures").mkdir()

    def seen(value):
        return paths.seen_from(SETTINGS, "dataset", value, study)

    assert seen("folder:pictures:a-b") == "folder:../working/pictures:a-b"
    assert located(study, dataset=seen("folder:pictures:a-b"))["dataset"] == (
        f"folder:{study}/../working/pictures:a-b"
    )
    assert paths.seen_from(SETTINGS, "dataset", "folder:pictures:a-b", working) == (
        "folder:pictures:a-b"
    )
    assert seen("mnist-uci") == "mnist-uci"
    assert seen("folder:/data:a-b") == "folder:/data:a-b"


def test_a_bucket_is_no_relative_path_and_is_shown_by_its_last_folder(tmp_path: Path) -> None:
    place = "folder:s3://bucket/mine/photos?region=there:art-photo"
    (tmp_path / "s3:" / "bucket" / "mine" / "photos?region=there").mkdir(parents=True)
    config = {"dataset": place}
    assert paths.located(SETTINGS, config, tmp_path) == config
    assert paths.short(SETTINGS, "dataset", place) == "folder:photos:art-photo"
