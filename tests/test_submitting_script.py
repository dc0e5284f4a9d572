"""The batch script: bash runs it with stand-ins for Slurm, Ray and htsweep that record their calls."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import htsweep
from htsweep.submitting.script import script

LAUNCH = """
echo $$ > "$SEEN.pid"
trap 'echo terminated >> "$SEEN"; exit 130' TERM
trap 'echo interrupted >> "$SEEN"; [ -n "$STUBBORN" ] || exit 130' INT
echo "launch $*" >> "$SEEN"
for _ in $(seq "$STEPS"); do sleep 0.05; done
echo finished >> "$SEEN"
exit "$CODE"
"""
RAY = """
echo "ray $* as ${RAY_AUTH_MODE} ${RAY_AUTH_TOKEN} on ${SLURMD_NODENAME}" >> "$SEEN"
for word in "$@"; do case $word in --temp-dir=*) folder=${word#*=} ;; esac; done
echo "folder $folder" >> "$SEEN"
trap 'echo "ray ended" >> "$SEEN"; exit 0' TERM
case " $* " in *" --head "*) [ -n "$BROKEN" ] && { echo no port; exit 1; }; echo 10.0.0.1:4242 > "$folder/ray_current_cluster" ;; esac
while true; do sleep 0.05; done
"""
SRUN = """
node=n1
for word in "$@"; do case $word in --relative=1) node=n2 ;; esac; done
while [ "$1" != bash ]; do shift; done
SLURMD_NODENAME=$node SLURM_CPUS_ON_NODE=3 setsid "$@" &
task=$!
trap 'kill -USR2 $task' USR2
trap 'echo "srun killed" >> "$SEEN"; kill -KILL $task' TERM
while kill -0 $task 2> /dev/null; do wait $task; done
"""


JOB = "/shared/a job's.sh"


class Run:
    """A script that runs, and what its stand-ins saw."""

    def __init__(self, folder: Path, nodes: int, **settings: str) -> None:
        bin_ = folder / "bin"
        bin_.mkdir()
        for name, text in {
            "htsweep": LAUNCH,
            "ray": RAY,
            "srun": SRUN,
            "scontrol": 'echo "scontrol $*" >> "$SEEN"; exit "$REFUSED"',
            "getent": "echo 127.0.1.1 STREAM; echo 10.0.0.7 STREAM",
        }.items():
            (bin_ / name).write_text(f"#!/bin/bash\n{text}\n")
            (bin_ / name).chmod(0o755)
        self.seen = folder / "seen"
        self.seen.touch()
        text = script(
            shlex.join(["htsweep", "launch", "a study's {before}.yaml", "--results", "r s"]),
            [f"--nodes={nodes}"],
            ["export BEFORE=yes", 'echo "before with $BEFORE" >> "$SEEN"'],
            programs=str(bin_),
            itself=JOB,
        )
        self.process = subprocess.Popen(
            ["bash", "-c", text],
            env={
                **os.environ,
                "SLURM_JOB_ID": "7",
                "SLURM_JOB_NODELIST": "n[1-2]",
                "SLURMD_NODENAME": "n1",
                "SLURM_JOB_NUM_NODES": "2",
                "SLURM_CPUS_PER_TASK": "3",
                "SEEN": str(self.seen),
                "STEPS": "200",
                "CODE": "0",
                "REFUSED": "0",
                "BROKEN": "",
                "STUBBORN": "",
                **settings,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, words: str) -> None:
        over = time.monotonic() + 20
        while words not in self.seen.read_text():
            assert time.monotonic() < over, f"no {words!r} in:\n{self.seen.read_text()}"
            time.sleep(0.02)

    def end(self) -> tuple[int, list[str], str]:
        """The exit code, what the stand-ins saw, and what the script printed."""
        out, errors = self.process.communicate(timeout=20)
        return self.process.returncode, self.seen.read_text().splitlines(), out + errors


@pytest.mark.parametrize("code", [0, 2, 3])
def test_a_launch_that_ends_by_itself_gives_the_job_its_exit_code(
    tmp_path: Path, code: int
) -> None:
    ended, seen, out = Run(tmp_path, 1, STEPS="1", CODE=str(code)).end()
    assert ended == code
    assert seen == [
        "before with yes",
        "launch launch a study's {before}.yaml --results r s",
        "finished",
    ]
    assert "htsweep: job 7 on n[1-2], start 1" in out


def test_before_the_time_limit_the_launch_is_interrupted_and_the_job_requeued(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path, 1)
    run.wait_for("launch launch")
    run.process.send_signal(signal.SIGUSR1)
    code, seen, out = run.end()
    assert code == 0
    assert seen[2:] == ["interrupted", "scontrol requeue 7"]
    assert "goes back to the queue" in out


def test_of_an_array_the_task_alone_is_requeued(tmp_path: Path) -> None:
    """The number of its last task is the array's, too."""
    run = Run(tmp_path, 1, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="3")
    run.wait_for("launch launch")
    run.process.send_signal(signal.SIGUSR1)
    code, seen, _ = run.end()
    assert code == 0
    assert seen[2:] == ["interrupted", "scontrol requeue 7_3"]


def test_a_job_that_slurm_does_not_requeue_says_how_to_go_on(tmp_path: Path) -> None:
    run = Run(tmp_path, 1, REFUSED="1")
    run.wait_for("launch launch")
    run.process.send_signal(signal.SIGUSR1)
    code, _, out = run.end()
    assert code == 130
    assert f"to go on: sbatch {shlex.quote(JOB)}" in out


