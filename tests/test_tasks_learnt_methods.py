"""LwF, Bi-Tuning, Co-Tuning and TRED: each formula against numpy, what is learnt beforehand, and its degenerate cases."""

import io

import learnt
import pytest
import torch
from learnt import run_of

from tasks import methods


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    yield from learnt.one_thread()


@pytest.fixture(scope="module")
def transfer(one_thread):
    return learnt.transfer(one_thread)


@pytest.mark.parametrize("name", ["bi_tuning", "co_tuning", "lwf", "bi_tuning+co_tuning"])
def test_continued_it_equals_undisturbed(name, transfer):
    def build():
        return methods.build(
            name,
            {"co_tuning.relationship": "direct", "bi_tuning.keys": 3, "bi_tuning.momentum": 0.5},
        )

    whole, first, second = (run_of(build(), transfer) for _ in range(3))
    whole.advance(0, 3)
    whole.advance(3, 6)
    first.advance(0, 3)
    kept = io.BytesIO()
    torch.save(first.state(), kept)
    kept.seek(0)
    second.restore(torch.load(kept, weights_only=True))
    second.advance(3, 6)
    for part in ("student", "prepared"):
        found, expected = second.state()[part], whole.state()[part]
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert whole.state()["prepared"] or name == "lwf"


@pytest.mark.parametrize(
    ("name", "runs"), [("lwf", 3), ("tred", 3), ("bi_tuning", 0), ("co_tuning", 0)]
)
def test_the_source_runs_where_it_is_looked_at(transfer, name, runs):
    run = run_of(
        methods.build(name, {"tred.steps": 2, "co_tuning.relationship": "direct"}), transfer
    )
    passes = []
    run.transfer.source.backbone[0].register_forward_pre_hook(lambda *_: passes.append(1))
    run.advance(0, 3)
    assert len(passes) == runs
