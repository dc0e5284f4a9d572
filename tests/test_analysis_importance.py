"""Importance of parameters: planted cases, an exact decomposition of variance on a full grid, and what tells nothing."""

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from htsweep.analysis.design import Design
from htsweep.analysis.importance import FANOVA, PED_ANOVA, importance

SEEN = "test/seen_accuracy"
DESIGN = Design(("dataset",), "method")
Point = Mapping[str, Any]


def searched(
    points: Sequence[Point],
    value: Callable[[Point], float],
    dataset: str = "d",
    method: str = "m",
    repetitions: int = 1,
) -> pd.DataFrame:
    """Measurements of one sweep; repetitions differ by what cancels in their mean."""
    return pd.DataFrame(
        [
            {
                "trial": f"{dataset}/{method}/{place}/{repetition}",
                "sweep": f"{dataset}/{method}",
                "point": f"{dataset}/{method}/{place}",
                "point_index": place,
                "repetition": repetition,
                "status": "done",
                "step": 1,
                "dataset": dataset,
                "method": method,
                **point,
                SEEN: value(point) + 0.1 * (repetition - (repetitions - 1) / 2),
            }
            for place, point in enumerate(points)
            for repetition in range(repetitions)
        ]
    )


def shares(found: pd.DataFrame, evaluator: str) -> dict[str, float]:
    rows = found[found["evaluator"] == evaluator]
    return dict(zip(rows["parameter"], rows["importance"], strict=True))


def at_random(count: int, seed: int = 0) -> list[Point]:
    random = np.random.default_rng(seed)
    return [
        {
            "a": 10 ** random.uniform(-4, 0),
            "b": random.uniform(),
            "c": int(random.integers(0, 50)),
            "d": str(random.choice(["x", "y"])),
        }
        for _ in range(count)
    ]


def test_what_alone_matters_gets_nearly_all() -> None:
    table = searched(at_random(60), lambda point: -((np.log10(point["a"]) + 2) ** 2))
    found = importance(table, DESIGN, ["a", "b", "c", "d"], [SEEN])
    assert list(found.columns) == [
        "method",
        "objective",
        "parameter",
        "evaluator",
        "importance",
        "points",
    ]
    assert shares(found, FANOVA)["a"] > 0.9
    assert max(share for name, share in shares(found, FANOVA).items() if name != "a") < 0.05
    assert max(shares(found, PED_ANOVA), key=shares(found, PED_ANOVA).__getitem__) == "a"
    assert shares(found, PED_ANOVA)["a"] > 0.6
    assert sum(shares(found, PED_ANOVA).values()) == pytest.approx(1)
    assert set(found["points"]) == {60}


def test_a_full_grid_against_its_exact_decomposition() -> None:
    """fANOVA's shares are the variances of the marginal means over the whole variance, where the forest sees every cell."""
    levels = {"a": [0.001, 0.01, 0.1, 1, 10], "b": [0.0, 0.5, 1.0], "c": ["x", "y", "z"]}
    random = np.random.default_rng(0)
    effect = {
        name: random.normal(0, scale, len(levels[name]))
        for name, scale in zip("abc", (1.0, 0.6, 0.4), strict=True)
    }
    joint = random.normal(0, 0.3, (5, 3))

    def value(point: Point) -> float:
        places = {name: levels[name].index(point[name]) for name in levels}
        return float(
            sum(effect[name][places[name]] for name in levels) + joint[places["a"], places["b"]]
        )

    points = [dict(zip(levels, some, strict=True)) for some in itertools.product(*levels.values())]
    cube = np.array([value(point) for point in points]).reshape(5, 3, 3)
    exact = {
        name: cube.mean(axis=tuple(other for other in range(3) if other != axis)).var() / cube.var()
        for axis, name in enumerate(levels)
    }
    found = shares(importance(searched(points, value), DESIGN, list(levels), [SEEN]), FANOVA)
    # Trees are fitted to bootstrap samples, each without a third of the cells.
    assert found == pytest.approx(exact, abs=0.06)
    assert sum(found.values()) < 1  # the interaction of a and b is not theirs


@pytest.mark.parametrize("more", [True, False])
def test_ped_anova_looks_where_it_is_good(more: bool) -> None:
    """Near the best only b matters, near the worst only a: which end is good decides."""

    def value(point: Point) -> float:
        return (1 + point["b"]) if point["e"] > 0.5 else -(1 + np.log10(point["a"]) ** 2)

    random = np.random.default_rng(3)
    points = [{**point, "e": float(random.uniform())} for point in at_random(200, 3)]
    found = shares(importance(searched(points, value), DESIGN, ["a", "b"], {SEEN: more}), PED_ANOVA)
    assert (found["b"] > found["a"]) == more


def test_groups_are_pooled_less_their_means_and_methods_are_not() -> None:
    """A dataset that is harder, and was searched at other weights, does not make the weight matter."""
    easy, hard = (
        [{"a": a, "b": b} for a in place for b in (0.1, 0.2, 0.3, 0.4)]
        for place in ((0.1, 0.2), (0.3, 0.4))
    )
    table = pd.concat(
        [
            searched(easy, lambda point: 0.9 + point["b"]),
            searched(hard, lambda point: 0.1 + point["b"], "hard"),
            searched(easy, lambda point: point["a"], method="other"),
        ]
    )
    found = importance(table, DESIGN, ["a", "b"], [SEEN])
    mine, other = found[found["method"] == "m"], found[found["method"] == "other"]
    assert set(mine["points"]) == {16}
    assert shares(mine, FANOVA)["b"] > 0.8
    assert shares(mine, FANOVA)["a"] < 0.1
    assert shares(other, FANOVA)["a"] > 0.8


def test_points_are_means_at_their_last_step_and_order_does_not_matter() -> None:
    points = at_random(20)
    last = searched(points, lambda point: point["b"], repetitions=3)
    early = last.assign(step=0, **{SEEN: last["c"] * 1.0})
    found = importance(pd.concat([early, last]), DESIGN, ["a", "b", "c"], [SEEN])
    once = importance(searched(points, lambda point: point["b"]), DESIGN, ["a", "b", "c"], [SEEN])
    shuffled = importance(
        pd.concat([early, last]).sample(frac=1, random_state=0), DESIGN, ["a", "b", "c"], [SEEN]
    )
    assert found["importance"].tolist() == pytest.approx(once["importance"].tolist())
    assert found["importance"].tolist() == shuffled["importance"].tolist()
    assert set(found["points"]) == {20}


def test_what_tells_nothing_has_no_rows() -> None:
    table = searched(at_random(8), lambda point: point["b"])
    nothing = {
        "one parameter": (table, ["a"]),
        "one that varies": (table.assign(b=0.5), ["a", "b"]),
        "too few points": (table[table["point_index"] < 3], ["a", "b"]),
        "a constant": (table.assign(**{SEEN: 0.5}), ["a", "b"]),
        "one that some lack": (
            table.assign(b=table["b"].where(table["point_index"] > 0)),
            ["a", "b"],
        ),
        "none done": (table.assign(status="stopped"), ["a", "b"]),
        "no parameter": (table, []),
    }
    for what, (rows, parameters) in nothing.items():
        found = importance(rows, DESIGN, parameters, [SEEN])
        assert (len(found), list(found.columns)[:2]) == (0, ["method", "objective"]), what
    assert importance(table, DESIGN, ["a", "b"], ["test/absent"]).empty
    assert not importance(table, DESIGN, ["a", "b"], [SEEN]).empty


def test_optuna_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance(searched(at_random(8), lambda point: point["b"]), DESIGN, ["a", "b"], [SEEN])
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr().err == ""
