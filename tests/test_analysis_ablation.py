"""Effects of components, against hand-worked factorials, a regression, and the plan that names the variants."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

from htsweep.analysis.ablation import ablation, factorial
from htsweep.analysis.design import Design
from htsweep.planning.ablation import FACTORIAL

SEEN, MISSING = "test/seen_accuracy", "test/missing_accuracy"
DESIGN = Design(("dataset",), "method")


def had(text: str) -> frozenset[str]:
    return frozenset(text)


def tables(
    values: Mapping[str, Sequence[float]], dataset: str = "d"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(chosen, variants) from {components, a letter each: one number per repetition}; `a>z` is full with z in a's place."""
    full = max((name for name in values if ">" not in name), key=len)
    variants, rows = [], []
    for name, numbers in values.items():
        replaced, _, stand_in = name.partition(">")
        components = frozenset(full) - {replaced} if stand_in else frozenset(name)
        variants.append(
            {
                "dataset": dataset,
                "method": full,
                "sweep": f"{dataset}/{name}",
                "components": components,
                "kind": FACTORIAL,
                "control": f"{replaced} over {stand_in}" if stand_in else "",
            }
        )
        rows += [
            {
                "sweep": f"{dataset}/{name}",
                "dataset": dataset,
                "method": name,
                "repetition": repetition,
                SEEN: number,
                MISSING: 1 - number,
            }
            for repetition, number in enumerate(numbers)
        ]
    return pd.DataFrame(rows), pd.DataFrame(variants)


def effects(found: pd.DataFrame, kind: str, metric: str = SEEN) -> dict[str, float]:
    rows = found[(found["kind"] == kind) & (found["metric"] == metric)]
    return dict(zip(rows["component"], rows["effect"], strict=True))


def test_two_by_two_by_hand() -> None:
    """y = 0.5 + 0.1 a + 0.2 b + 0.04 ab in 0 and 1: main effects 0.12 and 0.22, interaction 0.02."""
    chosen, variants = tables({"ab": [0.84], "b": [0.70], "a": [0.60], "": [0.50]})
    found = ablation(chosen, DESIGN, variants, [SEEN])
    assert effects(found, "left out") == pytest.approx({"a": 0.14, "b": 0.24})
    assert effects(found, "alone") == pytest.approx({"a": 0.1, "b": 0.2})
    assert effects(found, "main effect") == pytest.approx({"a": 0.12, "b": 0.22})
    assert effects(found, "interaction") == pytest.approx({"a x b": 0.02})
    assert set(found["n"]) == {1}
    assert found["low"].isna().all()
    assert set(found["verdict"]) == {"too few"}


def test_two_cubed_from_a_textbook() -> None:
    """Montgomery's plasma etch (example 6.1): A gap, B flow, C power; the sums of two replicates of each setting."""
    sums = {
        "": 1154,
        "a": 1319,
        "b": 1234,
        "ab": 1277,
        "c": 2089,
        "ac": 1617,
        "bc": 2138,
        "abc": 1589,
    }
    found = {
        one.component: float(one.values[0])
        for one in factorial(
            {had(name): np.array([total / 2]) for name, total in sums.items()}, "abc"
        )
    }
    assert found == pytest.approx(
        {
            "a": -101.625,
            "b": 7.375,
            "c": 306.125,
            "a x b": -24.875,
            "a x c": -153.625,
            "b x c": -2.125,
        }
    )


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_factorial_is_a_regression(count: int) -> None:
    """Twice the coefficients of least squares on -1 and 1, with every interaction in the model."""
    names = "abcd"[:count]
    random = np.random.default_rng(count)
    # As the plan lists them: without the first component first.
    values = {
        "".join(some): random.normal(size=6)
        for size in range(count, -1, -1)
        for some in reversed(list(itertools.combinations(names, size)))
    }
    signs = {
        name: [1.0 if name in setting else -1.0 for setting in values for _ in range(6)]
        for name in names
    }
    columns = {
        frozenset(some): np.prod([signs[name] for name in some], axis=0)
        for size in range(1, count + 1)
        for some in itertools.combinations(names, size)
    }
    model = OLS(
        np.concatenate(list(values.values())),
        np.column_stack([np.ones(6 * len(values)), *columns.values()]),
    ).fit()
    wanted = dict(zip(columns, 2 * model.params[1:], strict=True))
    found = ablation(*_swap(tables(values)), [SEEN])
    assert effects(found, "main effect") == pytest.approx(
        {name: wanted[had(name)] for name in names}
    )
    assert effects(found, "interaction") == pytest.approx(
        {
            f"{one} x {other}": wanted[frozenset((one, other))]
            for one, other in itertools.combinations(names, 2)
        }
    )


