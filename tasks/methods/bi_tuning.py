"""Bi-Tuning: contrast with keys of the same class and of others (Zhong et al., 2020, arXiv:2011.06182)."""

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
        """What `prepare` makes: modules and buffers of a plain module, so that a checkpoint keeps them."""

        projector: nn.Linear
        encoder: Model
        key_projector: nn.Linear
        features: Tensor
        """Keys [classes, K, width + 1]."""
        projections: Tensor
        """Keys [classes, K, projection]."""
        next: Tensor
        """Where the next key of each class goes, [classes]."""


def bi_tuning(
    weight: Annotated[float, Range(0, 1e4)] = 1.0,
    temperature: Annotated[float, Range(1e-3, 1e2)] = 0.07,
    keys: Annotated[int, Range(1, 100_000)] = 40,
    momentum: Annotated[float, Range(0, 1)] = 0.999,
    *,
    projection: Annotated[int, Range(1, 65_536)] = 128,
) -> Method:
    """Adds  weight (L_y + L_z), each the mean over the batch of  -1/(K+1) sum_p log(exp(a_p/T) / sum_j exp(a_j/T)).

    j runs over 1 + C K keys: that of the image itself and the last K of each class; p over the K +
    1 of its own class. Classifier side, L_y: a = w_y . h with w_y the weights and bias of the
    label's class, h the features and a 1, both of length one; the image's own h is the student's,
    the others are keys. Projector side, L_z: a = z . z_key with z a linear projection of the
    features, of length one.

    Keys are of the key encoder, which follows the student and its projector: k <- momentum k + (1 -
    momentum) student before each batch; the batch's keys then replace the oldest of their class. As
    in TLL, K = 40 and w_y gets no gradient from L_y. In TLL query and key are two random views of
    an image, here the same image; and its L_y, unlike its L_z, sees the batch's keys already.
    Queues start with random directions, and so stay for a class without images. The key encoder's
    batch norm is in train mode where the student's is, as in MoCo and TLL: keys are normalised as
    the student's features are. Its dropout is off.

    Args:
        weight: factor of the two terms.
        temperature: T.
        keys: K, keys that are kept of each class.
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
        # As a linear layer draws by itself, but from a generator of our own
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

    return Method(prepare=prepare, penalty=penalty)


def _contrast(
    own: Tensor, queries: Tensor, queues: Tensor, labels: Tensor, *, temperature: float
) -> Tensor:
    """The mean cross-entropy to equal shares for the image's own key and its class's, among all keys.

    Args:
        own: the likeness to the image's own key, [B].
        queries: what is compared with keys, [B, width].
        queues: keys, [classes, K, width].
        labels: classes, [B].
        temperature: T.
    """
    from torch import arange, cat

    # The queues are written to after this, while the gradient still needs what they held.
    likeness = queries @ queues.flatten(0, 1).clone().T / temperature
    others: Tensor = likeness.unflatten(1, queues.shape[:2])
    own = own / temperature
    positive = (own + others[arange(len(labels), device=labels.device), labels].sum(1)) / (
        queues.shape[1] + 1
    )
    return (cat([own[:, None], others.flatten(1)], 1).logsumexp(1) - positive).mean()


def _follow(contrast: Contrast, student: Model, momentum: float) -> None:
    """Moves the keys' weights: k <- momentum k + (1 - momentum) student, over the weights of encoder and projector."""
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
    """The batch's keys: features with a 1, [B, width + 1], and projections, [B, projection]; of length one."""
    from torch import no_grad
    from torch.nn.functional import normalize
    from torch.random import fork_rng

    device = view.images.device
    # Some norm layers draw at random: without the fork the student would draw otherwise afterwards.
    with no_grad(), fork_rng([device] if device.type == "cuda" else []):
        features = view.run(contrast.encoder).features
        return _extended(features), normalize(contrast.key_projector(features), dim=1)


def _extended(features: Tensor) -> Tensor:
    """Features with a 1 for the bias, of length one."""
    from torch import cat
    from torch.nn.functional import normalize

    return normalize(cat([features, features.new_ones(len(features), 1)], 1), dim=1)


def _enqueue(contrast: Contrast, key: Tensor, projected_key: Tensor, labels: Tensor) -> None:
    """Puts the batch's keys in the place of the oldest of their class, in the order of the batch."""
    from torch.nn.functional import one_hot

    count = contrast.features.shape[1]
    of_class = one_hot(labels, len(contrast.next))
    totals = of_class.sum(0)
    # Images of the same class before it in the batch
    before = of_class.cumsum(0).gather(1, labels[:, None])[:, 0] - 1
    place = (contrast.next[labels] + before) % count
    if len(labels) > count:  # of more than K images of a class the last K stay
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
