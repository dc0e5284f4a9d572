"""`measure_every` leaves out measurements, and changes no number and no training."""

import numpy as np
import pytest

import htsweep
from tasks import holistic_transfer, recipe
from tasks.holistic_transfer import holistic_transfer as task

STUDY = """
study: few
task: holistic_transfer
grid: {{dataset: [mnist-uci], method: [plain, wise_ft, source]}}
fixed: {{source_epochs: 1, source_steps_per_epoch: 10, epochs: 5, steps_per_epoch: 2{more}}}
repetitions: 1
metrics: [ece]
select: seen_validation
{sharing}
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory, own_cache):
    """Measurements of one small study, measured every epoch and every second one."""
    place = tmp_path_factory.mktemp("studies")

    def run(name, more="", sharing=""):
        file = place / f"{name}.yaml"
        file.write_text(STUDY.format(more=more, sharing=sharing))
        study = htsweep.read(file)
        htsweep.launch(study, on="inline", results=str(place / name), mirror=None)
        return study, htsweep.measurements(study, str(place / name)), str(place / name)

    return run


@pytest.fixture(scope="module")
def every(measured):
    return measured("every")[1]


@pytest.mark.parametrize("sharing", ["", "share_trainings: false"])
def test_the_epochs_that_are_measured_have_the_numbers_that_they_have_otherwise(
    measured, every, sharing
):
    _, found, _ = measured(f"second{len(sharing)}", ", measure_every: 2", sharing)
    columns = [
        name for name in found if name.startswith(("test/", "validation/")) and "curve" not in name
    ]
    assert "test/ece" in columns
    for method, own in found.groupby("method", observed=True):
        other = every[every["method"] == method].set_index("epoch")
        own = own.set_index("epoch")
        whole = [0] if method == "source" else [0, 2, 4, 5]
        assert own.index.tolist() == ([0] if method == "source" else [0, 1, 2, 3, 4, 5])
        assert own["test/overall_accuracy"].dropna().index.tolist() == whole
        np.testing.assert_array_equal(
            own.loc[whole, columns].to_numpy(float), other.loc[whole, columns].to_numpy(float)
        )
        assert own["train/loss"].equals(other["train/loss"])


def test_a_protocol_picks_among_the_epochs_that_are_measured(measured):
    study, found, results = measured("third", ", measure_every: 3")
    picked = htsweep.query(study, 'SELECT method, epoch, "test/seen_accuracy" FROM chosen', results)
    assert picked["test/seen_accuracy"].notna().all()
    assert set(picked[picked["method"] != "source"]["epoch"]) <= {0, 3, 5}
    assert len(found) == 13


def test_only_what_differs_from_every_epoch_changes_a_trials_meaning():
    config = {"dataset": "mnist-uci", "method": "plain", "epochs": 4}
    assert task.resolve(config) == task.resolve({**config, "measure_every": 1})
    other = task.resolve({**config, "measure_every": 2})
    assert other["measure_every"] == 2
    shared = [task.trajectory(one) for one in (task.resolve(config), other)]
    assert shared[0].config == shared[1].config
    assert "measure_every" not in task.resolve({**config, "method": "source", "measure_every": 2})


def test_logits_are_expected_for_the_epochs_that_are_measured():
    config = task.resolve({"dataset": "mnist-uci", "epochs": 5, "measure_every": 2})
    assert holistic_transfer.keeps(config).measurements == 4
    for epochs in range(8):
        for every in range(1, 9):
            measured = [e for e in range(epochs + 1) if recipe.is_measured(e, epochs, every)]
            assert len(measured) == recipe.measurements(epochs, every)
            assert {0, epochs} <= set(measured)
