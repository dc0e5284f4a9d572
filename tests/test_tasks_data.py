"""Datasets: digits, folders of images, class splits, and what is kept of them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import painted
import pytest

from tasks import data


def test_declarations_import_nothing_heavy():
    """A plan reads them: fingerprints included, no package of data or training is touched."""
    code = (
        "import sys, tasks.holistic_transfer as h, tasks.methods, tasks.toy\n"
        "c = h.resolve({'method': ['l2sp', 'wise_ft'], 'backbone': 'resnet18'})\n"
        "h.problems(c), h.meaning(c), h.stages(c), h.spaces(c)\n"
        "heavy = {'torch', 'timm', 'sklearn', 'pandas', 'mlxtend', 'PIL', 'ray', 'mlflow', "
        "'optuna', 'htsweep'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


@pytest.fixture
def pictures(tmp_path):
    return painted.pictures(tmp_path)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("mnist-usi", "did you mean 'mnist-uci'"),
        ("folder:ROOT", "must be folder:ROOT:SOURCE-TARGET"),
        ("folder:ROOT:photo-paint", "no domain 'paint'; its folders are art-old, photo"),
        ("folder:ROOT/none:a-b", "there is no folder"),
    ],
)
def test_a_wrong_dataset_is_named_with_its_remedy(pictures, dataset, said):
    wrong = data.problems(dataset.replace("ROOT", str(pictures)))
    assert len(wrong) == 1
    assert said in wrong[0]


def test_the_settings_of_a_trial_take_the_official_split():
    """The very rows that target_of gives to adaptation and to scores."""
    from tasks.loading import target_of

    class Alone:
        repetition = 0

        def seed(self, *names):
            return 3

    labels = np.arange(500) % 10
    sys.path.append(str(Path(__file__).parent.parent / "docs" / "examples"))
    try:
        missing, found = target_of({"missing_ratio": 0.3}, "my_data:sketches", labels, Alone())
    finally:
        sys.path.pop()
    assert len(missing) == 3
    assert found.test.tolist() == list(range(350, 500))
