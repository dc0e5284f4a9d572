"""Checks what a job of Slurm asks for, writes its batch script, and submits it."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from htsweep.commands import Given, quoted, shown
from htsweep.errors import HtsweepError
from htsweep.files import put
from htsweep.study.schema import Study
from htsweep.submitting.script import script

SIGNAL_SECONDS = 180
"""How long before the time limit the launch is interrupted; Slurm may do so up to 60 s earlier."""
OWN_DISKS = ("/tmp", "/var/tmp", "/dev/shm", "/run")
"""Folders that each machine has for itself."""
OURS = ("nodes", "ntasks", "ntasks-per-node", "signal", "array", "no-requeue", "wrap")
"""Options of sbatch, beside SHORT, that the script relies on."""
SHORT = ("N", "n", "a")
TIME = re.compile(
    r"(?:(?P<d>\d+)-(?P<dh>\d+)(?::(?P<dm>\d+)(?::(?P<ds>\d+))?)?"
    r"|(?P<h>\d+):(?P<hm>\d+):(?P<hs>\d+)|(?P<m>\d+)(?::(?P<s>\d+))?)"
)


@final
@dataclass(frozen=True)
class Job:
    """What a job asks Slurm for."""

    nodes: int = 1
    gres: str = ""
    """Generic resources of each node, such as `gpu:4`."""
    time: str = ""
    """Time limit, as Slurm writes it; "": the partition's."""
    partition: str = ""
    cpus_per_task: int | None = None
    """Cores of each node; None: as many as one trial takes."""
    before: tuple[str, ...] = ()
    """Lines of shell that run before anything else."""
    options: tuple[str, ...] = ()
    """Other options of sbatch, such as `--account=lab`."""
    signal_seconds: int = SIGNAL_SECONDS
    """How long before the time limit the launch is interrupted."""
    array: int = 0
    """Tasks of a job array, each of which is a launch that shares the study; 0: no array."""


@final
@dataclass(frozen=True)
class Submitted:
    """A job's script, and its number if it was submitted."""

    text: str
    path: Path
    log: str
    """The file that the job writes to; `%j` stands for its number, `%A_%a` for a task's."""
    number: str = ""


def submit(study: Study, given: Given, job: Job, *, dry: bool = False) -> Submitted:
    """Writes the script of a job that launches the study, and submits it.

    Args:
        study: what to launch; its `resources` say what one trial takes.
        given: the arguments of the launch.
        job: what to ask Slurm for.
        dry: only return the script's text; nothing is written.

    Raises:
        HtsweepError: the job cannot work, with every reason; or Slurm refuses it.
    """
    cores = job.cpus_per_task or math.ceil(study.resources.cpu)
    job = replace(job, cpus_per_task=cores)
    problems = [*_problems(study, given, job), *([] if dry else _without_slurm())]
    if problems:
        raise HtsweepError("\n".join(["nothing was submitted:", *(f"  {one}" for one in problems)]))
    name = re.sub(r"[^\w.-]", "_", study.name)
    folder = _folder(given.results)
    log = f"{str(folder).replace('%', '%%')}/{name}-{'%A_%a' if job.array else '%j'}.log"
    path = folder / f"{name}.sh"
    given = replace(given, join=given.join or job.array > 0)
    text = script(
        given.launch(),
        _options(name, log, job),
        job.before,
        programs=str(Path(sys.executable).parent),
        itself=str(path),
    )
    written = Submitted(text, path, log)
    if dry:
        return written
    put(path, text)
    return replace(written, number=_sbatch(path))


def seconds_of(time: str) -> int | None:
    """The seconds of a time limit as Slurm writes it; None if it sets no limit.

    Raises:
        ValueError: it is not one of Slurm's forms.
    """
    if time.lower() in ("", "0", "infinite", "unlimited"):
        return None
    match = TIME.fullmatch(time)
    if match is None:
        msg = f"not a time of Slurm: {time!r}"
        raise ValueError(msg)
    part = {key: int(value or 0) for key, value in match.groupdict().items()}
    minutes = part["dm"] + part["hm"] + part["m"]
    hours = part["d"] * 24 + part["dh"] + part["h"]
    return hours * 3600 + minutes * 60 + part["ds"] + part["hs"] + part["s"]


