"""TRED: stay close to the target-relevant part of the source's feature maps.

Li et al., 2020, arXiv:2010.08532.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Choices, Learnt, Method, Range, Stages, View, stage_indices

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Generator, Tensor

    from tasks.model import Model
    from tasks.transfer import Transfer

    Layers = list[Tensor]
    """Weights [out, in] and biases [out] of linear layers, alternating."""
    Read = Callable[[Tensor], list[Tensor]]
    """Maps positions to the source's feature maps of the stages."""

SIDES = ("positive", "negative")
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Kernel widths, as factors of the median squared distance."""
BATCH = 64
CHUNK = 256
MEMORY = 2**30
"""Up to this many bytes, feature maps are kept in memory instead of recomputed per batch."""


def tred(
    criterion: Annotated[str, Choices(("max_mmd", "min_mi", "both")), Learnt()] = "max_mmd",
    stages: Annotated[str, Stages(), Learnt()] = "-1",
    weight: Annotated[float, Range(0, 1e4)] = 0.1,
    head: Annotated[float, Range(0, 1e4)] = 0.01,
    *,
    reconstruction: Annotated[float, Range(0, 1e4), Learnt()] = 1.0,
    disentanglement: Annotated[float, Range(0, 1e4), Learnt()] = 0.1,
    steps: Annotated[int, Range(1, 1_000_000), Learnt()] = 500,
    learning_rate: Annotated[float, Range(1e-8, 10), Learnt()] = 1e-3,
) -> Method:
    """Pulls feature maps to the target-relevant part of the source's, which is learnt beforehand.

    Adds

        weight 1/b sum_i sum_stages |F(x_i) - G_p(F0(x_i))|^2 / (h w) + head/2 |v|^2.

    F and F0 [b, c, h, w] are the maps of the student and of the frozen source for the same images,
    v the head's weights and bias. G = (G_p, G_n) splits F0 into a part that is relevant to the
    target and the rest. It is learnt beforehand, stage by stage, with a linear head, and then
    fixed; it minimises

        CE(head(mean of G_p), y) + reconstruction |F0 - G_p - G_n|^2 / |F0|^2 + disentanglement D.

    max_mmd: D = -MMD^2(mean of G_p, mean of G_n) of means over positions, normalised to length one.
        MMD^2 is the biased estimate, with the sum of five Gaussian kernels of 1/4 to 4 times the
        median squared distance.
    min_mi: D is CLUB's bound on the mutual information of the means (Cheng et al., ICML 2020).
        Their channels are standardised over the batch, since shrinking them would otherwise be
        enough. Minimising needs an upper bound, which CLUB is; MINE's is a lower bound.

    both: the sum of the two, as the authors' journal version combines them.

    This is a reconstruction, with low to medium confidence: the paper's abstract is certain about
    the two stages and the two criteria, but G, the terms and all constants are not known. Here each
    side of G is F0 times a gate between 0 and 1, of two 1x1 convolutions with a ReLU between them.
    Branches without a gate grew to 12 times F0 on digits and cancelled each other; with a final
    ReLU they could not reproduce negative values, as in transformers and linear bottlenecks; and a
    batch norm would make G_p depend on the other images. Adam trains G, 64 images a step.

    Nothing rules out G_p = F0 and G_n = 0, which makes this plain feature regularisation. So it
    reports negative_norm, |G_n| / |F0| over the training images (the mean over stages), and
    negative_accuracy, the accuracy of a linear classifier on the means of G_n, on validation images
    (or training images, if there are none). It is at chance if the rest is free of label
    information; on digits (chance 0.1) it was 0.61 to 0.70 with max_mmd, 0.77 to 0.84 with min_mi,
    and 0.79 to 0.87 without a criterion. The optimiser's weight decay is off, as in DELTA, whose
    0.01 on a sum over 64 images with a half corresponds to 0.32 here.

    Args:
        criterion: what separates the two parts: max_mmd, min_mi or both.
        stages: stages of the backbone whose maps are regularised.
        weight: pull to the target-relevant part of the source's maps.
        head: decay of the head.
        reconstruction: factor of the reconstruction error of the two parts together.
        disentanglement: factor of the criterion.
        steps: optimiser steps in which G is learnt.
        learning_rate: learning rate of Adam when learning G.
    """

    def learn(transfer: Transfer) -> tuple[dict[str, Tensor], dict[str, float]]:
        from torch import no_grad

        chosen, computed, kept = _readers(transfer, stages)
        tensors: dict[str, Tensor] = {}
        norms, train, held = [], [], []
        for place, index in enumerate(chosen):
            of_training = functools.partial(_at, kept, place)
            of_any = functools.partial(_at, computed, place)
            parts = _disentangled(
                transfer,
                of_training,
                index,
                criterion,
                reconstruction=reconstruction,
                disentanglement=disentanglement,
                steps=steps,
                learning_rate=learning_rate,
            )
            with no_grad():
                means, squares, whole = _rest(transfer.train, of_training, parts[1])
                others, _, _ = _rest(transfer.validation, of_any, parts[1])
            norms.append((squares / max(whole, 1e-30)) ** 0.5)
            train.append(means)
            held.append(others)
            tensors |= {
                f"{index}.{side}.{number}": tensor
                for side, layers in zip(SIDES, parts, strict=True)
                for number, tensor in enumerate(layers)
            }
        measured = {
            "negative_norm": sum(norms) / len(norms),
            "negative_accuracy": _probed(transfer, train, held),
        }
        return tensors, measured

    def prepare(student: Model, _: Transfer, learnt: dict[str, Tensor]) -> dict[int, Layers]:
        indices = sorted({int(name.partition(".")[0]) for name in learnt})
        return {
            index: [
                learnt[f"{index}.positive.{number}"].to(student.head.weight) for number in range(4)
            ]
            for index in indices
        }

    def penalty(view: View, parts: dict[int, Layers]) -> Tensor:
        decays = [parameter.square().sum() for parameter in view.student.head.parameters()]
        total = head / 2 * sum(decays[1:], start=decays[0])
        for index, layers in parts.items():
            maps = view.maps[index]
            away = (maps - part(layers, view.source_maps[index])).square().sum()
            total = total + weight * away / (len(maps) * maps.shape[2] * maps.shape[3])
        return total

    return Method(
        learn=learn,
        prepare=prepare,
        penalty=penalty,
        maps=True,
        decays=True,
        measures=("negative_norm", "negative_accuracy"),
    )


def _at(read: Read, place: int, rows: Tensor) -> Tensor:
    """The maps of one of the stages that `read` returns."""
    return read(rows)[place]


def part(layers: Layers, maps: Tensor) -> Tensor:
    """One side of G: maps [b, c, h, w] times a sigmoid gate, from two 1x1 convolutions of them."""
    from torch.nn.functional import conv2d

    first, bias, second, offset = layers
    return (
        maps
        * conv2d(
            conv2d(maps, first[:, :, None, None], bias).relu(), second[:, :, None, None], offset
        ).sigmoid()
    )


def mmd(left: Tensor, right: Tensor) -> Tensor:
    """The biased estimate of MMD^2 between two sets of rows [b, width].

    It is mean k(l, l') + mean k(r, r') - 2 mean k(l, r) with the kernel k(a, b) = sum_f
    exp(-|a - b|^2 / (2 f m)) for the factors f in `BANDWIDTHS`. m is the lower median of |a - b|^2
    over all pairs of different rows of both sets, without gradient.
    """
    from torch import cat, triu_indices

    rows, count = cat([left, right]), len(left)
    squares = rows.square().sum(1)
    distances = (squares[:, None] + squares - 2 * rows @ rows.T).clamp(min=0)
    upper = triu_indices(len(rows), len(rows), 1, device=rows.device)
    median = distances.detach()[upper[0], upper[1]].median().clamp(min=1e-12)
    kernels = [(-distances / (2 * factor * median)).exp() for factor in BANDWIDTHS]
    kernel = sum(kernels[1:], start=kernels[0])
    return (
        kernel[:count, :count].mean()
        + kernel[count:, count:].mean()
        - 2 * kernel[:count, count:].mean()
    )


def club(critic: Layers, given: Tensor, other: Tensor) -> Tensor:
    """CLUB's estimate of the mutual information of rows `given` and `other` [b, width].

    It is mean_i log q_ii - mean_ij log q_ij, where q_ij is the density of other_j under the normal
    distribution that the critic predicts from given_i.
    """
    mean, log_variance = _predicted(critic, given)
    matched = (other - mean).square()
    # The mean over j of |other_j - mean_i|^2, without forming the pairs.
    shuffled = other.var(0, correction=0) + (other.mean(0) - mean).square()
    return ((shuffled - matched) / (2 * log_variance.exp())).sum(1).mean()


def _predicted(critic: Layers, given: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the log variance, which is bounded to [-4, 4]."""
    from torch.nn.functional import linear

    first, bias, second, offset = critic
    mean, spread = linear(linear(given, first, bias).relu(), second, offset).chunk(2, 1)
    return mean, 4 * spread.tanh()


