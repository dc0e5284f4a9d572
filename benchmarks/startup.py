"""Times what a user waits for: help, the plan of a large grid, and the first trial.

uv run python benchmarks/startup.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine

HEAVY = ("torch", "ray", "mlflow", "pandas")


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "htsweep"), *words],
        capture_output=True,
        text=True,
        check=True,
    )


def imported() -> list[str]:
    """The heavy packages that `htsweep --help` imports."""
    code = (
        "import sys, contextlib, io\nfrom htsweep.cli.app import main\nwith "
        "contextlib.redirect_stdout(io.StringIO()), "
        f"contextlib.suppress(SystemExit):\n    main(['--help'])\nprint([name for name in {HEAVY} "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return eval(done.stdout)


if __name__ == "__main__":
    print(machine.said())
    command("--help")
    bare = machine.median_seconds(
        lambda: subprocess.run([sys.executable, "-c", "import typer"], check=True), 7
    )
    seconds = machine.median_seconds(lambda: command("--help"), 7)
    print(
        f"htsweep --help: {seconds:.2f} s, {seconds / bare:.1f} times `import typer`; heavy "
        f"imports: {imported() or 'none'}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = folder / "large.yaml"
        study.write_text(
            "task: holistic_transfer\ngrid:\n  dataset: [mnist-uci, uci-mnist]\n  missing_ratio: "
            "[0.1, 0.2, 0.3, 0.4, 0.5]\n"
            f"  learning_rate: {[round(0.001 * (index + 1), 4) for index in range(100)]}\n"
            "  method: [plain, l2sp, frozen_classifier, wise_ft, "
            "selective_distillation]\nrepetitions: 20\n"
        )
        seconds = machine.median_seconds(
            lambda: command("plan", str(study), "--results", str(folder / "none")), 5
        )
        said = command("plan", str(study), "--results", str(folder / "none")).stdout.splitlines()[1]
        print(f"htsweep plan of {said.split(':')[0].split()[-1]} trials: {seconds:.2f} s")
        small = folder / "small.yaml"
        small.write_text("task: holistic_transfer\ngrid: {method: [plain]}\nfixed: {epochs: 1}\n")
        firsts = []
        for index in range(3):
            done = subprocess.run(
                [
                    str(Path(sys.executable).parent / "htsweep"),
                    "launch",
                    str(small),
                    "--results",
                    str(folder / f"results{index}"),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            firsts.append(float(re.search(r"started after ([\d.]+) s", done.stderr)[1]))
        print(
            f"first start after launch: {sorted(firsts)[1]:.1f} s (of "
            f"{', '.join(f'{one:.1f}' for one in firsts)})"
        )
