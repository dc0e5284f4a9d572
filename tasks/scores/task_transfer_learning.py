"""The optimisation of Task Transfer Analysis: mini-batches, an exact plan, and a step of Adam along it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from tasks.scores.task_transfer_terms import Array, Sample, Transform, uncovered

if TYPE_CHECKING:
    from torch import Tensor

LOOKS = 10  # how often the bound is looked at on the way
WORST = 1e8  # condition number up to which an inverse is worth something in double precision
# How far to go from the start to a learned map of features, besides all the way
SHARES = (0.0, 0.25, 0.5, 0.75)


@final
@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the transforms are learned."""

    steps: int
    samples: int
    """Images of each domain in a batch."""
    rate: float
    """Adam's learning rate for A, Ā, b and B."""
    prior_rate: float
    """Adam's learning rate for D."""
    label_cost: float
    """What a whole label counts beside a unit of feature distance, once the map of labels has been
    read.
    """
    label_steps: int
    """The first steps, in which labels count nothing in the plan, so that features decide which
    class goes to which.
    """
    labels: bool
    """Whether B and D are learned."""


def class_counts(prior: Array, total: int) -> NDArray[np.int64]:
    """Whole numbers in proportion to the prior that sum to `total`, by largest remainder; no class of prior 1/total is lost."""
    exact = prior / prior.sum() * total
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    short = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return counts