def _disentangled(
    transfer: Transfer,
    read: Callable[[Tensor], Tensor],
    index: int,
    criterion: str,
    *,
    reconstruction: float,
    disentanglement: float,
    steps: int,
    learning_rate: float,
) -> tuple[Layers, Layers]:
    """The two sides of G for one stage; `read` returns its maps of training images."""
    from torch import Generator
    from torch.nn.functional import cross_entropy, linear, normalize
    from torch.optim import Adam

    from tasks.batches import Batches

    size = _size(transfer.train, read)
    generator = Generator().manual_seed(transfer.seed("tred", index))
    like = read(transfer.train[:1])
    channels = like.shape[1]
    drawn = functools.partial(_drawn, generator=generator, like=like)
    sides = [drawn(channels, channels, channels) for _ in SIDES]
    head = drawn(channels, transfer.classes)
    critic = drawn(channels, channels, 2 * channels)
    batches = Batches(
        transfer.labels, transfer.train, BATCH, functools.partial(transfer.seed, "tred")
    )
    optimiser = Adam([features for group in (*sides, head) for features in group], lr=learning_rate)
    follower = Adam(critic, lr=learning_rate)
    for step in range(steps):
        rows = batches.batch(step)
        maps = read(rows) / size
        labels = transfer.labels[rows.to(transfer.labels.device)].to(maps.device)
        positive, negative = (part(side, maps) for side in sides)
        means = positive.mean((2, 3)), negative.mean((2, 3))
        loss = cross_entropy(linear(means[0], *head), labels)
        loss = loss + reconstruction * (maps - positive - negative).square().mean()
        if criterion in ("max_mmd", "both"):
            loss = loss - disentanglement * mmd(*(normalize(features, dim=1) for features in means))
        if criterion in ("min_mi", "both"):
            standard = [
                (features - features.mean(0)) / (features.var(0, correction=0) + 1e-6).sqrt()
                for features in means
            ]
            _followed(critic, follower, *(features.detach() for features in standard))
            loss = loss + disentanglement * club(critic, *standard)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    # Fold the scaling of the maps into the first weights, so that G takes unscaled maps.
    first, second = (
        [side[0].detach() / size, *(features.detach() for features in side[1:])] for side in sides
    )
    return first, second


