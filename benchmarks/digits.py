"""Times the digits study, against a plain Ray Tune script that measures the same.

    uv run python benchmarks/digits.py

The plain script is what a user would write: a function trainable under Tune with its MLflow
callback, in which each trial trains its own source model and then adapts it, with the same training
functions. It runs one repetition of the study, in which each method is trained once on each
dataset, since the whole study would take too long."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

ROOT = Path(__file__).parent.parent


def ours(folder: Path) -> float:
    import htsweep
    from htsweep.cli.progress import Progress
    from htsweep.ledger import Ledger, Store

    study = htsweep.read(ROOT / "studies" / "digits.yaml")
    results = folder / "results"
    begin = time.time()
    with Progress("digits") as watch:
        done = htsweep.launch(study, str(results), watch=watch)
    whole = time.time() - begin
    ended = Ledger(Store(results)).trials().to_pandas()
    wall = ended["ended"].max() - ended["started"].min()
    trials = ended[ended["kind"] == "trial"]
    print(
        f"htsweep: {len(trials)} trials and {len(ended) - len(trials)} stages; {wall:.0f} s from "
        f"first start to last end, {whole:.0f} s in all; first start after "
        f"{watch.first_start:.1f} s; mirrored: {done.mirrored}"
    )
    print(
        f"  a trial takes {trials['seconds'].median():.2f} s (median); training seconds / (2 slots "
        f"x wall) = {ended['seconds'].sum() / 2 / wall:.2f}"
    )
    return whole / len(trials)


def trained(config: dict[str, object], report: object) -> None:
    """A trial of the plain script: trains its own source model, then adapts it."""
    from htsweep.execution.workspace import Workspace
    from htsweep.ledger import Store
    from htsweep.planning import task
    from htsweep.planning.jobs import Job

    with tempfile.TemporaryDirectory() as temporary:
        repetition = config.pop("repetition")
        holistic = task.find("holistic_transfer")
        resolved = holistic.resolve(config)
        [(reference, raw)] = holistic.stages(resolved).values()
        stage = task.find(reference)
        job = Job("source", "stage", reference, stage.resolve(raw), repetition)
        store = Store(temporary)
        source = Workspace(job, store, {}, list)
        for _ in stage.run(job.config, source):
            pass
        artifacts = {name: source.publish() for name in holistic.stages(resolved)}
        trial = Workspace(
            Job("trial", "trial", "holistic_transfer", resolved, repetition), store, artifacts, list
        )
        for measured in holistic.run(resolved, trial):
            report({name: value for name, value in measured.items() if not isinstance(value, list)})


def plain(folder: Path) -> float:
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    import htsweep

    planned = htsweep.plan(htsweep.read(ROOT / "studies" / "digits.yaml"))
    # The first repetition: every method on every dataset.
    listed = [trial for trial in planned.trials() if trial[1] == 0]
    texts = [
        json.dumps({**point.config, "repetition": repetition}) for point, repetition, _ in listed
    ]

    def trainable(config):
        trained(json.loads(config["text"]), tune.report)

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    begin = time.time()
    found = tune.Tuner(
        trainable,
        param_space={"text": tune.grid_search(texts)},
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
    assert not found.errors, found.errors
    ray.shutdown()
    print(f"plain Ray Tune: {len(texts)} trials, {wall:.0f} s = {wall / len(texts):.2f} s a trial")
    return wall / len(texts)


if __name__ == "__main__":
    print(machine.said())
    with tempfile.TemporaryDirectory() as temporary:
        mine = ours(Path(temporary))
        theirs = plain(Path(temporary))
    print(
        f"htsweep {mine:.2f} s a trial, starting and drawing included; ratio: {theirs / mine:.1f}"
    )
