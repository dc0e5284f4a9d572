"""Times trials that share trainings, against the same trials training each by itself.

    uv run python benchmarks/sharing.py [study]      one repetition of studies/digits_methods.yaml
    uv run python benchmarks/sharing.py heads        linear probes at many learning rates

Both parts run in this process, one trial after another, so that they measure work independently of
slots. For a slow backbone, a few trials are timed alone and scaled up.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import numpy as np
from PIL import Image

import htsweep
from htsweep.ledger import Ledger, Store

ROOT = Path(__file__).parent.parent
HEADS = 100


def seconds_of(study: Path, results: Path, *overrides: str) -> tuple[float, int]:
    """The total seconds of the trials and stages of a study, and the number of trials."""
    htsweep.launch(htsweep.read(study, list(overrides)), str(results), on="inline", mirror=None)
    ended = Ledger(Store(results)).trials().to_pandas()
    wrong = ended[ended["status"] == "failed"]
    assert not len(wrong), wrong["reason"].tolist()
    return float((ended["ended"] - ended["started"]).sum()), int((ended["kind"] == "trial").sum())


def study(folder: Path) -> None:
    path = ROOT / "studies" / "digits_methods.yaml"
    shared, trials = seconds_of(path, folder / "shared", "repetitions=1")
    alone, _ = seconds_of(path, folder / "alone", "repetitions=1", "share_trainings=false")
    print(
        f"digits_methods, one repetition, {trials} trials: {shared:.0f} s shared, {alone:.0f} s "
        f"each by itself: {alone / shared:.2f} times"
    )


def images(root: Path, size: int, classes: int = 5, each: int = 60) -> None:
    """Writes two domains of PNG files: noise around one image per class."""
    generator = np.random.default_rng(0)
    for domain in ("photo", "sketch"):
        for index in range(classes):
            folder = root / domain / f"class{index}"
            folder.mkdir(parents=True)
            centre = generator.uniform(60, 200, (size // 8, size // 8, 3)).repeat(8, 0).repeat(8, 1)
            for number in range(each):
                pixels = np.clip(centre + generator.normal(0, 40, centre.shape), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")


def heads(folder: Path) -> None:
    images(folder / "images", 64)
    problems = {
        "lenet_bn on digits, 16 px": "dataset: mnist-uci",
        "resnet18 on 600 images, 64 px": f"dataset: 'folder:{folder / 'images'}:photo-sketch', "
        "backbone: resnet18, image_size: 64, source_epochs: 1, source_steps_per_epoch: 10",
    }
    rates = ", ".join(f"{0.001 * 1.05**number:.6g}" for number in range(HEADS))
    for number, (name, problem) in enumerate(problems.items()):
        path = folder / f"heads{number}.yaml"
        path.write_text(
            "task: holistic_transfer\nshare_trainings: true\n"
            f"grid: {{learning_rate: [{rates}]}}\nfixed: {{method: linear_probe, {problem}}}\n"
        )
        few = 10 if number == 0 else 2
        alone, trials = seconds_of(
            path,
            folder / f"alone{number}",
            "share_trainings=false",
            f"grid.learning_rate=[{', '.join(rates.split(', ')[:few])}]",
        )
        source = _stage_seconds(folder / f"alone{number}", "source")
        one = (alone - source) / trials
        together, trials = seconds_of(path, folder / f"together{number}")
        together -= _stage_seconds(folder / f"together{number}", "source")
        print(
            f"linear probes, {name}, {trials} learning rates: {together:.1f} s together, "
            f"{trials / together * 3600:.0f} trials an hour; {one:.2f} s each alone ({few} timed), "
            f"{3600 / one:.0f} an hour: {one * trials / together:.0f} times"
        )


def _stage_seconds(results: Path, task: str) -> float:
    ended = Ledger(Store(results)).trials().to_pandas()
    own = ended[ended["task"].str.endswith(f":{task}")]
    return float((own["ended"] - own["started"]).sum())


if __name__ == "__main__":
    print(machine.said())
    wanted = sys.argv[1:] or ["study", "heads"]
    for part in wanted:
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            {"study": study, "heads": heads}[part](Path(place))
            print(f"  ({part} took {time.perf_counter() - began:.0f} s)")
