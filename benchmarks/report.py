"""Times reports of 10,000 trials, against pandas over a CSV per trial.

The comparison has 1,000,000 measurements; the report with all figures is timed separately.

uv run python benchmarks/report.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent))
import machine

TRIALS, STEPS = 10_000, 100
FEW_STEPS, CORNERS = 20, 100
"""Measurements per trial and corners of curves in the study whose whole report is timed."""
METRICS = (
    "test/seen_accuracy",
    "test/missing_accuracy",
    "test/overall_accuracy",
    "test/harmonic_mean",
    "test/ausuc",
    "test/loss",
    "validation/seen_accuracy",
    "validation/loss",
    "train/loss",
    "seconds",
    "peak_memory_bytes",
    "epoch",
)


def filled(folder: Path, steps: int, corners: int = 0) -> Path:
    """Writes a compacted ledger of 10,000 trials with `steps` measurements; returns the study."""
    import json

    from htsweep.ledger import Ledger, Store
    from htsweep.ledger.record import SCHEMA
    from htsweep.planning.plan import plan
    from htsweep.planning.reading import read

    file = folder / "large.yaml"
    file.write_text(
        "task: holistic_transfer\ngrid:\n  dataset: [mnist-uci, uci-mnist]\n  missing_ratio: [0.1, "
        "0.2, 0.3, 0.4, 0.5]\n"
        f"  method: [plain, frozen_classifier, linear_probe, oracle]\nrepetitions: 10\n"
        f"search: {{spaces: {{all: {{learning_rate: "
        f"{[round(0.001 * (index + 1), 4) for index in range(25)]}}}}}}}\n"
    )
    planned = plan(read(file))
    random = np.random.default_rng(0)
    listed = list(planned.trials())
    assert planned.trial_count >= TRIALS, planned.trial_count
    rows = [
        {
            **dict.fromkeys(SCHEMA.names),
            "trial": trial,
            "kind": "trial",
            "status": "done",
            "task": "holistic_transfer",
            "config": json.dumps(dict(point.config)),
            "repetition": repetition,
            "sweep": point.sweep,
            "point": point.id,
            "point_index": point.index,
            "attempt": 1,
            "started": 0.0,
            "ended": 2.0,
            "seconds": 2.0,
            "steps": steps,
            "record": trial,
        }
        for point, repetition, trial in listed
    ]
    names = [trial for _, _, trial in listed]
    count = len(names) * steps
    columns = {
        "record": pa.array(names).take(np.repeat(np.arange(len(names)), steps)),
        "trial": pa.array(names).take(np.repeat(np.arange(len(names)), steps)),
        "step": pa.array(np.tile(np.arange(steps), len(names))),
    }
    columns |= {metric: pa.array(random.random(count)) for metric in METRICS}
    if corners:
        seen = np.sort(random.random((count, corners)), axis=1)
        for name, values in (("test/curve_seen", seen[:, ::-1]), ("test/curve_missing", seen)):
            columns[name] = pa.ListArray.from_arrays(
                np.arange(count + 1, dtype=np.int32) * corners, values.ravel()
            )
    ledger = Ledger(Store(folder / "results"))
    ledger.put("measurements", "all-0", pa.table(columns))
    ledger.put("trials", "all-0", pa.Table.from_pylist(rows, schema=SCHEMA))
    print(f"{len(names)} trials, {count} measurements of {len(METRICS)} numbers")
    return file


def parts(folder: Path) -> float:
    """The seconds of a user's script that reads and groups a CSV per trial, from a sample."""
    import pandas as pd

    sample = 200
    random = np.random.default_rng(0)
    for index in range(sample):
        pd.DataFrame(random.random((STEPS, len(METRICS))), columns=list(METRICS)).to_csv(
            folder / f"trial{index}.csv"
        )
    begin = time.perf_counter()
    frame = pd.concat(
        [
            pd.read_csv(folder / f"trial{index}.csv").tail(1).assign(method=index % 4)
            for index in range(sample)
        ]
    )
    frame.groupby("method")[list(METRICS[:5])].agg(["mean", "std"])
    return (time.perf_counter() - begin) / sample * TRIALS


def whole() -> None:
    """Writes the whole report of 10,000 trials of 20 measurements; prints seconds and memory."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study_file = filled(folder, FEW_STEPS, CORNERS)
        for figures in ("", "two"):
            command = [
                str(Path(sys.executable).parent / "htsweep"),
                "report",
                str(study_file),
                "--results",
                str(folder / "results"),
                "--out",
                str(folder / "out"),
                "--figures",
                figures,
            ]
            seconds = machine.median_seconds(
                lambda command=command: subprocess.run(command, check=True, capture_output=True), 3
            )
            size = (folder / "out" / "report.html").stat().st_size / 1e6
            print(f"whole report, figures {figures or 'none'}: {seconds:.1f} s; page {size:.1f} MB")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"most memory of any report: {peak:.2f} GiB")


if __name__ == "__main__":
    print(machine.said())
    whole()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study_file = filled(folder, STEPS)
        command = [
            str(Path(sys.executable).parent / "htsweep"),
            "report",
            str(study_file),
            "--results",
            str(folder / "results"),
        ]
        seconds = machine.median_seconds(
            lambda: subprocess.run(command, check=True, capture_output=True), 5
        )
        theirs = parts(folder)
    print(
        f"htsweep report, start of Python included: {seconds:.2f} s; a script over one CSV a "
        f"trial: {theirs:.1f} s; ratio: {theirs / seconds:.1f}"
    )
