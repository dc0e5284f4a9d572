"""Importance of parameters: planted cases, an exact decomposition of variance on a full grid, its null, and what tells nothing."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from htsweep.analysis.design import Design
from htsweep.analysis.importance import ALL, BEST, importance
from htsweep.analysis.significance import holm

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
        "low",
        "high",
        "p",
        "p_holm",
        "verdict",
        "points",
    ]
    for evaluator, least in ((ALL, 0.8), (BEST, 0.3)):
        assert shares(found, evaluator)["a"] > least
        others = [share for name, share in shares(found, evaluator).items() if name != "a"]
        assert max(others) < 0.1
    assert found[found["parameter"] == "a"]["p"].tolist() == [0.001, 0.001]
    shown = found["verdict"] == "shown"
    assert shown.tolist() == (found["parameter"] == "a").tolist()
    assert set(found["points"]) == {60}


def test_a_full_grid_against_its_exact_decomposition() -> None:
    """A grid's shares are the variances of the marginal means over the whole variance, less what chance explains."""
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
    exact = {}
    for axis, name in enumerate(levels):
        means = cube.mean(axis=tuple(other for other in range(3) if other != axis))
        chance = (len(levels[name]) - 1) / (45 - 1)
        exact[name] = max(0.0, (means.var() / cube.var() - chance) / (1 - chance))
    found = shares(importance(searched(points, value), DESIGN, list(levels), [SEEN]), ALL)
    assert found == pytest.approx(exact, abs=1e-9)
    # Of five best points, those with each value of a: Pearson's divergence over its largest value.
    best = np.argsort(cube.ravel())[-5:]
    counts = np.bincount(best // 9, minlength=5) / 5
    divergence = (0.2 * (counts / 0.2 - 1) ** 2).sum() * (5 / 45) / (40 / 45)
    found = shares(importance(searched(points, value), DESIGN, list(levels), [SEEN]), BEST)
    assert found["a"] == pytest.approx((divergence - 4 / 44) / (40 / 44), abs=1e-9)


def test_p_is_the_share_of_shuffles_that_explain_as_much() -> None:
    """Six points of two levels, all high ones in one: of 20 ways to split them, 2 are as extreme."""
    points = [{"a": place // 3, "b": place % 3} for place in range(6)]
    found = importance(
        searched(points, lambda point: point["a"] + 0.01 * point["b"]), DESIGN, ["a", "b"], [SEEN]
    )
    rows = found[found["evaluator"] == ALL].set_index("parameter")
    assert rows.loc["a", "p"] == pytest.approx(2 / 20, abs=4 * (0.1 * 0.9 / 999) ** 0.5)
    assert rows.loc["a", "importance"] > 0.9
    assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].to_numpy()).tolist())
    assert set(rows["verdict"]) == {"not shown"}  # six points cannot


def test_noise_is_seldom_shown_to_matter() -> None:
    called = {ALL: 0, BEST: 0}
    for seed in range(100):
        random = np.random.default_rng(1000 + seed)
        table = searched(at_random(40, seed), lambda _: 0.0)
        table[SEEN] = random.normal(size=40)
        found = importance(table, DESIGN, ["a", "b", "c"], [SEEN])
        for evaluator in called:
            inside = found[found["evaluator"] == evaluator]
            called[evaluator] += bool((inside["verdict"] == "shown").any())
    # Three standard deviations above the level that is meant.
    assert max(called.values()) <= 5 + 3 * (100 * 0.05 * 0.95) ** 0.5
    assert sum(called.values()) > 0


def test_an_interval_is_the_jackknifes_over_repetitions() -> None:
    random = np.random.default_rng(0)
    points = [{"a": place % 4, "b": place // 4} for place in range(16)]
    table = searched(points, lambda point: point["a"], repetitions=5)
    table[SEEN] += random.normal(0, 1.0, len(table))
    row = importance(table, DESIGN, ["a", "b"], [SEEN]).iloc[0]
    without = [
        importance(table[table["repetition"] != left], DESIGN, ["a", "b"], [SEEN]).iloc[0]
        for left in range(5)
    ]
    apart = np.array([one["importance"] for one in without])
    reach = stats.t.ppf(0.975, 4) * np.sqrt(4 / 5 * ((apart - apart.mean()) ** 2).sum())
    assert (row["low"], row["high"]) == pytest.approx(
        (max(0, row["importance"] - reach), min(1, row["importance"] + reach))
    )
    assert 0 < row["low"] < row["importance"] < row["high"]
    assert np.isnan(
        importance(table[table["repetition"] < 2], DESIGN, ["a", "b"], [SEEN])["low"]
    ).all()


@pytest.mark.parametrize("more", [True, False])
def test_the_best_are_where_it_is_good(more: bool) -> None:
    """Near the best only b matters, near the worst only a: which end is good decides."""

    def value(point: Point) -> float:
        return (1 + point["b"]) if point["e"] > 0.5 else -(1 + np.log10(point["a"]) ** 2)

    random = np.random.default_rng(3)
    points = [{**point, "e": float(random.uniform())} for point in at_random(200, 3)]
    found = shares(importance(searched(points, value), DESIGN, ["a", "b"], {SEEN: more}), BEST)
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
    assert shares(mine, ALL) == pytest.approx({"a": 0, "b": 1})
    assert shares(other, ALL) == pytest.approx({"a": 1, "b": 0})


def test_a_point_that_several_groups_have_is_one_point() -> None:
    points = [{"a": place % 4, "b": place // 4} for place in range(12)]
    one = searched(points, lambda point: point["a"])
    more = pd.concat([one, searched(points, lambda point: point["a"] + 5, "hard")])
    found = importance(more, DESIGN, ["a", "b"], [SEEN])
    pd.testing.assert_frame_equal(found, importance(one, DESIGN, ["a", "b"], [SEEN]))
    assert set(found["points"]) == {12}


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
        "one that does not vary": (table.assign(b=0.5), ["b"]),
        "one that each point has alone": (table.assign(b=list("pqrstuvw")), ["b"]),
        "too few points": (table[table["point_index"] < 3], ["a", "b"]),
        "a constant": (table.assign(**{SEEN: 0.5}), ["a", "b"]),
        "one that some lack": (
            table.assign(b=table["b"].where(table["point_index"] > 0)),
            ["b"],
        ),
        "none done": (table.assign(status="stopped"), ["a", "b"]),
        "no parameter": (table, []),
    }
    for what, (rows, parameters) in nothing.items():
        found = importance(rows, DESIGN, parameters, [SEEN])
        assert (len(found), list(found.columns)[:2]) == (0, ["method", "objective"]), what
    assert importance(table, DESIGN, ["a", "b"], ["test/absent"]).empty
    assert not importance(table, DESIGN, ["a", "b"], [SEEN]).empty
