"""The simulation of levels: draws are reproducible, and worlds are what they say."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FILE = Path(__file__).parent.parent / "benchmarks" / "level.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("level", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["level"] = module
    sys.path.insert(0, str(FILE.parent))  # as for a script
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FILE.parent))
    return module


level = loaded()


@pytest.mark.parametrize("null", level.NULLS, ids=lambda null: null.name)
def test_every_null_answers_and_its_draws_are_reproducible(null: object) -> None:
    asked = [null.ask(level.generator(null.name, 3)) for _ in range(2)]  # type: ignore[attr-defined]
    assert asked[0] == asked[1]
    assert asked[0]
    assert set(map(type, asked[0].values())) == {bool}


def test_draws_differ_by_number_and_by_null() -> None:
    first = [level.generator(*of).random() for of in (("a", 0), ("a", 1), ("b", 0))]
    assert len(set(first)) == 3


def test_models_of_one_pool_are_equal_in_the_population_but_not_in_the_pool() -> None:
    gaps = []
    for draw in range(400):
        rows, _ = level.one_pool(level.generator("pool", draw), tested=1.0)
        wide = rows.pivot(index="repetition", columns="method", values=level.METRIC)
        gap = (wide["m1"] - wide["plain"]).to_numpy()
        assert np.ptp(gap) < 1e-12  # all of the pool, each time
        gaps.append(gap[0])
    spread = np.sqrt(2 * 0.8 * 0.2 / 600)
    assert abs(np.mean(gaps)) < 4 * spread / 20
    assert np.std(gaps) == pytest.approx(spread, rel=0.15)


def test_an_unknown_null_is_refused_with_those_that_exist(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["level.py", "--only", "tied"])
    with pytest.raises(SystemExit):
        level.main()
    assert "no null called tied; known: shared targets" in capsys.readouterr().err