def test_a_cancelled_job_waits_for_the_launch_and_is_not_requeued(tmp_path: Path) -> None:
    run = Run(tmp_path, 1)
    run.wait_for("launch launch")
    run.process.send_signal(signal.SIGTERM)  # Slurm sends it to every process of the job
    os.kill(int(Path(f"{run.seen}.pid").read_text()), signal.SIGTERM)
    code, seen, _ = run.end()
    assert code == 130
    assert seen[2:] == ["terminated"]


@pytest.mark.parametrize("code", [0, 3])
def test_a_launch_that_finishes_in_spite_of_the_signal_needs_no_other_start(
    tmp_path: Path, code: int
) -> None:
    run = Run(tmp_path, 1, STEPS="10", CODE=str(code), STUBBORN="yes")
    run.wait_for("launch launch")
    run.process.send_signal(signal.SIGUSR1)
    ended, seen, _ = run.end()
    assert ended == code
    assert seen[2:] == ["interrupted", "finished"]


def test_a_second_signal_does_not_interrupt_again(tmp_path: Path) -> None:
    """A launch takes the second Ctrl-C as the wish to end at once."""
    run = Run(tmp_path, 1, STEPS="20", STUBBORN="yes")
    run.wait_for("launch launch")
    run.process.send_signal(signal.SIGUSR1)
    run.wait_for("interrupted")
    run.process.send_signal(signal.SIGUSR1)
    _, seen, _ = run.end()
    assert seen[2:] == ["interrupted", "finished"]


@pytest.mark.parametrize("how", ["ends", "signal"])
def test_two_nodes_share_a_ray_that_ends_with_the_launch(tmp_path: Path, how: str) -> None:
    run = Run(tmp_path, 2, STEPS="20" if how == "ends" else "400", CODE="3")
    run.wait_for("ray start --block --address=10.0.0.1:4242")
    run.wait_for("launch launch")
    if how == "signal":
        run.process.send_signal(signal.SIGUSR1)
    code, seen, out = run.end()
    assert code == (3 if how == "ends" else 0), out
    rays = [line for line in seen if line.startswith("ray start")]
    head = next(line for line in rays if "--head" in line)
    worker = next(line for line in rays if "--address=10.0.0.1:4242" in line)
    assert len(rays) == 2
    assert "--port=0" in head
    for line, node in ((head, "n1"), (worker, "n2")):
        assert "--num-cpus=3" in line
        assert "--node-ip-address=10.0.0.7" in line
        assert line.endswith(f"on {node}")
    mode, token = head.partition(" as ")[2].split()[:2]
    assert mode == "token"
    assert len(token) == 64
    assert worker.partition(" as ")[2].split()[:2] == [mode, token]
    launched = "launch launch a study's {before}.yaml --results r s --address 10.0.0.1:4242"
    assert launched in seen
    assert seen.count("ray ended") == 2
    assert "srun killed" not in seen
    assert ("scontrol requeue 7" in seen) == (how == "signal")
    folders = {line.partition(" ")[2] for line in seen if line.startswith("folder")}
    assert len(folders) == 2
    assert not any(Path(folder).exists() for folder in folders)


def test_a_head_that_does_not_start_ends_the_job_with_its_reason(tmp_path: Path) -> None:
    code, seen, out = Run(tmp_path, 2, BROKEN="yes").end()
    assert code == 1
    assert "no port" in out
    assert "the head of Ray did not start on n1" in out
    assert not any(line.startswith("launch") for line in seen)


def test_a_real_launch_that_is_requeued_ends_with_the_numbers_of_an_undisturbed_one(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = study_file(
        "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 2\nfixed: {steps: 5, seconds: 0.1}\n"
    )
    (tmp_path / "bin").mkdir()
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.write_text(f'#!/bin/bash\necho "$@" >> {tmp_path}/requeued\n')
    scontrol.chmod(0o755)
    results = tmp_path / "requeued results"
    words = ["htsweep", "launch", str(path), "--results", str(results), "--no-mirror"]
    text = script(
        shlex.join([*words, "--on", "inline"]),
        ["--nodes=1"],
        [f'export PATH={tmp_path / "bin"}:"$PATH"'],
        programs=str(Path(sys.executable).parent),
        itself=JOB,
    )
    environment = {**os.environ, "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1"}
    printed = tmp_path / "printed"
    with printed.open("w") as log:
        job = subprocess.Popen(["bash", "-c", text], env=environment, stdout=log, stderr=log)
        over = time.monotonic() + 60
        while not list(results.glob("trials/*")):
            assert time.monotonic() < over, printed.read_text()
            time.sleep(0.02)
        job.send_signal(signal.SIGUSR1)
        assert job.wait(60) == 0
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
    assert "Interrupted; nothing is lost" in printed.read_text()
    study = htsweep.read(path)
    first = len(htsweep.trials(study, results))
    assert 0 < first < 6
    again = subprocess.run(
        ["bash", "-c", text], env=environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert f"({first} reused, 0 failed, 0 remaining)" in again.stdout
    assert (tmp_path / "requeued").read_text() == "requeue 7\n"
    htsweep.launch(study, tmp_path / "undisturbed", on="inline", mirror=None)
    disturbed, undisturbed = (
        htsweep.measurements(study, folder)
        .sort_values(["trial", "step"])
        .filter(regex="^(trial|step)$|/")
        .reset_index(drop=True)
        for folder in (results, tmp_path / "undisturbed")
    )
    assert len(undisturbed) == 6 * 6  # a trial measures before its first step, too
    assert "test/seen_accuracy" in undisturbed
    assert disturbed.equals(undisturbed)