def _followed(critic: Layers, optimiser: Any, given: Tensor, other: Tensor) -> None:
    """One maximum-likelihood step of the critic on predicting `other`."""
    mean, log_variance = _predicted(critic, given)
    loss = ((other - mean).square() / log_variance.exp() + log_variance).sum(1).mean() / 2
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def _drawn(*widths: int, generator: Generator, like: Tensor) -> Layers:
    """Trainable linear layers of these widths, initialised uniformly like torch's."""
    from torch import empty

    layers = []
    for before, after in itertools.pairwise(widths):
        for shape in ((after, before), (after,)):
            drawn = empty(shape, dtype=like.dtype).uniform_(
                -(before**-0.5), before**-0.5, generator=generator
            )
            layers.append(drawn.to(like.device).requires_grad_(True))
    return layers


def _readers(transfer: Transfer, stages: str) -> tuple[list[int], Read, Read]:
    """The stage indices, and readers of their maps: of any images, and of cached training images.

    If the maps of the training images do not fit in `MEMORY`, they are computed each time.
    """
    from torch import arange, cat, no_grad, zeros_like

    def every(rows: Tensor) -> list[Tensor]:
        assert transfer.source is not None
        with no_grad():
            return list(transfer.source.outputs(transfer.take(rows)[0], maps=True).maps)

    count = len(every(transfer.train[:1]))
    chosen = sorted({range(count)[index] for index in stage_indices(stages)})

    def computed(rows: Tensor) -> list[Tensor]:
        maps = every(rows)
        return [maps[index] for index in chosen]

    if (
        sum(features.nbytes for features in computed(transfer.train[:1])) * len(transfer.train)
        > MEMORY
    ):
        return chosen, computed, computed
    parts = [
        computed(transfer.train[start : start + CHUNK])
        for start in range(0, len(transfer.train), CHUNK)
    ]
    whole = [cat(side) for side in zip(*parts, strict=True)]
    places = zeros_like(transfer.labels)
    places[transfer.train.to(places.device)] = arange(len(transfer.train), device=places.device)

    def kept(rows: Tensor) -> list[Tensor]:
        at = places[rows.to(places.device)].to(whole[0].device)
        return [features[at] for features in whole]

    return chosen, computed, kept


