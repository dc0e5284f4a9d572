"""The faults of benchmarks/faults.py that kill one process of a launch."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import kills
from faulting import Scene

KILLS = 100
"""How often `driver` kills a launch."""
IN_A_ROW = 6
"""After so many kills, a launch of the study may live, as on a busy machine few would by chance."""
DAEMONS = {"worker": "worker", "raylet": "node manager", "gcs": "control store"}


LAUNCHER = """
import json, os, signal, sys, threading, time
import matplotlib.pyplot, pandas, pyarrow.dataset
import htsweep, htsweep.cli.launch, htsweep.launching, htsweep.report
from htsweep.cli.app import main
assert threading.active_count() == 1
for line in sys.stdin:
    words, log, delay = json.loads(line)
    child = os.fork()
    if child == 0:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["htsweep", *words]
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code or 0)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)  # nobody has waited for it, so that the id is still its own
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Has imported the program, and forks a process for each launch, which so begins at once."""


def driver(folder: Path) -> str:
    """SIGKILL of the launch, 100 times, at moments drawn from its whole life once the program is
    imported, its end included; each study is launched again until a launch lives to its end. Trials
    run inline."""
    scene, draw = Scene(folder / "s", trials=8, seconds=0.1), random.Random()
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdin is not None
    assert launcher.stdout is not None
    log = folder / "said.txt"

    def launched(delay: float | None) -> int:
        """The exit code of a launch that is killed after so many seconds, if it lives so long."""
        words = ["launch", str(scene.path), "--no-mirror", "--on", "inline"]
        log.unlink(missing_ok=True)
        words += ["--results", str(scene.results)]
        launcher.stdin.write(json.dumps([words, str(log), delay]) + "\n")
        launcher.stdin.flush()
        code = int(launcher.stdout.readline())
        assert code in (0, -signal.SIGKILL), f"exit code {code}:\n{log.read_text()}"
        assert not log.exists() or "Traceback" not in log.read_text(), log.read_text()
        return code

    launched(None)  # what comes first may take longer
    _right(scene)
    scene.results = folder / "s" / "again"
    began = time.monotonic()
    launched(None)
    life = time.monotonic() - began
    moments: Counter[str] = Counter()
    studies, most = 0, 0
    try:
        while moments.total() < KILLS:
            scene.results = folder / "s" / f"results{studies}"
            studies, launches, code = studies + 1, 0, -1
            while code:
                launches += 1
                more = moments.total() < KILLS and launches <= IN_A_ROW
                # Most of a short study's life is its report, so half of the moments are early.
                share = draw.choice((0.1, 1.0))
                code = launched(draw.uniform(0, share * life) if more else None)
                if code:
                    moments[_moment(scene)] += 1
                    print(f"  study {studies}, launch {launches}: {dict(moments)}", flush=True)
            _right(scene)
            most = max(most, launches)
    finally:
        launcher.kill()
        launcher.wait()
    told = ", ".join(f"{moments[name]} {name}" for name in sorted(moments))
    return (
        f"{moments.total()} kills ({told}) of launches that live {life:.1f} s, over {studies} "
        f"studies with up to {most} launches each; none lost, none run twice"
    )


def _moment(scene: Scene) -> str:
    """Between which records of a study its launch was killed."""
    records = scene.ended() and len(scene.rows())
    if not records:
        return "before the first record"
    # Two repetitions have a stage each.
    return "after the last record" if records >= scene.trials + 2 else "between records"


def _right(scene: Scene) -> None:
    """Fails unless every trial is done once, with the right numbers, and nothing is left behind."""
    ends = scene.check()
    assert not ends["run twice"], "a trial was run twice"
    assert not ends["failed"], "an attempt failed"
    left = [
        path
        for place in ("leases", "states", "probes")
        for path in (scene.results / place).rglob("*")
        # A later launch removes what a killed one was just writing.
        if path.is_file() and not (path.name.startswith(".") and path.suffix == ".part")
    ]
    assert not left, f"left behind: {left}"


def _killing(name: str) -> Callable[[Path], str]:
    def play(folder: Path) -> str:
        scene = Scene(folder / "s", seconds=1.0)
        process = scene.launch()
        draw = random.Random()  # trials that ran in this process have seeded the common one
        scene.wait_for(draw.randint(0, 9))
        time.sleep(draw.uniform(0, 1))
        over = time.monotonic() + 120
        while not kills.kill(process, DAEMONS[name]):
            assert time.monotonic() < over, f"no {DAEMONS[name]} to kill"
            time.sleep(0.1)
        at, launches, code = scene.ended(), 0, -1
        while code:
            said, _ = process.communicate(timeout=600)
            code, launches = process.returncode, launches + 1
            assert "Traceback" not in said, said
            assert launches < 5, said
            if code:
                process = scene.launch()
        ends = scene.check()
        assert not ends["run twice"], "a trial was run twice"
        return f"after {at} records: {launches} launches, {ends['failed']} attempts failed"

    play.__doc__ = f"SIGKILL of Ray's {DAEMONS[name]} in a launch on a local Ray."
    return play


FAULTS: dict[str, Callable[[Path], str]] = {
    "driver": driver,
    **{name: _killing(name) for name in DAEMONS},
}
