"""Names and numbers as MLflow can hold them."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from mirrored import ODD
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

from htsweep.mirror.run import copy_of, latest, legal, points_of


@given(st.text(max_size=300))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    for check in (_validate_metric_name, _validate_param_name, _validate_tag_name):
        check(legal(name))


@given(
    st.lists(
        st.sampled_from(["test/seen_accuracy", "loss", "l2sp.weight", "k-nn a:b"]), min_size=1
    ).map("/".join)
)
def test_a_name_that_mlflow_takes_stays(name: str) -> None:
    assert legal(name)[:200] == name[:200]


def test_infinities_are_named_and_left_out_and_nan_is_kept() -> None:
    copy = copy_of(ODD)
    assert copy.tags["htsweep.infinite"] == "loss@2=inf"
    assert [point for point in copy.points if point[0] == "loss"][1:] == [
        ("loss", 2.0, 1),
        ("loss", 9.0, 0),
    ]
    assert math.isnan(copy.points[0][1])


def test_the_latest_point_is_of_the_greatest_step() -> None:
    points, _ = points_of(
        [{"step": 2, "a": 1.0}, {"step": 3, "a": 0.5, "b": math.nan}, {"step": 1, "a": 9.0}]
    )
    assert latest(points)["a"] == ("a", 0.5, 3)
