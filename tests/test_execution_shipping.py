"""What goes along to the nodes of a cluster, and how a config finds it there."""

from pathlib import Path

import pytest

from htsweep.execution import shipping
from htsweep.execution.shipping import collect, moved, paths_in, unpacked


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for name, text in {
        "study.yaml": "task: toy\n",
        "my_tasks.py": "x = 1\n",
        "lib/deep.py": "",
        "weights/small.pth": "w" * 2000,
        ".git/config": "",
        ".hidden": "",
        "env/pyvenv.cfg": "",
        "env/lib.py": "",
        "__pycache__/my_tasks.pyc": "",
        "results/trials/one.parquet": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_user_s_files_go_along_and_nothing_else(study: Path, tmp_path: Path) -> None:
    found = collect(study, str(study / "results"))
    names = [str(path) for path in found.files]
    assert names == ["lib/deep.py", "my_tasks.py", "study.yaml", "weights/small.pth"]
    assert found.left_out == []
    assert found.note() == ""
    found.copy(tmp_path / "there")
    here = unpacked(["/nowhere", str(tmp_path / "there")])
    assert here is not None
    assert (here / "my_tasks.py").read_text() == "x = 1\n"
    assert unpacked(["/nowhere"]) is None


def test_the_hash_is_of_names_and_contents(study: Path) -> None:
    before = collect(study).code
    assert collect(study).code == before
    (study / "my_tasks.py").write_text("x = 2\n")
    changed = collect(study).code
    (study / "my_tasks.py").rename(study / "their_tasks.py")
    assert len({before, changed, collect(study).code}) == 3


def test_too_much_is_left_out_and_named(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MOST_BYTES", 1000)
    found = collect(study, str(study / "results"))
    assert Path("my_tasks.py") in found.files
    assert found.left_out == ["weights (0.0 MiB)"]
    assert "weights (0.0 MiB)" in found.note()
    assert "at the same path on its node" in found.note()
    monkeypatch.setattr(shipping, "LOOKED_AT", 2)
    assert "whatever follows the first 2 files" in collect(study).note()
    monkeypatch.setattr(shipping, "LOOKED_AT", 20_000)
    monkeypatch.setattr(shipping, "MOST_FILES", 2)
    assert [path.suffix for path in collect(study).files] == [".py", ".py"]


def test_a_config_finds_what_was_sent_along(study: Path, tmp_path: Path) -> None:
    here, origin = str(tmp_path / "there" / shipping.FOLDER), str(study)
    collect(study, str(study / "results")).copy(tmp_path / "there")
    config = {
        "weights": f"{origin}/weights/small.pth",
        "dataset": f"folder:{origin}/lib:a-b",
        "large": [f"{origin}/data/large", f"{origin}er/lib", 3, None],
    }
    assert moved(config, origin, here) == {
        "weights": f"{here}/weights/small.pth",
        "dataset": f"folder:{here}/lib:a-b",
        "large": [f"{origin}/data/large", f"{origin}er/lib", 3, None],
    }
    assert moved(origin, origin, here) == here


def test_no_part_of_a_folder_is_taken_for_it(
    study: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset of which some images went along would give other numbers."""
    for number in range(5):
        (study / "weights" / f"{number}.png").write_text("i" * number * 100)
    (study / "weights" / "load.py").write_text("")
    (study / "linked").mkdir()
    (study / "linked" / "whole.png").write_text("")
    (study / "linked" / "more").symlink_to(tmp_path_factory.mktemp("more"))
    monkeypatch.setattr(shipping, "MOST_BYTES", 2500)
    found = collect(study, str(study / "results"))
    assert not [path for path in found.files if path.suffix in (".png", ".pth")]
    assert Path("weights/load.py") in found.files
    there = tmp_path_factory.mktemp("there")
    found.copy(there)
    here = str(there / shipping.FOLDER)
    for name in ("weights", "linked"):
        assert moved(f"{study}/{name}", str(study), here) == f"{study}/{name}"
    assert moved(f"{study}/weights/load.py", str(study), here) == f"{here}/weights/load.py"


def test_the_paths_that_a_config_names(study: Path) -> None:
    config = {"a": f"folder:{study}/lib:x-y", "b": [f"{study}/gone", "/", 1], "c": "toy"}
    assert list(paths_in(config)) == [f"{study}/lib"]


def test_a_file_that_vanishes_meanwhile_is_not_missed(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_file = Path.is_file

    def vanishing(path: Path) -> bool:
        there = is_file(path)
        if path.name == "deep.py":
            path.unlink(missing_ok=True)
        return there

    with monkeypatch.context() as patched:
        patched.setattr(Path, "is_file", vanishing)
        found = collect(study, str(study / "results"))
    assert [str(path) for path in found.files] == ["my_tasks.py", "study.yaml", "weights/small.pth"]
    (study / "weights" / "small.pth").unlink()
    found.copy(tmp_path / "there")
    here = tmp_path / "there" / shipping.FOLDER
    assert sorted(path.name for path in here.iterdir()) == ["my_tasks.py", "study.yaml", "weights"]
    origin = str(study)
    assert moved(f"{origin}/weights", origin, str(here)) == f"{origin}/weights"  # not whole there


@pytest.mark.parametrize("kind", ["home", "of all"])
def test_of_a_folder_that_is_no_study_s_only_modules_go_along(
    study: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "home":
        monkeypatch.setenv("HOME", str(study))
    else:
        study.chmod(0o1777)
    found = collect(study, str(study / "results"))
    assert [str(path) for path in found.files] == ["my_tasks.py", "study.yaml"]
    assert f"the study lies in {study}, among files that are not its own" in found.note()
    monkeypatch.setattr(shipping.os, "getuid", lambda: -1)  # the files of somebody else
    assert found.code != collect(study).code
    assert collect(study).files == []


def test_studies_alone_are_not_sent_for_no_trial_reads_them(tmp_path: Path) -> None:
    assert not collect(tmp_path).needed
    (tmp_path / "one.yaml").write_text("study: one\ntask: toy\n")
    (tmp_path / "two.yml").write_text('"task" : toy\n')
    assert not collect(tmp_path).needed
    (tmp_path / "labels.yaml").write_text("names: [a, b]\nsubtask: none\n")
    assert collect(tmp_path).needed
    (tmp_path / "labels.yaml").unlink()
    (tmp_path / "my_task.py").touch()
    assert collect(tmp_path).needed
