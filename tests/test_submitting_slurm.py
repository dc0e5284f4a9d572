"""What a job asks of Slurm: checked before, written into its script, and given to sbatch."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.cli.app import main
from htsweep.commands import Given
from htsweep.errors import HtsweepError
from htsweep.planning.reading import read
from htsweep.submitting import Job, slurm, submit
from htsweep.submitting.slurm import seconds_of

TEXT = "task: toy\nstudy: my toy\ngrid: {x: [0.1, 0.9]}\n"
StudyFile = Callable[..., Path]


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the folder for temporary files, where tests run, count as one that nodes share."""
    monkeypatch.setattr(slurm, "OWN_DISKS", ("/dev/shm",))


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that records its arguments, and refuses what has the word `refuse`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "sbatch"
    program.write_text(
        "#!/bin/bash\n"
        f'printf "%s\\n" "$@" > {shlex.quote(str(folder / "called"))}\n'
        'grep -q refuse "${@: -1}" && { echo "sbatch: error: invalid partition" >&2; exit 1; }\n'
        "echo '42;cluster'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "called"


def text_of(path: Path, job: Job, *overrides: str, **given: str) -> str:
    study = read(path, overrides)
    arguments = Given(str(path), overrides, given.get("results", "results"), mirror=None)
    return submit(study, arguments, job, dry=True).text


def refused(path: Path, job: Job, *overrides: str, **given: str) -> str:
    with pytest.raises(HtsweepError) as caught:
        text_of(path, job, *overrides, **given)
    return str(caught.value)


def directives(text: str) -> list[str]:
    return [
        shlex.split(line.removeprefix("#SBATCH "))[0]
        for line in text.splitlines()
        if line.startswith("#SBATCH ")
    ]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("24:00:00", 86400),
        ("1-0", 86400),
        ("1-12", 129600),
        ("2-01:30", 178200),
        ("2-01:30:05", 178205),
        ("UNLIMITED", None),
        ("", None),
    ],
)
def test_the_forms_of_slurm_s_times(time: str, seconds: int | None) -> None:
    assert seconds_of(time) == seconds


