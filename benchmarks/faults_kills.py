"""The faults of benchmarks/faults.py that kill one process of a launch."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import kills
from faulting import Scene

KILLS = 100
"""How often `driver` kills a launch."""
DAEMONS = {"worker": "worker", "raylet": "node manager", "gcs": "control store"}


def driver(folder: Path) -> str:
    """SIGKILL of the launch, 100 times, at moments drawn from its whole life, start and end
    included; each study is launched again until a launch lives to its end (trials run inline)."""
    scene, draw = Scene(folder / "s", trials=8, seconds=0.3), random.Random()
    began = time.monotonic()
    scene.finish(scene.launch("--on", "inline"))
    life = time.monotonic() - began
    _right(scene)
    moments: Counter[str] = Counter()
    studies, most = 0, 0
    while moments.total() < KILLS:
        scene.results = folder / "s" / f"results{studies}"
        studies, launches, code = studies + 1, 0, -1
        while code:
            launches += 1
            process = scene.launch("--on", "inline")
            time.sleep(draw.uniform(0, 1.1 * life))
            if moments.total() < KILLS and process.poll() is None:
                process.kill()
                moments[_moment(scene)] += 1
            said, _ = process.communicate(timeout=600)
            code = process.returncode
            assert "Traceback" not in said, said
            assert code in (0, -9), f"exit code {code}:\n{said}"
        _right(scene)
        most = max(most, launches)
        print(f"  {studies} studies: {dict(moments)}", flush=True)
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