def _swap(both: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[pd.DataFrame, Design, pd.DataFrame]:
    return both[0], DESIGN, both[1]


def test_p_is_the_exact_sign_flip_and_holm_is_over_the_components() -> None:
    random = np.random.default_rng(1)
    base = random.normal(size=8)
    values = {
        "abc": base + 0.3,
        "bc": base + random.normal(0, 0.1, 8),
        "ac": base + random.normal(0.0, 0.1, 8),
        "ab": base + 0.3 + random.normal(0, 0.1, 8),
    }
    found = ablation(*_swap(tables(values)), [SEEN, MISSING])
    rows = found[(found["kind"] == "left out") & (found["metric"] == SEEN)].set_index("component")
    for name, without in {"a": "bc", "b": "ac", "c": "ab"}.items():
        difference = values["abc"] - values[without]
        exact = stats.permutation_test(
            (difference,), np.mean, permutation_type="samples", n_resamples=np.inf
        )
        assert rows.loc[name, "p"] == pytest.approx(exact.pvalue)
        assert rows.loc[name, "effect"] == pytest.approx(difference.mean())
        assert rows.loc[name, "low"] < difference.mean() < rows.loc[name, "high"]
    ordered = rows["p"].sort_values()
    by_hand = np.minimum(np.maximum.accumulate(ordered.to_numpy() * [3, 2, 1]), 1)
    assert rows.loc[ordered.index, "p_holm"].to_numpy() == pytest.approx(by_hand)
    assert rows["verdict"].to_dict() == {"a": "better", "b": "better", "c": "not shown"}
    # Missing accuracy is 1 - seen here: the same sizes, the other way round.
    assert effects(found, "left out", MISSING) == pytest.approx(
        {name: -value for name, value in rows["effect"].items()}
    )


def test_an_effect_that_an_upper_bound_has_a_part_in_is_not_tested() -> None:
    spread = np.array([0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07])
    values = {"abo": 0.9 + spread, "bo": 0.8 + spread, "ao": 0.7 + spread, "ab": 0.4 + spread}
    chosen, variants = tables({name: list(numbers) for name, numbers in values.items()})
    chosen["role"] = ["bound" if "o" in name else "" for name in chosen["method"]]
    found = ablation(chosen, DESIGN, variants, [SEEN]).set_index("component")
    assert found["effect"].to_dict() == pytest.approx({"a": 0.1, "b": 0.2, "o": 0.5})
    assert set(found["verdict"]) == {"bound"}
    assert found["p_holm"].isna().all()
    # With the component that sees all classes alone as a bound, the others are tested without it.
    chosen["role"] = ["bound" if name == "bo" else "" for name in chosen["method"]]
    found = ablation(chosen, DESIGN, variants, [SEEN]).set_index("component")
    assert found["verdict"].to_dict() == {"a": "bound", "b": "better", "o": "better"}
    assert found.loc[["b", "o"], "p_holm"].tolist() == [2 * 2 / 2**8] * 2


def test_a_stand_in_is_compared_with_its_component() -> None:
    found = ablation(
        *_swap(tables({"ab": [0.9, 0.8], "b": [0.5, 0.5], "a>z": [0.7, 0.8], "a": [0.4, 0.4]})),
        [SEEN],
    )
    assert effects(found, "left out") == pytest.approx({"a": 0.35, "a over z": 0.1, "b": 0.45})


def test_what_is_not_there_has_no_rows() -> None:
    chosen, variants = tables(
        {"abc": [0.9], "bc": [0.5], "ac": [0.6], "ab": [0.7], "a": [0.2], "": [0.1]}
    )
    found = ablation(chosen, DESIGN, variants, [SEEN, "test/absent"])
    assert effects(found, "alone") == pytest.approx({"a": 0.1})
    assert set(found["kind"]) == {"left out", "alone"}
    some = chosen[chosen["sweep"] != "d/bc"]
    assert set(effects(ablation(some, DESIGN, variants, [SEEN]), "left out")) == {"b", "c"}
    assert ablation(chosen[:0], DESIGN, variants, [SEEN]).empty
    empty = ablation(chosen, DESIGN, variants[:0], [SEEN])
    assert (len(empty), list(empty.columns)[:3]) == (0, ["dataset", "component", "kind"])


def test_repetitions_that_a_variant_lacks_do_not_count() -> None:
    chosen, variants = tables(
        {"ab": [0.9, 0.8, 0.7], "b": [0.5, 0.6, 0.1], "a": [0.4, 0.4, 0.4], "": [0.1, 0.1, 0.1]}
    )
    less = chosen[~((chosen["sweep"] == "d/b") & (chosen["repetition"] == 2))]
    found = ablation(less.sample(frac=1, random_state=0), DESIGN, variants, [SEEN]).set_index(
        ["kind", "component"]
    )
    assert found.loc[("left out", "a"), ["n", "effect"]].tolist() == pytest.approx([2, 0.3])
    assert found.loc[("left out", "b"), ["n", "effect"]].tolist() == pytest.approx([3, 0.4])
    assert found.loc[("main effect", "b"), "n"] == 2


def test_each_group_for_itself_and_a_shared_sweep_in_both() -> None:
    """Without a, the two cells are one sweep."""
    first, listed = tables({"ab": [0.9], "b": [0.5], "a": [0.3]}, "one")
    second, others = tables({"ab": [0.7], "b": [0.5], "a": [0.1]}, "two")
    shared = others.assign(sweep=others["sweep"].replace("two/b", "one/b"))
    chosen = pd.concat([first, second[second["sweep"] != "two/b"]])
    found = ablation(chosen, DESIGN, pd.concat([listed, shared]), [SEEN])
    assert {
        (row["dataset"], row["component"]): round(row["effect"], 9)
        for row in found.to_dict("records")
    } == {("one", "a"): 0.4, ("one", "b"): 0.6, ("two", "a"): 0.2, ("two", "b"): 0.6}
    assert set(found["method"]) == {"ab"}


def test_a_planted_null_comes_out_rarely_and_a_planted_effect_always() -> None:
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        split = random.normal(0.5, 0.1, 8)
        values = {name: split + random.normal(0, 0.02, 8) for name in ("ab", "b", "a")}
        found = ablation(*_swap(tables(values)), [SEEN])
        hits += bool((found["p_holm"] < 0.05).any())
    # One-sided 95 % limit of a binomial at its 5 %
    assert hits <= 0.05 * 200 + 1.645 * np.sqrt(200 * 0.05 * 0.95)
    split = random.normal(0.5, 0.1, 8)
    planted = {"ab": split + 0.1, "b": split, "a": split + 0.1 + random.normal(0, 1e-3, 8)}
    verdicts = ablation(*_swap(tables(planted)), [SEEN]).set_index("component")["verdict"]
    assert verdicts["a"] == "better"
