"""Local SGD: the control of LOLSGD (Stich, ICLR 2019, arXiv:1805.09767)."""

from __future__ import annotations

from typing import Annotated

from tasks.methods.lolsgd import lolsgd
from tasks.methods.method import Method, Range


def local_sgd(
    subsets: Annotated[int, Range(1, 100)] = 10,
    local_steps: Annotated[int, Range(1, 1000)] = 1,
    rounds: Annotated[int, Range(0, 100_000)] = 0,
    server_rate: Annotated[float, Range(0, 10)] = 1.0,
) -> Method:
    """LOLSGD without leaving classes out: shows what averaging short runs does by itself.

    Args:
        subsets: M, local runs per round.
        local_steps: K, steps of a local run.
        rounds: R; 0 matches plain fine-tuning's gradient evaluations.
        server_rate: factor of the averaged move.
    """
    return lolsgd(
        subsets=subsets, left_out=0, local_steps=local_steps, rounds=rounds, server_rate=server_rate
    )
