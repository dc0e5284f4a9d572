"""DELTA: keep the feature maps that matter, weighted by attention (Li et al., ICLR 2019)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Choices, Later, Learnt, Method, Range, Stages, View, stage_indices

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from tasks.model import Model
    from tasks.transfer import Transfer

BATCH = 64
"""Images in a batch of the learning stage of the attention."""
MOMENTUM, DECAY, TENTH = 0.9, 1e-4, 6
"""Its head's momentum, weight decay, and epochs after which the learning rate falls to a tenth."""
SPREAD = 5
"""The divisor of standard scores before the softmax."""


def delta(
    weight: Annotated[float, Range(0, 1e4)] = 0.01,
    head: Annotated[float, Range(0, 1e4)] = 0.01,
    attention: Annotated[str, Choices(("learnt", "uniform"))] = "learnt",
    stages: Annotated[str, Stages(), Learnt()] = "-2,-1",
    *,
    head_epochs: Annotated[int, Range(1, 10_000), Learnt()] = 10,
    head_learning_rate: Annotated[float, Range(1e-8, 10), Learnt()] = 0.01,
    batches: Annotated[int, Range(1, 10_000), Learnt()] = 4,
    maps: Annotated[
        str,
        Choices(("stages", "convolutions"), needs={"convolutions": "convolutions"}),
        Learnt(),
        Later(),
    ] = "stages",
) -> Method:
    """Pulls feature maps to the source's, with an attention weight for each channel.

    Adds

        weight sum_stages sum_images 1/2 sum_c C a_c |F_c - F0_c|^2 / (h w)
        + head/2 (|W|^2 + |b|^2).

    F [B, C, h, w] are a stage's feature maps, F0 the frozen source's; W and b are the head, which
    decays towards zero. Images are summed, not averaged, as in the released code, so that the
    weight depends on the batch size, 64 there. The attention a sums to 1, so that a uniform one
    gives each channel the factor 1. The optimiser's weight decay is off. The paper takes the last
    convolution of all four stages of a ResNet, before batch norm: `maps: convolutions` and `stages:
    1,2,3,4`. By default it is the outputs of the last two stages.

    The attention is learnt on the target's training images from the source's frozen backbone in
    evaluation mode. A linear head is trained on its features by SGD, starting at zero; then each
    channel in turn is set to zero and the increase of the cross-entropy recorded. a = softmax(z /
    5) over the channels of a stage, for the standard scores z of the increases.

    Args:
        weight: factor of the term.
        head: decay of the head.
        attention: learnt for each channel, or uniform.
        stages: the stages that are compared, by number; -1 is the last.
        head_epochs: epochs of the linear head with which the attention is learnt.
        head_learning_rate: initial learning rate of that head.
        batches: batches of 64 images over which a channel's increase is averaged.
        maps: what is compared of a stage: its output, or as in the paper its last convolution.
    """
    indices, of_convolutions = stage_indices(stages), maps == "convolutions"

    def learn(transfer: Transfer) -> tuple[dict[str, Tensor], dict[str, float]]:
        from torch import arange, no_grad, stack

        from tasks.batches import Batches

        source = transfer.source
        assert source is not None
        assert not source.training, "a backbone in train mode would follow the batch's statistics"
        labels = transfer.labels[transfer.train.to(transfer.labels.device)].to(transfer.device)
        batch = Batches(labels, arange(len(labels)), BATCH, transfer.seed).batch
        features = _features(source, transfer)
        model = source.with_head(
            _head(
                features,
                labels,
                transfer.classes,
                batch,
                epochs=head_epochs,
                rate=head_learning_rate,
            )
        )
        with no_grad():
            taken = [
                transfer.take(transfer.train[batch(number).to(transfer.train.device)])
                for number in range(batches)
            ]
            increases = [
                stack(
                    [
                        _increases(model, index, *layer, convolution=of_convolutions)
                        for layer in taken
                    ]
                ).mean(0)
                for index in indices
            ]
            correct = (model.head(features).argmax(1) == labels).float().mean().item()
        shares = [_shares(layer) for layer in increases]
        measured = {
            "head_accuracy": correct,
            "largest_factor": max(len(layer) * layer.max().item() for layer in shares),
        }
        return {f"attention {place}": layer for place, layer in enumerate(shares)}, measured

    def prepare(
        _: Model, __: Transfer, learnt: dict[str, Tensor] | None
    ) -> tuple[Tensor | None, ...]:
        if attention == "uniform":
            return (None,) * len(indices)
        assert learnt is not None
        return tuple(
            len(layer) * layer
            for layer in (learnt[f"attention {place}"] for place in range(len(indices)))
        )

    def penalty(view: View, factors: tuple[Tensor | None, ...]) -> Tensor:
        squares = [parameter.square().sum() for parameter in view.student.head.parameters()]
        total = head / 2 * sum(squares[1:], start=squares[0])
        pair = (
            (view.convolutions, view.source_convolutions)
            if of_convolutions
            else (view.maps, view.source_maps)
        )
        for index, factor in zip(indices, factors, strict=True):
            away = (pair[0][index] - pair[1][index]).square().mean((2, 3))
            total = total + weight / 2 * (away if factor is None else away * factor).sum()
        return total

    return Method(
        learn=learn if attention == "learnt" else None,
        measures=("head_accuracy", "largest_factor"),
        prepare=prepare,
        penalty=penalty,
        maps=not of_convolutions,
        convolutions=of_convolutions,
        decays=True,
    )


