"""The optimisation of Task Transfer Analysis: steps of Adam along exact plans of mini-batches."""

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

LOOKS = 10  # how often the bound is evaluated during the optimisation
WORST = 1e8  # largest condition number at which an inverse is useful in double precision
# Interpolation factors from the start to the learned map of features, besides 1
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
    """Cost of a label mismatch in the plan relative to a unit of feature distance, after
    `label_steps`.
    """
    label_steps: int
    """Initial steps in which labels do not count in the plan, so that features pair the classes."""
    labels: bool
    """Whether B and D are learned."""


def class_counts(prior: Array, total: int) -> NDArray[np.int64]:
    """Integers proportional to the prior with sum `total`, by the largest-remainder method."""
    exact = prior / prior.sum() * total
    counts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    short = total - int(counts.sum())
    counts[np.argsort(counts - exact, kind="stable")[:short]] += 1
    return counts


def drawn(
    labels: NDArray[np.int64], counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Random positions in `labels`, `counts[k]` of class k; repeated if the class is smaller."""
    rows: list[NDArray[np.int64]] = []
    for label in np.flatnonzero(counts):
        own = np.flatnonzero(labels == label)
        rounds = -(-int(counts[label]) // len(own))
        rows.append(np.concatenate([rng.permutation(own) for _ in range(rounds)])[: counts[label]])
    return np.concatenate(rows)


def exact_plan(costs: Array) -> NDArray[np.int64]:
    """The column assigned to each row in the cheapest plan between n and n equal weights, [n].

    Such a plan is a permutation, so that an assignment solver is exact. Subtracting the minima of
    rows and columns first does not change the plan and saves the solver most of its work.
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
    """The transform with the lowest bound along the optimisation, including its start.

    Each step draws a batch of each domain, source classes in proportion to D, finds the exact plan
    of least |Az + b - x| + λ|B e_k - e_t| (not squared), and with this plan takes a step of Adam on

        H(B, D) + Σ_k D_k loss_k + 2 Σ plan (|Az + b - x|² + λ|B e_k - e_t|²)
        + |p - BD|² + |AĀ - I|² + |ĀA - I|²

    with squared distances, as in the released code. Differences from it: B log B is computed from
    log-softmax; the class counts of a batch are rounded, not truncated, so that both batches have
    equally many images and the plan is a permutation; D starts at the prior, not at its softmax; B
    starts uniform and is first derived from features (see `Settings.label_steps`).

    Args:
        start: where the optimisation starts.
        losses: the classifier's mean loss of each source class, [K_s].
        source: training images of the source task.
        target: training images of the target task; with `free`, their labels are not used.
        settings: how to optimise.
        seed: seed of every draw.
        device: where to compute.
        bound: the bound by which the result is chosen.
        free: whether labels do not count in the plan at all.
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
    """The learned transform and variants of it; each gives a valid bound, so any may be used.

    Squared distances shrink A, at the cost of the transformed classifier's gradient: τ grows as W1
    falls. So the maps between the start and A, b, with their exact inverses, are also tried; and a
    B that maps each source class to its likeliest label only, if that covers all target classes (as
    the released code does for W1 only).
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