def _problems(study: Study, given: Given, job: Job) -> Iterator[str]:
    """Why the job cannot work: what came, the rule and the remedy."""
    texts = {"--gres": job.gres, "--time": job.time, "--partition": job.partition}
    for option, text in [*texts.items(), *(("--sbatch", one) for one in job.options)]:
        if any(character in text for character in "\r\n\0"):
            yield f"{option} {text!r}: an option of sbatch is one line; leave out the line break"
    for what, text in (("--results", given.results), ("the current folder", os.getcwd())):
        if any(character in text for character in "\r\n"):
            yield f"{what} {text!r}: sbatch takes no path with a line break; rename it"
    for one in job.options:
        key = one.lstrip("-").partition("=")[0]
        if key in OURS or (one[:1] == "-" and one[1:2] in SHORT and one[:2] != "--"):
            yield (
                f"--sbatch={one}: the script relies on this option as `submit` sets it; leave it "
                "out (--nodes, --array and --signal-seconds are options of submit)"
            )
        if not one.startswith("-"):
            yield f"--sbatch {one}: options of sbatch begin with a hyphen: --sbatch=--account=lab"
    try:
        limit = seconds_of(job.time)
    except ValueError:
        limit = None
        yield (
            f"--time {job.time}: Slurm takes MINUTES, HOURS:MINUTES:SECONDS or "
            "DAYS-HOURS[:MINUTES[:SECONDS]]; write 24:00:00 or 1-0 for a day"
        )
    if limit is not None and limit <= job.signal_seconds:
        yield (
            f"--time {job.time}: the launch is interrupted {job.signal_seconds} s before the time "
            "limit, so that nothing would run; give more time, or fewer --signal-seconds"
        )
    cpu, gpu = study.resources.cpu, study.resources.gpu
    if job.cpus_per_task is not None and job.cpus_per_task < cpu:
        yield (
            f"--cpus-per-task {job.cpus_per_task}: a trial takes {cpu:g} cores (resources.cpu), so "
            f"that none would run; give at least {math.ceil(cpu)}, or lower resources.cpu"
        )
    if gpu > 0 and "gpu" not in " ".join([job.gres, *job.options]):
        yield (
            f"no GPU is asked for: a trial takes {gpu:g} (resources.gpu), so that none would run; "
            "give --gres gpu:1, or set resources.gpu to 0"
        )
    if shown(given.mirror or "") != (given.mirror or ""):
        yield (
            f"--tracking-uri {shown(given.mirror or '')}: its password would be readable in the "
            "script; leave it out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            "which the job inherits"
        )
    if job.nodes > 1 or job.array > 1:
        yield from _on_own_disks(given)


def _on_own_disks(given: Given) -> Iterator[str]:
    """The paths that several nodes need and that each has for itself."""
    for option, text in (("--results", given.results), ("the study", given.file)):
        if re.match(r"\w+://", text):
            continue
        path = Path(text).resolve()
        disk = next((one for one in OWN_DISKS if path.is_relative_to(one)), None)
        if disk is not None:
            yield (
                f"{option} {text}: each node has a {disk} of its own, and all nodes of a job need "
                "the same files; put it on a file system that all mount, such as below your home "
                "folder" + (", or in a bucket: s3://BUCKET/results" if option[0] == "-" else "")
            )


def _without_slurm() -> Iterator[str]:
    if shutil.which("sbatch") is None:
        yield (
            "this machine has no sbatch, the command that gives jobs to Slurm; run this on a login "
            "node of the cluster, or see the script with --dry-run"
        )


def _folder(results: str) -> Path:
    """Where script and logs go: beside the results, or here if those are remote."""
    return (Path() if re.match(r"\w+://", results) else Path(results)).resolve() / "slurm"


def _options(name: str, log: str, job: Job) -> list[str]:
    """The options of sbatch, those of the user last, which therefore win."""
    own = {
        "job-name": f"htsweep-{name}",
        "nodes": str(job.nodes),
        "ntasks-per-node": "1",
        "cpus-per-task": str(job.cpus_per_task),
        "gres": job.gres,
        "time": job.time,
        "partition": job.partition,
        "signal": f"B:USR1@{job.signal_seconds}",
        "chdir": os.getcwd(),
        "output": log,
        "open-mode": "append",  # a job that was requeued goes on in the same log
        "array": f"0-{job.array - 1}" if job.array else "",
    }
    return [*(f"--{key}={value}" for key, value in own.items() if value), "--requeue", *job.options]


def _sbatch(path: Path) -> str:
    """Submits the script, and returns the job's number."""
    done = subprocess.run(
        ["sbatch", "--parsable", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise HtsweepError(
            f"Slurm refused the job: {said}. `sinfo` lists partitions and their limits; once the "
            f"options fit, submit again. The script: {quoted([str(path)])}"
        )
    return done.stdout.strip().partition(";")[0]
