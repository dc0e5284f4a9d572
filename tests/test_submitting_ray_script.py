"""The script of a job of Ray's job server: bash runs it with stand-ins for htsweep."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from htsweep.commands import Given
from htsweep.execution.shipping import FOLDER
from htsweep.planning.reading import read
from htsweep.submitting.ray_script import script

HERE = f"htsweep {version('htsweep')}"


def run(
    write: Callable[..., Path], folder: Path, htsweep: str | None, *before: str
) -> tuple[int, str]:
    """Exit code and output of the script, where this is the program called htsweep."""
    path = write("study: toy\ntask: toy\ngrid: {x: [0.1, 0.5]}\n", "a study's {own}.yaml")
    given = Given(str(path), ("fixed.y=0.1",), "s3://bucket/r s", address="http://head:8265")
    text = script(read(path), given, before)
    (folder / FOLDER).mkdir(exist_ok=True)
    (folder / "bin").mkdir(exist_ok=True)
    if htsweep is not None:
        program = folder / "bin" / "htsweep"
        program.write_text(
            f'#!/bin/bash\n[ "$1" = --version ] && {{ {htsweep}; exit; }}\n'
            'pwd; printf "<%s> " "$@"; echo $BEFORE $RAY_OVERRIDE_JOB_RUNTIME_ENV; exit 3\n'
        )
        program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=folder,
        env={"PATH": f"{folder}/bin:/usr/bin:/bin", "RAY_ADDRESS": "10.0.0.1:6379"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_it_launches_the_study_from_the_folder_of_its_files(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    code, said = run(study_file, tmp_path, f"echo {HERE}", "export BEFORE=yes")
    assert code == 3, "the launch's own exit code"
    assert said.splitlines() == [
        str(tmp_path / FOLDER),
        "<launch> <a study's {own}.yaml> <--set> <fixed.y=0.1> <--results> <s3://bucket/r s> "
        "<--address> <10.0.0.1:6379> yes 1",
    ]


def test_it_only_measures_where_that_is_asked_for(study_file: Callable[..., Path]) -> None:
    path = study_file("study: toy\ntask: toy\ngrid: {x: [0.1, 0.5]}\n")
    text = script(read(path), Given(str(path), results="s3://b/r"), (), measure=True)
    assert text.endswith(f"exec htsweep plan {path.name} --results s3://b/r --measure\n")


@pytest.mark.parametrize(
    ("htsweep", "told"),
    [
        (None, "htsweep is not found where Ray runs jobs"),
        ("echo htsweep 0.0.1", f"has htsweep 0.0.1, but the study was checked with {HERE}; inst"),
        ("exit 1", ""),
    ],
)
def test_a_cluster_without_the_same_htsweep_runs_nothing(
    study_file: Callable[..., Path], tmp_path: Path, htsweep: str | None, told: str
) -> None:
    code, said = run(study_file, tmp_path, htsweep)
    assert code == 2
    assert told in said
    assert "launch" not in said
