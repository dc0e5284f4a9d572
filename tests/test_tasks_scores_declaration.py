"""What declares a function a score, and what it must give."""

import pytest
from evidenced import evidence

from tasks import scores

OWN = '''
from typing import Annotated
from tasks.scores import Range, score

def width(evidence, factor: Annotated[float, Range(0, 10)] = 2.0):
    """Wide is good.

    Args:
        factor: of the width
    """
    return evidence.features.shape[1] * factor

def seeded(features, labels, seed, power=1.0):
    return len(features) + labels.sum() + seed * power

@score(parts=("own/one", "own/two"))
def paired(evidence):
    return 1.0, 2.0, 3.0

@score(parts=("own/one",), group="shared")
def short(evidence, size=1.0):
    return 1.0, 2.0, 3.0

def blind(seed):
    return 1.0

def parts(evidence):
    return {"transferability": 1, "own/number": 2}

def nameless(evidence):
    return {"score": 1}

def endless(evidence):
    return float("nan")

def bare(evidence, factor):
    return factor

def greedy(evidence):
    return 0.0
greedy.needs = ("head",)

@score(needs={"head"})
def heady(evidence):
    return 0.0
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_scores.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return "own_scores"


def test_a_score_of_ones_own_has_parameters_parts_and_needs(own):
    one = evidence()
    setting = scores.parameters(f"{own}:width")[f"{own}:width.factor"]
    assert (setting.type, setting.default, setting.high, setting.doc) == (
        float,
        2.0,
        10,
        "of the width",
    )
    assert scores.compute(f"{own}:width", one, {f"{own}:width.factor": 3.0}) == {
        "transferability": 18.0
    }
    assert scores.compute(f"{own}:parts", one, {}) == {"transferability": 1.0, "own/number": 2.0}
    assert scores.needs(f"{own}:heady") == {"head"}
    assert scores.needs(f"{own}:width") == frozenset()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "cannot be loaded"),
        ("bare", "without a default: factor"),
        ("greedy", "an attribute `needs`, which nobody reads"),
        ("blind", "reads nothing"),
    ],
)
def test_what_cannot_be_a_score_is_told(own, name, message):
    with pytest.raises(ValueError, match=message):
        scores.find(f"{own}:{name}")
    assert message in scores.problem(f"{own}:{name}")


def test_what_a_score_must_give_is_told(own):
    with pytest.raises(ValueError, match="must be called 'transferability'"):
        scores.compute(f"{own}:nameless", evidence(), {})
    with pytest.raises(ValueError, match="must be finite"):
        scores.compute(f"{own}:endless", evidence(), {})
    with pytest.raises(ValueError, match=r"gave 3 numbers, but declares 2: .*own/one"):
        scores.compute(f"{own}:short", evidence(), {})


def test_a_score_asks_by_name_for_what_it_reads(own):
    one = evidence()
    seed = one.seed(f"{own}:seeded")
    expected = len(one.features) + one.labels.sum() + 2.0 * seed
    given = {f"{own}:seeded.power": 2.0, f"{own}:seeded.seed": 5}
    assert scores.compute(f"{own}:seeded", one, given) == {"transferability": expected}
    assert list(scores.parameters(f"{own}:seeded")) == [f"{own}:seeded.power"]
    assert scores.compute(f"{own}:paired", one, {}) == {
        "transferability": 1.0,
        "own/one": 2.0,
        "own/two": 3.0,
    }
    assert list(scores.parameters(f"{own}:short")) == [f"{own}:shared.size"], (
        "a group is its module's"
    )


def test_a_declaration_of_what_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="needs gold, which nothing offers; known: head"):
        scores.score(needs={"gold"})
    with pytest.raises(ValueError, match="of the kind 'best'; known: score, control"):
        scores.score(kind="best")
