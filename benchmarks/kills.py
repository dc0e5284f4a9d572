"""Kills processes of launches at random, launches again, and compares with an undisturbed run.

    uv run python benchmarks/kills.py --rounds 20 --seed 1

Each round kills one to three processes: the launch itself, the process that uses Ray, Ray's control
store or node manager, a worker, a trial's own process, or the one that copies to MLflow. It fails
if a trial is lost, is done twice or has different numbers, if MLflow lacks a trial and the last
launch did not say so, if files of a killed launch remain, or if a launch prints a traceback."""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

import htsweep
from htsweep.ledger import Ledger, Store
from htsweep.mirror.coverage import coverage
from htsweep.mirror.updating import copy
from htsweep.results import Results
from htsweep.study.schema import Study

TASK = """
import json, time

def source(config, workspace):
    time.sleep(0.3)
    (workspace.output / "model.json").write_text(json.dumps(workspace.seed("source") % 1000))
    yield {"step": 0, "train/loss": 1.0}

def adapt(config, workspace):
    model = json.loads((workspace.artifact("source") / "model.json").read_text())
    kept = workspace.load()
    first = json.loads(kept) + 1 if kept else 0
    for step in range(first, 4):
        time.sleep(0.1)
        yield {"step": step, "test/overall_accuracy": (model + step * config["x"]) / 1000}
        workspace.save(lambda: json.dumps(step).encode())

adapt.stages = lambda config: {"source": (__name__ + ":source", {})}
"""
STUDY = "study: kills\ntask: kills_task:adapt\ngrid: {x: [1, 2, 3, 4]}\nrepetitions: 4\n"
VICTIMS = {
    "launch": "bin/htsweep launch",
    "Ray's user": "htsweep.execution.driver",
    "control store": "gcs_server",
    "node manager": "raylet/raylet",
    "worker": "Trainable",
    "trial": "htsweep.execution.worker",
    "mirror": "htsweep.mirror.process",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="kills-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "kills_task.py").write_text(TASK)
        (folder / "study.yaml").write_text(STUDY)
        study = htsweep.read(folder / "study.yaml")
        htsweep.launch(study, str(folder / "whole"), on="inline", mirror=None)
        expected = numbers(study, folder / "whole")
        seconds = []
        for number in range(given.rounds):
            began = time.monotonic()
            told, said = play(draw, folder / "study.yaml", folder / f"round{number}")
            problems = wrong(study, folder / f"round{number}", expected) or unmirrored(
                study, folder / f"round{number}", said
            )
            seconds.append(time.monotonic() - began)
            print(f"round {number}: {told}: {seconds[-1]:.0f} s, {problems or 'right'}", flush=True)
            if problems:
                sys.exit(1)
    print(
        f"{given.rounds} rounds, median {statistics.median(seconds):.0f} s: no trial lost, none "
        "done twice, numbers equal"
    )


def play(draw: random.Random, study: Path, results: Path) -> tuple[str, str]:
    """Kills in one launch, then launches until done; returns what was killed and the output."""
    killed = []
    process = launch(study, results)
    for _ in range(draw.randint(1, 3)):
        victim, delay = draw.choice(list(VICTIMS)), draw.uniform(0.5, 10)
        time.sleep(delay)
        if kill(process, victim):
            killed.append(f"{victim} after {delay:.1f} s")
    said, _ = process.communicate(timeout=300)
    for _ in range(6):
        assert "Traceback" not in said, said
        if process.returncode == 0:
            return ", ".join(killed) or "nothing", said
        process = launch(study, results)
        said, _ = process.communicate(timeout=300)
    raise SystemExit(f"not done after six more launches: {said}")


def launch(study: Path, results: Path) -> subprocess.Popen[str]:
    words = [
        str(Path(sys.executable).parent / "htsweep"),
        "launch",
        str(study),
        "--results",
        str(results),
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kill(process: subprocess.Popen[str], victim: str) -> bool:
    """Kills a process of this kind; returns whether there was one."""
    for one in family(process):
        with contextlib.suppress(psutil.Error):
            if VICTIMS[victim] in " ".join(one.cmdline()) and one.status() != psutil.STATUS_ZOMBIE:
                one.send_signal(signal.SIGKILL)
                return True
    return False


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The process and all that it started, as far as they live."""
    try:
        own = psutil.Process(process.pid)
        return [own, *own.children(recursive=True)]
    except psutil.Error:
        return []


def numbers(study: Study, results: Path) -> list[dict[str, object]]:
    frame = htsweep.measurements(study, str(results)).sort_values(["trial", "step"])
    return frame.to_dict("records")


def wrong(study: Study, results: Path, expected: list[dict[str, object]]) -> str:
    """What is wrong with the results after a round; empty if nothing is."""
    rows = Ledger(Store(results)).trials(every=True).to_pylist()
    done = [row["trial"] for row in rows if row["status"] == "done"]
    if len(done) != len(set(done)):
        return "a trial was done twice"
    if numbers(study, results) != expected:
        return "numbers differ"
    left = [path.name for path in (results / "leases").rglob("*.json")] + [
        path.name for path in (results / "states").rglob("*") if path.is_file()
    ]
    return f"left behind: {left}" if left else ""


def unmirrored(study: Study, results: Path, said: str) -> str:
    """What is wrong with MLflow after a round; empty if nothing is.

    It must have all trials, or the launch must say what is missing and the next copy complete it.
    """
    there = coverage(Results(study, str(results)))
    if there.whole:
        return ""
    if f"MLflow has {there.runs} of {there.of} ended trials" not in said:
        return f"MLflow has {there.runs} of {there.of} trials, and the launch did not say so"
    copy(Results(study, str(results)))
    return (
        ""
        if coverage(Results(study, str(results))).whole
        else "htsweep mirror did not bring the rest"
    )


if __name__ == "__main__":
    main()