def _features(source: Model, transfer: Transfer) -> Tensor:
    """The source's features of the training images, [N, width]."""
    from torch import cat, no_grad

    with no_grad():
        return cat([source(transfer.take(rows)[0])[0] for rows in transfer.train.split(BATCH)])


def _head(
    features: Tensor,
    labels: Tensor,
    classes: int,
    batch: Callable[[int], Tensor],
    *,
    epochs: int,
    rate: float,
) -> nn.Linear:
    """A linear head trained on features from zero: softmax regression is convex."""
    from torch import nn, optim
    from torch.nn.functional import cross_entropy

    head: nn.Linear = nn.utils.skip_init(
        nn.Linear, features.shape[1], classes, device=features.device, dtype=features.dtype
    )
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimiser = optim.SGD(head.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=DECAY)
    steps = max(1, len(labels) // BATCH)
    for step in range(epochs * steps):
        optimiser.param_groups[0]["lr"] = rate * 0.1 ** (step // steps / TENTH)
        rows = batch(step).to(features.device)
        optimiser.zero_grad()
        cross_entropy(head(features[rows]), labels[rows]).backward()
        optimiser.step()
    return head.requires_grad_(False)


def _increases(
    model: Model, stage: int, images: Tensor, labels: Tensor, *, convolution: bool = False
) -> Tensor:
    """The increase of the cross-entropy when a channel of a stage is set to zero, [C]."""
    from torch import allclose, stack
    from torch.nn.functional import cross_entropy

    kept: list[tuple[Tensor, int]] = []
    # A copy: later layers may work in place.
    changed = functools.partial(model.changed, stage, convolution=convolution)
    with changed(lambda output, channels: kept.append((output.clone(), channels))):
        logits = model(images)[1]
    whole, channels = kept[0]

    def logits_after(output: Tensor, images: Tensor) -> Tensor:
        with changed(lambda _, __: output.clone()):
            logits: Tensor = model(images)[1]
            return logits

    # Later layers see only the replaced output, so that one image is enough as input and a channel
    # costs a fraction of a forward pass. If a path bypasses the stage, all images must go through.
    again = logits_after(whole, images[:1])
    few = (
        images[:1] if again.shape == logits.shape and allclose(again, logits, atol=1e-5) else images
    )
    increases = []
    for channel in range(whole.shape[channels]):
        without = whole.clone()
        without.select(channels, channel).zero_()
        increases.append(
            cross_entropy(logits_after(without, few), labels) - cross_entropy(logits, labels)
        )
    return stack(increases)


def _shares(increases: Tensor) -> Tensor:
    """softmax(z / 5) of the standard scores z of increases [C]; uniform if all are equal."""
    spread = increases.std(correction=0)
    return ((increases - increases.mean()) / (spread if spread > 0 else 1) / SPREAD).softmax(0)
