"""A task with closed-form numbers, such as a study of transfer leaves them; tests/golden holds what it once left."""

import hashlib
import math

GAINS = {
    "source": (-0.40, 0.45),
    "plain": (0.0, 0.0),
    "l2sp": (-0.01, 0.25),
    "wise_ft": (-0.03, 0.10),
    "oracle": (-0.01, 0.90),
}
"""What each method adds to seen 0.97 and missing 0.05."""
STEPS = (0, 10, 20)


def noise(*names):
    """A number in [-1, 1) that follows from names."""
    digest = hashlib.sha256(repr(names).encode()).digest()
    return int.from_bytes(digest[:4]) / 2**31 - 1


def golden(config, workspace):
    """Measures seen and missing accuracy of a method, with a spread that its repetitions share in part."""
    method, dataset, weight = config["method"], config["dataset"], config.get("weight", 0.1)
    if method == "wise_ft" and dataset == "b-a" and weight == 1.0:
        raise RuntimeError("no such luck")
    seen_gain, missing_gain = GAINS[method]
    share = math.exp(-(math.log10(weight / 0.1) ** 2)) if method in ("l2sp", "wise_ft") else 1.0
    for step in STEPS[:1] if method == "source" else STEPS:
        done = step / STEPS[-1] if method != "source" else 1.0
        draw = 0.02 * noise(dataset, workspace.repetition) + 0.01 * noise(
            dataset, method, weight, workspace.repetition
        )
        seen = min(0.97 + share * seen_gain * done - 0.4 * (1 - done) + draw / 2, 1.0)
        missing = min(max(0.5 * (1 - done) + done * (0.05 + share * missing_gain) + draw, 0.0), 1.0)
        yield {
            "step": step,
            "test/seen_accuracy": seen,
            "test/missing_accuracy": missing,
            "test/overall_accuracy": (seen + missing) / 2,
            "test/harmonic_mean": 2 * seen * missing / (seen + missing),
            "test/ausuc": seen * (missing + 0.3) / 1.3,
            "test/curve_seen": [seen, seen * 0.8, 0.0],
            "test/curve_missing": [
                missing,
                missing + 0.2 * (1 - missing),
                missing + 0.3 * (1 - missing),
            ],
            "validation/seen_accuracy": seen - 0.005,
            "validation/loss": 1 - seen,
            "validation/source_missing_accuracy": 0.9 - 0.5 * abs(seen - 0.57),
            "seconds": 1.0 + step / 10,
            "peak_memory_bytes": 2**28,
            "trainable_parameters": 0 if method == "source" else 1000,
        }


golden.role = lambda config: {"source": "source", "oracle": "bound"}.get(config["method"], "")
