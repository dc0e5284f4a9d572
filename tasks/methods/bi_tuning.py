"""Bi-Tuning: contrast with keys of the same and of other classes (Zhong et al., 2020).

arXiv:2011.06182.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any, cast

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer

    class Contrast(torch.nn.Module):
        """What `prepare` returns: a plain module, so that a checkpoint keeps what is in it."""

        projector: nn.Linear
        encoder: Model
        key_projector: nn.Linear
        features: Tensor
        """Keys [classes, K, width + 1]."""
        projections: Tensor
        """Keys [classes, K, projection]."""
        next: Tensor
        """The position of the next key of each class, [classes]."""


def bi_tuning(
    weight: Annotated[float, Range(0, 1e4)] = 1.0,
    temperature: Annotated[float, Range(1e-3, 1e2)] = 0.07,
    keys: Annotated[int, Range(1, 100_000)] = 40,
    momentum: Annotated[float, Range(0, 1)] = 0.999,
    *,
    projection: Annotated[int, Range(1, 65_536)] = 128,
) -> Method:
    """Contrasts images with keys of their own class and of others, in two spaces.

    Adds weight (L_y + L_z), each the mean over the batch of

        -1/(K+1) sum_p log(exp(a_p/T) / sum_j exp(a_j/T)),

    where j runs over 1 + C K keys: that of the image itself and the last K of each class; p runs
    over the K + 1 keys of its own class.

    Classifier side, L_y: a = w_y . h, where w_y is the weights and bias of the label's class and h
    the features with a 1 appended, both of length one; the image's own h is the student's, the
    others are keys. Projector side, L_z: a = z . z_key, where z is a linear projection of the
    features, of length one.

    The key encoder makes the keys. It follows the student and its projector: k <- momentum k + (1 -
    momentum) student before each batch; the batch's keys then replace the oldest of their class. As
    in TLL, K = 40, w_y gets no gradient from L_y, and query and key are two views of an image, by
    the training's `augmentation` (the same view without one). In TLL, L_y, unlike L_z, already sees
    the batch's keys. Queues start with random directions, and keep them for a class without images.
    The key encoder's batch norm is in train mode if the student's is, as in MoCo and TLL, so that
    keys are normalised like the student's features. Its dropout is off.

    Args:
        weight: factor of the two terms.
        temperature: T.
        keys: K, the number of keys kept for each class.
        momentum: how slowly the key encoder follows the student.
        projection: width of z.
    """

    def prepare(student: Model, transfer: Transfer, _: Any) -> Contrast:
        from torch import Generator, nn, randn
        from torch.nn.functional import normalize

        generator = Generator().manual_seed(transfer.seed("bi_tuning"))
        contrast, like = cast("Contrast", nn.Module()), student.head.weight
        contrast.projector = nn.utils.skip_init(
            nn.Linear, student.width, projection, device=like.device, dtype=like.dtype
        )
        # The default initialisation of a linear layer, but from a seeded generator.
        bound = student.width**-0.5
        for parameter in contrast.projector.parameters():
            drawn = parameter.detach().cpu().uniform_(-bound, bound, generator=generator)
            parameter.data.copy_(drawn)
        contrast.encoder = copy.deepcopy(student).requires_grad_(False).eval()
        contrast.key_projector = copy.deepcopy(contrast.projector).requires_grad_(False)
        for name, width in (("features", student.width + 1), ("projections", projection)):
            drawn = randn(transfer.classes, keys, width, generator=generator, dtype=like.dtype)
            contrast.register_buffer(name, normalize(drawn, dim=2).to(like.device))
        contrast.register_buffer("next", like.new_zeros(transfer.classes).long())
        return contrast

    def penalty(view: View, contrast: Contrast) -> Tensor:
        from torch import cat
        from torch.nn.functional import normalize

        labels, head = view.labels, view.student.head
        _follow(contrast, view.student, momentum)
        key, projected_key = _keys(view, contrast)
        feature = _extended(view.features)
        projected = normalize(contrast.projector(view.features), dim=1)
        classifier = normalize(cat([head.weight, head.bias[:, None]], 1).detach(), dim=1)[labels]
        term = _contrast(
            (feature * classifier).sum(1),
            classifier,
            contrast.features,
            labels,
            temperature=temperature,
        ) + _contrast(
            (projected * projected_key).sum(1),
            projected,
            contrast.projections,
            labels,
            temperature=temperature,
        )
        _enqueue(contrast, key, projected_key, labels)
        return weight * term

    return Method(prepare=prepare, penalty=penalty, reads_labels=True)


def _contrast(
    own: Tensor, queries: Tensor, queues: Tensor, labels: Tensor, *, temperature: float
) -> Tensor:
    """The mean cross-entropy over all keys to a uniform target on the keys of the image's class.

    Args:
        own: the similarity to the image's own key, [B].
        queries: the vectors that are compared with keys, [B, width].
        queues: the keys, [classes, K, width].
        labels: the classes, [B].
        temperature: T.
    """
    from torch import arange, cat

    # A copy: the queues are overwritten before the backward pass needs them.
    likeness = queries @ queues.flatten(0, 1).clone().T / temperature
    others: Tensor = likeness.unflatten(1, queues.shape[:2])
    own = own / temperature
    positive = (own + others[arange(len(labels), device=labels.device), labels].sum(1)) / (
        queues.shape[1] + 1
    )
    return (cat([own[:, None], others.flatten(1)], 1).logsumexp(1) - positive).mean()


def _follow(contrast: Contrast, student: Model, momentum: float) -> None:
    """Updates encoder and projector of the keys: k <- momentum k + (1 - momentum) student."""
    from torch import no_grad

    with no_grad():
        for follower, leader in (
            (contrast.encoder, student),
            (contrast.key_projector, contrast.projector),
        ):
            for key, parameter in zip(follower.parameters(), leader.parameters(), strict=True):
                key.lerp_(parameter, 1 - momentum)
        for follower_norm, norm in zip(contrast.encoder.norms(), student.norms(), strict=True):
            follower_norm.train(norm.training)


def _keys(view: View, contrast: Contrast) -> tuple[Tensor, Tensor]:
    """The batch's keys of length one: [features, 1], [B, width + 1], and projections."""
    from torch import no_grad
    from torch.nn.functional import normalize
    from torch.random import fork_rng

    device = view.images.device
    # Some norm layers draw random numbers: the fork keeps them from changing the student's.
    with no_grad(), fork_rng([device] if device.type == "cuda" else []):
        features = view.run(contrast.encoder, other=True).features
        return _extended(features), normalize(contrast.key_projector(features), dim=1)


def _extended(features: Tensor) -> Tensor:
    """Features with a 1 appended for the bias, normalised to length one."""
    from torch import cat
    from torch.nn.functional import normalize

    return normalize(cat([features, features.new_ones(len(features), 1)], 1), dim=1)


def _enqueue(contrast: Contrast, key: Tensor, projected_key: Tensor, labels: Tensor) -> None:
    """Replaces the oldest keys of each class by the batch's, in the order of the batch."""
    from torch.nn.functional import one_hot

    count = contrast.features.shape[1]
    of_class = one_hot(labels, len(contrast.next))
    totals = of_class.sum(0)
    # For each image, how many of its class come before it in the batch.
    before = of_class.cumsum(0).gather(1, labels[:, None])[:, 0] - 1
    place = (contrast.next[labels] + before) % count
    if len(labels) > count:  # of more than K images of a class, keep the last K
        lasting = before >= totals[labels] - count
        key, projected_key, labels, place = (
            key[lasting],
            projected_key[lasting],
            labels[lasting],
            place[lasting],
        )
    contrast.features[labels, place] = key
    contrast.projections[labels, place] = projected_key
    contrast.next.copy_((contrast.next + totals) % count)
