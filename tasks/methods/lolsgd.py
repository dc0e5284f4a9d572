"""LOLSGD: leave-out local SGD (Tu et al., Holistic Transfer, NeurIPS 2023, arXiv:2311.01420)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Method, Range, SeenClasses

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.training import Run


def lolsgd(
    subsets: Annotated[int, Range(1, 100)] = 10,
    left_out: Annotated[int, Range(0, 1000), SeenClasses()] = 3,
    local_steps: Annotated[int, Range(1, 1000)] = 1,
    rounds: Annotated[int, Range(0, 100_000)] = 0,
    *,
    server_rate: Annotated[float, Range(0, 10)] = 1.0,
) -> Method:
    """Averages short runs that each leave out some seen classes, so that class drift cancels.

    A round: for m = 1..M, theta_m <- K steps of SGD from theta on batches without the classes Q_m;
    then one step of the run's own optimiser along server_rate (theta - mean_m theta_m) / learning
    rate. Without momentum this is the paper's step, theta <- theta + server_rate mean_m (theta_m -
    theta).

    The local runs have no momentum, since it would not build up in K steps; the run's momentum,
    Nesterov's correction and weight decay act once a round. With M = K = 1 and nothing left out
    this is SGD. Gradients are evaluated as often as by plain fine-tuning: R M K = steps, and what
    M K does not divide is left to shorter last rounds. If `rounds` is given, there are R M K of
    them (R K = steps matches server steps, at M times the cost). The schedule goes over rounds.
    Batch-norm statistics are averaged with weight 1.

    No code of the paper was released, and its constants are not verified. K = 1 was chosen among 1,
    2, 5 and 10 by the protocol source_validation (studies/digits_defaults.yaml).

    Args:
        subsets: M, local runs per round.
        left_out: classes that a local run leaves out; at most all seen classes but one.
        local_steps: K, steps of a local run.
        rounds: R; 0 matches plain fine-tuning's gradient evaluations.
        server_rate: factor of the averaged move.
    """

    def optimise(run: Run, first: int, last: int) -> Tensor | None:
        planned = [(subsets, local_steps)] * rounds or sizes(run.steps, subsets, local_steps)
        total = len(planned)
        losses = []
        for number in range(total * first // run.steps, total * last // run.steps):
            run.set_rate(number / total)
            many, steps = planned[number]
            # Numbered as in whole rounds, so that no two local runs share batches.
            start = number * subsets * local_steps
            losses += _round(
                run, number, many, left_out, start=start, local_steps=steps, server_rate=server_rate
            )
        return sum(losses[1:], start=losses[0]) / len(losses) if losses else None

    return Method(optimise=optimise, scaled=True)


def sizes(steps: int, subsets: int, local_steps: int) -> list[tuple[int, int]]:
    """(local runs, steps of each) of the rounds that together evaluate `steps` gradients."""
    rounds = [(subsets, local_steps)] * (steps // (subsets * local_steps))
    rest = steps % (subsets * local_steps)
    if rest >= subsets:
        rounds.append((subsets, rest // subsets))
        rest %= subsets
    return rounds + ([(rest, 1)] if rest else [])


def _round(
    run: Run,
    number: int,
    subsets: int,
    left_out: int,
    *,
    start: int,
    local_steps: int,
    server_rate: float,
) -> list[Tensor]:
    """Runs one round, which updates theta; returns the loss of every local step.

    The local runs use the batches from number `start` on.
    """
    from torch import zeros_like

    weights = [
        (weight, group["lr"]) for group in run.optimiser.param_groups for weight in group["params"]
    ]
    moving = [weight.data for weight, _ in weights] + run.statistics
    origins = [tensor.clone() for tensor in moving]
    mean = [zeros_like(tensor) for tensor in moving]
    losses = []
    for subset in range(subsets):
        _copy(origins, moving)
        kept = _kept(run, left_out, number, subset)
        for step in range(local_steps):
            losses.append(run.gradient(run.batch(start + subset * local_steps + step, kept)))
            if not run.settled():
                continue
            for weight, rate in weights:
                if weight.grad is not None:  # some weights may not affect the output
                    weight.data.add_(weight.grad, alpha=-rate)
        for total, tensor in zip(mean, moving, strict=True):
            total.add_(tensor, alpha=1 / subsets)
    _copy(origins[: len(weights)] + mean[len(weights) :], moving)
    for (weight, rate), origin, average in zip(weights, origins, mean, strict=False):
        weight.grad = (origin - average).mul_(server_rate / max(rate, 1e-30))
    run.step(scaled=False)
    return losses


def _kept(run: Run, left_out: int, number: int, subset: int) -> list[int] | None:
    """The classes that a local run trains on; None for all."""
    count = min(left_out, len(run.classes) - 1)
    if count <= 0:
        return None
    out = random.Random(run.seed("left out", number, subset)).sample(run.classes, count)
    return [index for index in run.classes if index not in out]


def _copy(values: list[Tensor], into: list[Tensor]) -> None:
    for target, value in zip(into, values, strict=True):
        target.copy_(value)
