"""Two settings that `plan` accepts together run together: a few here, all of them by benchmarks/setting_pairs.py."""

import importlib.util
import itertools
import random
from pathlib import Path

import pytest

from htsweep.planning.reading import read
from htsweep.planning.task import find

FILE = Path(__file__).parent.parent / "benchmarks" / "setting_pairs.py"
SPEC = importlib.util.spec_from_file_location("setting_pairs", FILE)
pairs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pairs)
VALUES = {
    "epochs": (2,),
    "measure_every": (2,),
    "validation_share": (0.0, 0.3),
    "schedule": ("constant", "step"),
    "milestones": ([1],),
    "momentum": (0.0,),
    "batch_size": (1, 7),
    "mixup": (0.4,),
    "method": ("l2sp", "balanced_softmax", "bi_tuning", "source"),
}
TASK = find("holistic_transfer")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    file = tmp_path_factory.mktemp("pairs") / "stopped.yaml"
    file.write_text(pairs.STUDY.format(task="holistic_transfer", more=pairs.WAYS["stopped"]))
    return read(file)


@pytest.fixture(scope="module")
def configs(study):
    return list(pairs.runs(TASK, study, VALUES, random.Random(0)))


def test_each_two_values_that_are_accepted_come_together(study, configs):
    every = [(key, value) for key, of in VALUES.items() for value in of]
    together = [
        (one, other)
        for one, other in itertools.combinations(every, 2)
        if one[0] != other[0] and not pairs.wrong(TASK, study, dict([one, other]))
    ]
    assert 60 < len(together) < 110
    for one, other in together:
        assert any(
            given.get(one[0]) == one[1] and given.get(other[0]) == other[1] for given in configs
        )
    assert not any(pairs.wrong(TASK, study, config) for config in configs)
    # What cannot be measured where trials are compared is in none of them.
    assert not any(config.get("validation_share") == 0.0 for config in configs)


def test_they_run_and_one_that_plan_should_refuse_does_not(study, configs):
    assert pairs.failures(study, TASK, configs) == []
    (reason,) = pairs.failures(study, TASK, [{"validation_share": 0.0}])
    assert "validation/loss was not measured at step 1" in reason
