"""The files of docs/examples: each keeps the rules of its kind, and each study runs."""

import math
import sys
from pathlib import Path

import pytest

import htsweep
from tasks.conformance import (
    DatasetConformance,
    MethodConformance,
    MetricConformance,
    ScoreConformance,
)

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


@pytest.fixture(autouse=True, scope="module")
def beside():
    """What reading a study does: the modules beside it can be named."""
    sys.path.append(str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


class TestSketches(DatasetConformance):
    domain = "my_data:sketches"


class TestEntropy(MethodConformance):
    method = "my_method:entropy"
    zero = {"my_method:entropy.weight": 0.0}
    runs_source = False


class TestSeparation(ScoreConformance):
    score = "my_score:separation"


class TestTail(MetricConformance):
    metric = "my_metrics:tail"


class TestSureButWrong(MetricConformance):
    metric = "my_metrics:sure_but_wrong"


def ran(name, tmp_path, own_cache, *changes):
    """The trials' last measurements of an example's study, made smaller."""
    study = htsweep.read(EXAMPLES / f"{name}.yaml", *changes)
    launched = htsweep.launch(study, str(tmp_path / "results"), on="inline", mirror=None)
    assert launched.failed == 0
    return htsweep.measurements(study, str(tmp_path / "results"))


def test_a_dataset(tmp_path, own_cache):
    rows = ran("my_data", tmp_path, own_cache)
    last = rows[rows["step"] == rows["step"].max()]
    assert set(last["method"]) == {"plain", "l2sp"}
    assert last["test/seen_accuracy"].gt(0.2).all(), "chance is 0.14"
    assert not last["test/missing_accuracy"].map(math.isnan).any()


def test_a_score(tmp_path, own_cache):
    rows = ran("my_score", tmp_path, own_cache)
    own = rows[rows["score"] == "my_score:separation"]
    assert len(own) == 4
    quotient = own["my_score/between"] / own["my_score/within"]
    assert own["transferability"].tolist() == pytest.approx(quotient.tolist())


def test_a_method(tmp_path, own_cache):
    rows = ran("my_method", tmp_path, own_cache, ["fixed.epochs=1", "fixed.source_epochs=1"])
    last = rows[rows["step"] == rows["step"].max()]
    losses = last.groupby("method")["train/loss"].mean()
    assert set(losses.index) == {"plain", "my_method:entropy", "l2sp+my_method:entropy"}
    assert losses["my_method:entropy"] < losses["plain"], "minus the entropy is below zero"


def test_metrics(tmp_path, own_cache):
    rows = ran("my_metrics", tmp_path, own_cache)
    last = rows[rows["step"] == rows["step"].max()].set_index("method")
    assert last["test/tail"].le(last["test/overall_accuracy"]).all()
    assert last["test/tail"].ge(last["test/worst_class"]).all()
    groups = ("seen", "missing")
    of_plain = [last.loc["plain", f"test/sure_but_wrong_{name}"] for name in groups]
    assert of_plain[1] > of_plain[0] + 0.2, "what it calls the missing classes by, it is sure of"
    assert math.isnan(last.loc["plain"].get("validation/sure_but_wrong_missing", math.nan))
    study = htsweep.read(EXAMPLES / "my_metrics.yaml")
    again = htsweep.remeasure(study, str(tmp_path / "results"))
    assert (again.measured, again.added, again.changed) == (2, {}, {}), "nothing is lacking"
    both = htsweep.ensemble(study, ["source", "plain"], str(tmp_path / "results"))
    alone = both.set_index("member")["overall"]
    assert alone["plain"] == pytest.approx(last.loc["plain", "test/overall_accuracy"], abs=0.01)