@pytest.mark.parametrize("time", ["3h", "1:2:3:4", "1-", "-5", "1.5", "ten", "1-2-3"])
def test_other_forms_of_times_are_refused(study_file: StudyFile, time: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        seconds_of(time)
    said = refused(study_file(TEXT), Job(time=time))
    assert f"--time {time}: Slurm takes MINUTES, HOURS:MINUTES:SECONDS" in said
    assert "write 24:00:00" in said


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("nodes", [1, 3])
def test_the_script_asks_for_what_was_given_and_is_sound(study_file: StudyFile, nodes: int) -> None:
    path = study_file(TEXT + "resources: {cpu: 2.5, gpu: 0.5}\n", "a study's {again}.yaml")
    job = Job(
        nodes,
        gres="gpu:4",
        time="24:00:00",
        partition="gpu long",
        before=("module load cuda",),
        options=("--account=lab",),
    )
    text = text_of(path, job)
    asked = directives(text)
    for option in (
        "--job-name=htsweep-my_toy",
        f"--nodes={nodes}",
        "--ntasks-per-node=1",
        "--cpus-per-task=3",
        "--gres=gpu:4",
        "--time=24:00:00",
        "--partition=gpu long",
        "--signal=B:USR1@180",
        "--requeue",
        "--open-mode=append",
    ):
        assert option in asked
    assert asked[-1] == "--account=lab"
    assert "\nmodule load cuda\n" in text
    assert ("ray start --block" in text) == (nodes > 1)
    launch = f"htsweep launch {shlex.quote(str(path))} --no-mirror"
    assert (f'    {launch} --address "$address" &' in text) == (nodes > 1)
    assert (f"    {launch} &" in text) == (nodes == 1)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    if shutil.which("shellcheck"):
        done = subprocess.run(
            ["shellcheck", "-"], input=text, text=True, capture_output=True, check=False
        )
        assert done.stdout == ""


@pytest.mark.usefixtures("shared")
def test_the_tasks_of_an_array_share_the_study(study_file: StudyFile) -> None:
    text = text_of(study_file(TEXT), Job(array=4, time="1:00:00"))
    assert "--array=0-3" in directives(text)
    assert any(option.endswith("/my_toy-%A_%a.log") for option in directives(text))
    [launch] = [line for line in text.splitlines() if "htsweep launch" in line]
    assert "--join" in launch


def test_the_tasks_of_an_array_need_what_they_share(study_file: StudyFile, tmp_path: Path) -> None:
    said = refused(study_file(TEXT), Job(array=2), results=str(tmp_path / "results"))
    assert "each node has a /tmp of its own" in said


def test_cores_are_those_of_one_trial_and_never_fewer(study_file: StudyFile) -> None:
    path = study_file(TEXT + "resources: {cpu: 4}\n")
    assert "--cpus-per-task=4" in directives(text_of(path, Job()))
    assert "--cpus-per-task=16" in directives(text_of(path, Job(cpus_per_task=16)))
    said = refused(path, Job(cpus_per_task=2))
    assert "--cpus-per-task 2: a trial takes 4 cores" in said
    assert "give at least 4" in said


def test_a_study_that_takes_gpus_asks_for_some(study_file: StudyFile) -> None:
    path = study_file(TEXT + "resources: {gpu: 0.25}\n")
    said = refused(path, Job())
    assert "a trial takes 0.25 (resources.gpu)" in said
    assert "--gres gpu:1" in said
    assert "--gpus-per-node=2" in directives(text_of(path, Job(options=("--gpus-per-node=2",))))


def test_several_nodes_need_what_they_share(study_file: StudyFile, tmp_path: Path) -> None:
    path = study_file(TEXT)  # in the folder for temporary files
    said = refused(path, Job(nodes=2), results="/var/tmp/r")
    assert "--results /var/tmp/r: each node has a /var/tmp of its own" in said
    assert "s3://BUCKET/results" in said
    if tmp_path.resolve().is_relative_to("/tmp"):
        assert f"the study {path}: each node has a /tmp of its own" in said
    assert "--results" not in refused(path, Job(nodes=2, time="x"), results="s3://bucket/r")
    assert text_of(path, Job(nodes=1), results="/var/tmp/r")


def test_options_that_the_script_relies_on_stay(study_file: StudyFile) -> None:
    path = study_file(TEXT)
    for option in (
        "--nodes=4",
        "-N4",
        "--signal=TERM@5",
        "--array=1-4",
        "--no-requeue",
        "-n",
        "-a",
    ):
        assert f"--sbatch={option}: the script relies on" in refused(path, Job(options=(option,)))
    assert "begin with a hyphen" in refused(path, Job(options=("account=lab",)))
    assert "is one line" in refused(path, Job(partition="a\n#SBATCH --nodes=9"))
    assert "no path with a line break" in refused(path, Job(), results="a\n#SBATCH --nodes=9")


def test_a_time_that_the_signal_would_use_up_is_refused(study_file: StudyFile) -> None:
    said = refused(study_file(TEXT), Job(time="3"))
    assert "--time 3: the launch is interrupted 180 s before the time limit" in said
    assert text_of(study_file(TEXT), Job(time="3", signal_seconds=60))


def test_a_password_is_not_written_to_the_script(study_file: StudyFile) -> None:
    path = study_file(TEXT)
    given = Given(str(path), mirror="http://me:hunter2@host:5000")
    with pytest.raises(HtsweepError) as caught:
        submit(read(path), given, Job(), dry=True)
    assert "MLFLOW_TRACKING_PASSWORD" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_every_mistake_is_told_at_once(study_file: StudyFile) -> None:
    said = refused(
        study_file(TEXT + "resources: {cpu: 2, gpu: 1}\n"), Job(time="x", cpus_per_task=1)
    )
    assert said.startswith("nothing was submitted:\n")
    assert len(said.splitlines()) == 4


def test_a_machine_without_slurm_says_so(
    study_file: StudyFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path, results = study_file(TEXT), tmp_path / "r"
    with pytest.raises(HtsweepError, match=r"no sbatch.*login node.*--dry-run"):
        submit(read(path), Given(str(path), results=str(results)), Job())
    assert not results.exists()


def test_submitting_writes_the_script_beside_the_results(
    study_file: StudyFile,
    sbatch: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, results = study_file(TEXT), tmp_path / "r's 100%"
    with pytest.raises(SystemExit) as caught:
        main(["submit", str(path), "--slurm", "--results", str(results), "--time", "1-0"])
    assert not caught.value.code
    said = capsys.readouterr().out
    script = results / "slurm" / "my_toy.sh"
    assert f"submitted job 42 ({script})" in said
    assert f"It writes to {results}/slurm/my_toy-42.log" in said
    assert "--cpus-per-task gives more" in said
    assert said.endswith("scancel 42\n")
    assert sbatch.read_text().splitlines() == ["--parsable", str(script)]
    subprocess.run(["bash", "-n", script], check=True)
    assert f"--output={tmp_path}/r's 100%%/slurm/my_toy-%j.log" in directives(script.read_text())


def test_what_slurm_refuses_is_told_with_its_reason(
    study_file: StudyFile, sbatch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["submit", str(study_file(TEXT)), "--slurm", "--results", str(tmp_path / "r")]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--partition", "refuse"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "Slurm refused the job: sbatch: error: invalid partition." in said
    assert "`sinfo` lists partitions" in said
    assert sbatch.exists()


def test_a_dry_run_prints_the_script_alone(
    study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "r"
    words = ["submit", str(study_file(TEXT)), "--slurm", "--results", str(results), "--dry-run"]
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert not caught.value.code
    assert capsys.readouterr().out.startswith("#!/bin/bash\n")
    assert not results.exists()


def test_submit_without_a_place_says_what_to_give(
    study_file: StudyFile, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["submit", str(study_file(TEXT))])
    assert caught.value.code == 2
    assert "give --slurm" in capsys.readouterr().err