def drawn(
    labels: NDArray[np.int64], counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of `labels`, `counts[k]` of each class k; a class of fewer images gives each of them again, not fewer rows."""
    rows: list[NDArray[np.int64]] = []
    for label in np.flatnonzero(counts):
        own = np.flatnonzero(labels == label)
        rounds = -(-int(counts[label]) // len(own))
        rows.append(np.concatenate([rng.permutation(own) for _ in range(rounds)])[: counts[label]])
    return np.concatenate(rows)


def exact_plan(costs: Array) -> NDArray[np.int64]:
    """The column that each row is carried to in the cheapest plan between as many points of equal weight, [n].

    Such a plan is a permutation, so an assignment solver is exact. Rows and columns are reduced by
    their minima first, which changes no plan and spares the solver most of its work.
    """
    from scipy.optimize import linear_sum_assignment

    reduced = costs - costs.min(1, keepdims=True)
    reduced -= reduced.min(0)
    return np.asarray(linear_sum_assignment(reduced)[1], np.int64)


def learned(
    start: Transform,
    losses: Array,
    source: Sample,
    target: Sample,
    *,
    settings: Settings,
    seed: int,
    device: str,
    bound: Callable[[Transform], float],
    free: bool = False,
) -> Transform:
    """The transform of the lowest bound among those that the optimisation passes, its start included.

    Each step draws a batch of each domain, source classes in proportion to D, finds the exact plan
    of least |Az + b - x| + λ|B e_k - e_t| (not squared), and holding it takes a step of Adam on

        H(B, D) + Σ_k D_k loss_k + 2 Σ plan (|Az + b - x|² + λ|B e_k - e_t|²) + |p - BD|² + |AĀ -
        I|² + |ĀA - I|²

    with squared distances, as the released code does. Other than there: B log B is computed from
    log-softmax; the counts of a batch are rounded, not cut off, so that both batches have as many
    images and the plan is a permutation; D starts at the prior, not at its softmax; B starts
    without a preference and is read from features first (see `Settings.label_steps`).

    Args:
        start: where the optimisation begins.
        losses: the classifier's mean loss of each source class, [K_s].
        source: training images of the source task.
        target: training images of the target task; where the plan is free of classes their labels
            are not looked at.
        settings: how it goes on.
        seed: decides every draw.
        device: where it is computed.
        bound: what the choice among the steps goes by.
        free: whether labels count nothing in the plan.
    """
    import torch

    rng = np.random.default_rng(seed)
    target_device = torch.device(device)

    def put(array: Array) -> Tensor:
        return torch.as_tensor(
            np.ascontiguousarray(array), dtype=torch.float32, device=target_device
        )

    parameters = _Parameters(
        *(put(tensor).requires_grad_() for tensor in (start.matrix, start.inverse, start.shift)),
        *(put(tensor).requires_grad_(settings.labels) for tensor in _logits(start)),
    )
    groups = [{"params": parameters.features, "lr": settings.rate}]
    if settings.labels:
        groups += [
            {"params": [parameters.labels], "lr": settings.rate},
            {"params": [parameters.prior], "lr": settings.prior_rate},
        ]
    optimiser = torch.optim.Adam(groups)
    best, lowest = start, bound(start)
    sources, targets, costs = put(source.features), put(target.features), put(losses)
    marginals = (
        np.bincount(target.labels, minlength=len(start.log_labels)) / len(target.labels)
        if not free
        else None
    )
    expected = put(marginals) if marginals is not None else None

    for step in range(1, settings.steps + 1):
        prior = (
            parameters.prior.detach().double().softmax(0).cpu().numpy()
            if settings.labels
            else start.prior
        )
        rows = drawn(source.labels, class_counts(prior, settings.samples), rng)
        others = (
            rng.choice(len(targets), settings.samples, replace=len(targets) < settings.samples)
            if marginals is None
            else drawn(target.labels, class_counts(marginals, settings.samples), rng)
        )
        moved = sources[rows] @ parameters.matrix.T + parameters.shift
        labels = (
            parameters.labels.log_softmax(0).exp()
            if settings.labels
            else put(np.exp(start.log_labels))
        )
        pair_costs = _label_distances(labels) if not free else None
        with torch.no_grad():
            plan_costs = torch.cdist(moved, targets[others]).double().cpu().numpy()
        if pair_costs is not None and step > settings.label_steps:
            plan_costs += (
                settings.label_cost * pair_costs[source.labels[rows]][:, target.labels[others]]
            )
        carried = others[exact_plan(plan_costs)]

        objective = 2 * (moved - targets[carried]).square().sum(1).mean() + _inversion(parameters)
        if settings.labels:
            assert expected is not None
            weights = parameters.prior.softmax(0)
            given = torch.as_tensor(target.labels[carried], device=target_device)
            wished = torch.nn.functional.one_hot(given, len(start.log_labels)).T.to(labels.dtype)
            objective = (
                objective
                + 2
                * settings.label_cost
                * (labels[:, source.labels[rows]] - wished).square().sum(0).mean()
                - (labels * parameters.labels.log_softmax(0)).sum(0) @ weights
                + weights @ costs
                + (expected - labels @ weights).square().sum()
            )
        optimiser.zero_grad()
        objective.backward()
        optimiser.step()
        if step % max(settings.steps // LOOKS, 1) == 0 or step == settings.steps:
            for candidate in candidates(start, parameters.transform(start, labels=settings.labels)):
                value = bound(candidate)
                if value < lowest:
                    best, lowest = candidate, value
    return best


def candidates(start: Transform, learnt: Transform) -> Iterator[Transform]:
    """The learned transform, and others that it suggests: any of them gives a bound, so the lowest may be taken.

    Squared distances pull A towards 0, for which the gradient of the transformed classifier pays:
    what W1 loses τ gains. So the maps part of the way from the start to A, b, with their exact
    inverse, are tried as well; and B with each source class on its likeliest label alone, where
    that leaves no target class out (as the released code does for W1 alone).
    """
    yield learnt
    labels = learnt.log_labels
    if not uncovered(labels) and np.isfinite(labels).all():
        labels = _log(np.eye(len(labels))[:, labels.argmax(0)])
        yield replace(learnt, log_labels=labels)
    for share in SHARES:
        matrix = start.matrix + share * (learnt.matrix - start.matrix)
        with contextlib.suppress(np.linalg.LinAlgError):
            inverse = np.asarray(np.linalg.inv(matrix), np.float64)
            if np.linalg.norm(matrix, 1) * np.linalg.norm(inverse, 1) < WORST:
                yield replace(
                    learnt,
                    matrix=matrix,
                    inverse=inverse,
                    log_labels=labels,
                    shift=start.shift + share * (learnt.shift - start.shift),
                )


@final
@dataclass(frozen=True, eq=False)
class _Parameters:
    matrix: Tensor
    inverse: Tensor
    shift: Tensor
    labels: Tensor
    prior: Tensor

    @property
    def features(self) -> list[Tensor]:
        return [self.matrix, self.inverse, self.shift]

    def transform(self, start: Transform, *, labels: bool) -> Transform:
        matrix, inverse, shift = (
            feature.detach().double().cpu().numpy() for feature in self.features
        )
        changed = replace(start, matrix=matrix, inverse=inverse, shift=shift)
        if not labels:
            return changed
        return replace(
            changed,
            log_labels=self.labels.detach().double().log_softmax(0).cpu().numpy(),
            prior=self.prior.detach().double().softmax(0).cpu().numpy(),
        )


def _logits(start: Transform) -> tuple[Array, Array]:
    return np.maximum(start.log_labels, -50.0), np.log(np.maximum(start.prior, 1e-12))


def _log(shares: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.log(shares)


def _label_distances(labels: Tensor) -> Array:
    """|B e_k - e_t|, [K_s, K_t]."""
    given = labels.detach().double().cpu().numpy()
    return np.asarray(np.linalg.norm(given.T[:, None] - np.eye(len(given)), axis=2))


def _inversion(parameters: _Parameters) -> Tensor:
    """|AĀ - I|² + |ĀA - I|²."""
    from torch import eye

    identity = eye(len(parameters.matrix), device=parameters.matrix.device)
    return (parameters.matrix @ parameters.inverse - identity).square().sum() + (
        parameters.inverse @ parameters.matrix - identity
    ).square().sum()
