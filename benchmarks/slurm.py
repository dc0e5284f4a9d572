"""Shares a study between the tasks of a job array, on a Slurm of two nodes that it starts.

    uv run python benchmarks/slurm.py

It needs the programs of Debian's slurm-wlm, not root: the Slurm runs on this machine, with folders
and ports of its own. One of the two nodes is killed with all that runs there while both run trials,
and comes back once Slurm has put its task back into the queue. It fails if a trial is lost or done
twice, or if numbers differ from those of a launch in one process."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from kills import TASK, numbers

import htsweep
from htsweep.ledger import Ledger, Store

STUDY = (
    "study: shared\ntask: kills_task:adapt\ngrid: {x: [1, 2, 3, 4, 5, 6, 7, 8]}\nrepetitions: 6\n"
)
CONF = """\
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdTimeout=20
SlurmdParameters=config_overrides
SchedulerParameters=bf_interval=5,sched_interval=5
NodeName=n[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{second}] CPUs=2 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """A Slurm of two nodes on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "spool-n1", "spool-n2"):
            (folder / name).mkdir(parents=True)
        first = _free_ports()
        text = CONF.format(
            host=socket.gethostname().partition(".")[0],
            user=getpass.getuser(),
            folder=folder,
            first=first,
            second=first + 1,
            controller=first + 2,
        )
        self.conf = folder / "slurm.conf"
        self.conf.write_text(text)
        os.environ["SLURM_CONF"] = str(self.conf)
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self._start("controller", "slurmctld", "-c")
        self.start_node("n1")
        self.start_node("n2")

    def start_node(self, name: str) -> None:
        self._start(name, "slurmd", "-N", name)

    def kill_node(self, name: str) -> int:
        """Kills the node's daemon and all processes of jobs there; how many that were."""
        killed = [psutil.Process(self._started[name].pid)]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                if (
                    environment.get("SLURM_CONF") == str(self.conf)
                    and environment.get("SLURMD_NODENAME") == name
                    and process.pid != os.getpid()
                ):
                    killed.append(process)
        for process in killed:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._started[name].wait()
        return len(killed)

    def end(self) -> None:
        subprocess.run(["scancel", "--user", getpass.getuser()], check=False)
        time.sleep(2)
        for name in ("n1", "n2"):
            self.kill_node(name)
        self._started["controller"].terminate()
        self._started["controller"].wait()

    def _start(self, name: str, *words: str) -> None:
        self._started[name] = subprocess.Popen(
            [*words, "-D", "-f", str(self.conf)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def main() -> None:
    lacking = [name for name in ("slurmctld", "slurmd", "sbatch") if shutil.which(name) is None]
    if lacking:
        sys.exit(f"no {', '.join(lacking)}; install the package slurm-wlm")
    # Not in /tmp, which `submit` knows each node to have for itself.
    folder = Path(tempfile.mkdtemp(prefix="htsweep-slurm-", dir=Path.home()))
    try:
        with _running(folder / "slurm") as slurm:
            play(slurm, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(slurm: Slurm, folder: Path) -> None:
    (folder / "kills_task.py").write_text(TASK)
    (folder / "study.yaml").write_text(STUDY)
    study = htsweep.read(folder / "study.yaml")
    htsweep.launch(study, str(folder / "whole"), on="inline", mirror=None)
    results = folder / "results"
    program = Path(sys.executable).parent / "htsweep"
    words = ["submit", str(folder / "study.yaml"), "--slurm", "--array", "2", "--time", "30"]
    words += ["--cpus-per-task", "2", "--results", str(results), "--no-mirror"]
    _wait("two nodes", lambda: _squeue("sinfo", "-h", "-o", "%t %D") == "idle 2")
    print(subprocess.check_output([str(program), *words], text=True))
    job = _squeue("squeue", "-h", "-r", "-o", "%A")
    print(f"tasks: {job.split()}")
    _wait("trials on both nodes", lambda: len(_launches(results)) == 2 and _done(results) >= 6)
    print(f"{_done(results)} trials done; n2 is killed: {slurm.kill_node('n2')} processes")
    _wait("Slurm to notice", lambda: "n2" in _squeue("sinfo", "-h", "-N", "-t", "down", "-o", "%N"))
    print(_squeue("squeue", "-r", "-o", "%i %T %r %N"))
    print(_squeue("scontrol", "show", "job", "1_1"))
    print((slurm.folder / "controller.log").read_text()[-1500:])
    slurm.start_node("n2")
    _wait("the end of all tasks", lambda: not _squeue("squeue", "-h", "-r"), 900)
    for log in sorted((results / "slurm").glob("*.log")):
        told = [
            line for line in log.read_text().splitlines() if line.startswith(("htsweep:", "sh"))
        ]
        print(f"{log.name}:", *told, sep="\n  ")
    rows = Ledger(Store(results)).trials(every=True).to_pylist()
    done = Counter(row["trial"] for row in rows if row["status"] == "done")
    assert set(done.values()) == {1}, "a trial was done twice"
    assert numbers(study, results) == numbers(study, folder / "whole"), "numbers differ"
    failed = sum(row["status"] == "failed" for row in rows)
    print(f"{len(done)} trials and stages, each done once, {failed} failed; numbers equal")
    assert not list((results / "leases").rglob("*.*")), "leases were left"


def _launches(results: Path) -> list[Path]:
    return list((results / "leases" / "study-shared").glob("*.json"))


def _done(results: Path) -> int:
    return len(list((results / "trials").glob("*.parquet")))


def _squeue(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def _wait(what: str, until: Callable[[], bool], seconds: float = 900) -> None:
    over = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < over, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.5)


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[Slurm]:
    slurm = Slurm(folder)
    try:
        yield slurm
    finally:
        slurm.end()


def _free_ports() -> int:
    """The first of three ports in a row that nothing listens to."""
    for first in range(20_000, 30_000, 7):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + 3):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    main()
