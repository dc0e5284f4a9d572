"""What a user waits for besides training: first start, table, page, prompt, repeated launch.

    uv run python benchmarks/waiting.py [repetitions]      studies/digits.yaml, default 2

It is compared with what a user would write: a script that reads one CSV per trial, groups the rows
with pandas and draws a scatter plot with matplotlib, in its own process after the last trial.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

from htsweep.ledger import Ledger, Store

ROOT = Path(__file__).parent.parent
SCRIPT = """\
import sys, glob
import pandas as pd
import matplotlib; matplotlib.use("Agg")
import matplotlib.pyplot as plt
rows = pd.concat([pd.read_csv(name).tail(1) for name in glob.glob(sys.argv[1] + "/*.csv")])
means = rows.groupby(["dataset", "method"])[["test/seen_accuracy", "test/missing_accuracy"]]\
.agg(["mean", "std"])
print(means)
for name, group in rows.groupby("dataset"):
    plt.figure(); plt.scatter(group["test/seen_accuracy"], group["test/missing_accuracy"])
    plt.savefig(f"{sys.argv[1]}/{name}.png"); plt.savefig(f"{sys.argv[1]}/{name}.pdf")
"""


def command(study: Path, results: Path, repetitions: int) -> list[str]:
    """The words of a launch of the study."""
    program = str(Path(sys.executable).parent / "htsweep")
    where = ["--results", str(results), "--set", f"repetitions={repetitions}"]
    return [program, "launch", str(study), *where]


def launched(study: Path, results: Path, repetitions: int) -> dict[str, float]:
    """Seconds from launch to first start, and from the last trial's end to each output; trials."""
    began = time.time()
    process = subprocess.Popen(
        command(study, results, repetitions),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    table = 0.0
    for line in process.stdout:
        if line.startswith("# "):
            table = time.time()
    assert process.wait() == 0
    ended = time.time()
    rows = Ledger(Store(results)).trials().to_pandas()
    last = rows["ended"].max()
    drawn = results / "studies" / study.stem
    return {
        "first start": rows["started"].min() - began,
        "table": table - last,
        "frontier": (drawn / "frontier.png").stat().st_mtime - last,
        "page": (drawn / "report.html").stat().st_mtime - last,
        "prompt": ended - last,
        "whole": ended - began,
        "trials": float((rows["kind"] == "trial").sum()),
    }


def script(results: Path, study: Path, folder: Path) -> float:
    """Seconds of the user's script over the same measurements."""
    import htsweep

    frame = htsweep.measurements(htsweep.read(study), str(results))
    for trial, rows in frame.groupby("trial"):
        rows.to_csv(folder / f"{trial}.csv")
    (folder / "script.py").write_text(SCRIPT)
    return machine.median_seconds(
        lambda: subprocess.run(
            [sys.executable, str(folder / "script.py"), str(folder)],
            check=True,
            capture_output=True,
        )
    )


def main() -> None:
    """Prints the medians of three launches, the script, a repeated launch, and disk use."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(machine.said())
    study = ROOT / "studies" / "digits.yaml"
    with tempfile.TemporaryDirectory() as place:
        runs = [
            launched(study, Path(place) / f"results{number}", repetitions) for number in range(3)
        ]
        middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print(
            f"digits, {middle['trials']:.0f} trials, medians of 3: first start after "
            f"{middle['first start']:.1f} s; after the last trial the table "
            f"{middle['table']:.1f} s, the frontier {middle['frontier']:.1f} s, the page "
            f"{middle['page']:.1f} s, the prompt {middle['prompt']:.1f} s; whole launch "
            f"{middle['whole']:.0f} s"
        )
        results = Path(place) / "results0"
        (Path(place) / "csv").mkdir()
        theirs = script(results, study, Path(place) / "csv")
        print(
            f"a pandas and matplotlib script over the same trials: {theirs:.1f} s for a table and "
            f"a scatter; ratio to our table and frontier {theirs / middle['frontier']:.1f}"
        )
        again = machine.median_seconds(
            lambda: launched_again(study, results, repetitions),
            5,
        )
        print(f"launch with nothing new: {again:.2f} s")
        count = middle["trials"]
        for name in ("trials", "measurements", "logits", "artifacts", "mlartifacts", "studies"):
            print(f"  {name}: {machine.size_of(results / name) / count / 1000:.1f} kB a trial")
        print(
            f"  mlflow.db: {machine.size_of_file(results / 'mlflow.db') / count / 1000:.1f} "
            "kB a trial"
        )


def launched_again(study: Path, results: Path, repetitions: int) -> None:
    """Launches the finished study again."""
    subprocess.run(
        command(study, results, repetitions),
        check=True,
        capture_output=True,
    )


if __name__ == "__main__":
    main()
