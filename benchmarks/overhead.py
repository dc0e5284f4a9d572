"""The overhead of a trial: toy trials on Ray with 2 slots, against a plain Ray Tune script.

    uv run python benchmarks/overhead.py [TRIALS]

The plain script is what a user would write: a function trainable, Tune's MLflow callback, default
settings. It runs few trials, since each takes it a second."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

PLAIN = 24


def ours(trials: int, folder: Path) -> None:
    import htsweep
    from htsweep.cli.progress import Progress

    study_file = folder / "overhead.yaml"
    study_file.write_text(
        f"task: toy\ngrid: {{y: {[index / 100 for index in range(50)]}}}\nrepetitions: "
        f"{trials // 50}\n"
    )
    study = htsweep.read(study_file)
    grown: list[machine.Growth] = []
    growth: list[float] = []

    class Watch(Progress):  # type: ignore[misc]
        def started(self, agenda, job):
            if self.first_start is None:
                grown.append(machine.Growth(os.getpid()))
            super().started(agenda, job)

        def ended(self, agenda, job, outcome):
            super().ended(agenda, job, outcome)
            if agenda.done["trial done"] == agenda.total:
                growth.append(grown[0].end())

    results = folder / "results"
    begin = time.time()
    with Watch("overhead") as watch:
        done = htsweep.launch(study, str(results), watch=watch)
    frame = htsweep.trials(study, str(results))
    wall = frame["ended"].max() - frame["started"].min()
    print(
        f"htsweep: {len(frame)} trials, {wall:.1f} s from the first start to the last end = "
        f"{wall / len(frame) * 1e3:.1f} ms a trial; {time.time() - begin:.1f} s in all with "
        f"starting Ray and the mirror's end (mirrored: {done.mirrored})"
    )
    kept = sum(
        machine.size_of(results / name)
        for name in ("trials", "measurements", "logs", "states", "leases")
    )
    copied = machine.size_of_file(results / "mlflow.db")
    print(
        f"  driver grew by {growth[0]:.0f} MiB from the first start to the last end; on disk the "
        f"ledger takes {kept / len(frame):.0f} bytes a trial, MLflow's copy "
        f"{copied / len(frame):.0f}"
    )
    sys.stdout.flush()
    ours.per_trial = wall / len(frame)


def plain(folder: Path) -> float:
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    def trainable(config):
        for step in range(4):
            tune.report({"step": step, "score": config["y"] * step})

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    begin = time.time()
    tune.Tuner(
        trainable,
        param_space={"y": tune.grid_search([index / 100 for index in range(PLAIN)])},
        run_config=tune.RunConfig(
            storage_path=str(folder / "plain"),
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{folder / 'plain.db'}", experiment_name="plain"
                )
            ],
        ),
    ).fit()
    wall = time.time() - begin
    ray.shutdown()
    print(f"plain Ray Tune: {PLAIN} trials, {wall:.1f} s = {wall / PLAIN * 1e3:.0f} ms a trial")
    return wall / PLAIN


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print(machine.said())
    with tempfile.TemporaryDirectory() as temporary:
        ours(count, Path(temporary))
        theirs = plain(Path(temporary))
    print(f"ratio: {theirs / ours.per_trial:.0f} times less a trial")