def _size(rows: Tensor, read: Callable[[Tensor], Tensor]) -> float:
    """The root mean square of the maps at `rows`."""
    squares, count = 0.0, 0
    for start in range(0, len(rows), CHUNK):
        maps = read(rows[start : start + CHUNK])
        squares, count = squares + float(maps.double().square().sum()), count + maps.numel()
    return max(float((squares / max(count, 1)) ** 0.5), 1e-12)


def _rest(
    rows: Tensor, read: Callable[[Tensor], Tensor], negative: Layers
) -> tuple[ndarray, float, float]:
    """The means of G_n over positions [N, channels], |G_n|^2 and |F0|^2, at `rows`."""
    import numpy as np

    means, squares, whole = [np.zeros((0, len(negative[0])))], 0.0, 0.0
    for start in range(0, len(rows), CHUNK):
        maps = read(rows[start : start + CHUNK])
        rest = part(negative, maps)
        means.append(rest.mean((2, 3)).double().cpu().numpy())
        squares += float(rest.double().square().sum())
        whole += float(maps.double().square().sum())
    return np.concatenate(means), squares, whole


def _probed(transfer: Transfer, train: list[ndarray], held: list[ndarray]) -> float:
    """The accuracy of a logistic regression on the means of G_n, concatenated over the stages.

    They are scaled by one common factor, not per channel, which would amplify traces of the labels
    in channels that are almost zero.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    features, others = (np.concatenate(side, axis=1) for side in (train, held))
    labels, answers = (
        transfer.labels[rows.to(transfer.labels.device)].cpu().numpy()
        for rows in (transfer.train, transfer.validation)
    )
    if not len(answers):
        others, answers = features, labels
    if len(np.unique(labels)) == 1:
        return float((answers == labels[0]).mean())
    mean, spread = features.mean(0), max(float(features.var(0).mean()) ** 0.5, 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = LogisticRegression(max_iter=1000).fit((features - mean) / spread, labels)
    return float((probe.predict((others - mean) / spread) == answers).mean())
