"""Times adding metrics to 1,380 finished trials: from their logits, or by training them again.

The trials are those of studies/digits_methods.yaml. The logits are random, as many as the study
keeps; the training time is that of one real trial, scaled up.

uv run python benchmarks/remeasure.py [TRIALS]
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import machine
import numpy as np

METRICS = "metrics=[per_class_accuracy, worst_class, ece, top5, auroc]"
STUDY = Path(__file__).parent.parent / "studies" / "digits_methods.yaml"
COLUMNS = ("test/overall_accuracy", "test/seen_accuracy", "validation/seen_accuracy", "train/loss")


def filled(study: Any, folder: str, most: int) -> tuple[int, int]:
    """Stores random numbers and logits for the trials; returns their count, and bytes of logits."""
    from htsweep.ledger import Ledger, Record, Store, kept
    from htsweep.planning.plan import plan
    from tasks.outputs import Outputs

    store, planned = Store(folder), plan(study)
    ledger, count, size = Ledger(store), 0, 0
    for point, repetition, trial in planned.trials():
        if count == most:
            break
        generator = np.random.default_rng(count)
        keeps = planned.task.kept(point.config)
        outputs = {}
        for split, images in keeps.images.items():
            labels = generator.integers(0, keeps.classes, images)
            logits = generator.normal(0, 3, (images, keeps.classes))
            logits[np.arange(images), labels] += 6
            outputs[split] = Outputs(logits, labels, (0, 1, 2, 3, 4), split)
        last = 60 * (keeps.measurements - 1)
        name = kept.write(store, trial, {last: outputs})
        size += (Path(folder) / name).stat().st_size
        rows = [
            {"step": step, **{name: random.random() for name in COLUMNS}}
            for step in range(0, last + 1, 60)
        ]
        record = Record(
            trial,
            "trial",
            "done",
            study.task,
            json.dumps(dict(point.config), sort_keys=True),
            repetition,
            sweep=point.sweep,
            point=point.id,
            point_index=point.index,
            steps=len(rows),
            artifact=json.dumps({kept.NAME: name}),
        )
        ledger.append(record, rows)
        count += 1
    ledger.compact()
    return count, size


def trained(folder: str) -> float:
    """The seconds of one real trial of the study, without its source model."""
    import htsweep

    text = STUDY.read_text(encoding="utf-8").partition("grid:")[0]
    file = Path(folder) / "one.yaml"
    file.write_text(
        text.replace("study: digits_methods", "study: one")
        + "grid: {dataset: [mnist-uci, uci-mnist], method: [plain]}\nkeep: nothing\n",
        encoding="utf-8",
    )
    study = htsweep.read(file)
    htsweep.launch(study, folder, on="inline", mirror=None)
    return float(htsweep.trials(study, folder)["seconds"].mean())


def main() -> None:
    import htsweep

    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1380
    print(machine.said())
    with tempfile.TemporaryDirectory() as folder:
        study = htsweep.read(STUDY, [METRICS])
        count, size = filled(study, folder, most)
        print(f"{count} trials, logits {size / count / 1e3:.1f} kB each, {size / 1e6:.0f} MB")
        seconds = []
        for again in range(2):
            began = time.perf_counter()
            done = htsweep.remeasure(study, folder)
            seconds.append(time.perf_counter() - began)
            what = "again, nothing added" if again else f"{sum(done.added.values())} numbers added"
            print(f"remeasure: {seconds[-1]:.1f} s, {what}")
            sys.stdout.flush()
    with tempfile.TemporaryDirectory() as folder:
        one = trained(folder)
    print(f"training them again, one slot: {one:.2f} s a trial, {one * count:.0f} s (scaled up)")
    print(f"ratio: {one * count / seconds[0]:.0f}")


if __name__ == "__main__":
    main()
