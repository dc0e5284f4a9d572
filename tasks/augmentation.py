"""Random changes of training images, and the views of an image that is measured."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, final

from tasks import cache, calls
from tasks.calls import Refused

if TYPE_CHECKING:
    from torch import Tensor

    Change = Callable[[Tensor], Tensor]
    """Makes one batch of images [B, C, H, W] of another."""

NONE = "none"
PRESETS = {
    NONE: "the images as they are",
    "flip_crop": "a part of 8 to 100 % of the area, of any aspect from 3/4 to 4/3, half of them "
    "mirrored; arguments scale, ratio, flip",
    "office_home": "a part of 70 to 100 % of the area, half of them mirrored, a tenth grey, the "
    "colours jittered by 0.3 (the code released by the authors of Holistic Transfer)",
    "randaugment": "two random changes of strength 9 of 31 (Cubuk et al., NeurIPS 2020); "
    "arguments num_ops, magnitude",
    "digits": "shifted by up to a tenth of the side; for characters, which have no mirror image",
}
MIXING = {"MixUp": "`mixup: 0.2`", "CutMix": "`cutmix: 1.0`"}
"""Transforms of torchvision that are settings of their own."""
RESIZE, CENTER_CROP, TEN_CROP = "resize", "center_crop", "ten_crop"
VIEWS = {
    RESIZE: "the whole image",
    CENTER_CROP: "the central 87.5 % of each side, as 224 of 256 pixels; argument share",
    TEN_CROP: "the mean logits of the corners and the centre, each also mirrored; argument share",
}
COLOURFUL = {
    "office_home": "its saturation, hue and grey images",
    "Grayscale": "its whole effect",
    "RandomGrayscale": "its whole effect",
    "RandomChannelPermutation": "its whole effect",
    "RandomPhotometricDistort": "its saturation and hue",
}
"""Changes that need three channels -> what of them has no effect on one."""


@final
class Augmentation:
    """Changes batches of images [B, C, H, W] at random, each image by a draw of its own.

    The draws come from torch's generator. Presets (made of kornia's changes of whole batches),
    transforms of `torchvision.transforms.v2` and a user's `module:function`, which is given the
    whole batch, follow one another.
    """

    def __init__(self, text: str, size: int) -> None:
        """`text` names the changes; a transform without its `size` is given `size` pixels a side.

        Raises:
            Refused: a name is unknown, or the arguments are.
        """
        self._changes = [change for call in calls.read(text) for change in _changes(call, size)]

    def __call__(self, images: Tensor) -> Tensor:
        """The changed batch, of the same shape."""
        for change in self._changes:
            images = change(images)
        return images


@final
class Views:
    """A model that is measured on the views `text` of each image; their logits are averaged."""

    def __init__(self, model: Any, text: str) -> None:
        self._model, call = model, calls.read(text)[0]
        self._share = _bound(_share, call)
        self._ten = call.name == TEN_CROP

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, width] and logits [B, classes], the means over the views."""
        import torch

        outputs = [self._model(view) for view in self._of(images)]
        features, logits = (torch.stack(side).mean(0) for side in zip(*outputs, strict=True))
        return features, logits

    def _of(self, images: Tensor) -> Sequence[Tensor]:
        from torchvision.transforms.v2 import functional

        height, width = images.shape[-2:]
        size = [max(1, round(self._share * side)) for side in (height, width)]
        crops = (
            functional.ten_crop(images, size)
            if self._ten
            else [functional.center_crop(images, size)]
        )
        return [functional.resize(crop, [height, width], antialias=True) for crop in crops]


@functools.cache
def problem(text: str, channels: int, size: int) -> str | None:
    """What is wrong with an augmentation of images [channels, size, size], or None; tries it."""
    if text == NONE:
        return None
    if ":" in text:  # a user's own may change from one process to the next
        return _probe(text, channels, size)
    versions = [version(name) for name in ("torch", "torchvision", "kornia")]
    key = ["augmentation", *versions, text, channels, size]
    wrong: str | None = cache.remembered(key, lambda: _probe(text, channels, size))
    return wrong


def view_problem(text: str) -> str | None:
    """What is wrong with the name or the arguments of the views that are measured, or None."""
    try:
        (call,) = calls.read(text)
        if call.name not in VIEWS:
            raise Refused(f"got {text!r}; known: {', '.join(VIEWS)}")
        share = 1.0 if call.name == RESIZE else _bound(_share, call)
        if call.name == RESIZE and (call.values or call.named):
            raise Refused("'resize' has no arguments")
        if not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise Refused(f"got share={share!r}; give a share of the side, above 0 and at most 1")
    except Refused as error:
        return str(error)
    except ValueError:
        return f"got {text!r}; give one of {', '.join(VIEWS)}"
    return None


def _share(share: float = 0.875) -> float:
    return share


def _bound(function: Callable[..., Any], call: calls.Call) -> Any:
    """What the function returns for the call's arguments."""
    try:
        inspect.signature(function).bind(*call.values, **call.named)
    except TypeError as error:
        raise Refused(
            f"'{call}': {error}; it takes {', '.join(inspect.signature(function).parameters)}"
        ) from error
    return function(*call.values, **call.named)


def _changes(call: calls.Call, size: int) -> list[Change]:
    presets: dict[str, Callable[..., list[Change]]] = {
        "flip_crop": _flip_crop,
        "office_home": _office_home,
        "digits": _digits,
    }
    if call.name == NONE:
        return []
    if call.name in presets:
        return [_as_float, *_bound(functools.partial(presets[call.name], size), call)]
    if call.name == "randaugment":
        return [_each(calls.Call("RandAugment", call.values, call.named), size)]
    if ":" in call.name:
        function: Change = calls.own(call.name)
        if not call.values and not call.named:
            return [function]
        return [lambda images: function(images, *call.values, **call.named)]
    return [_each(call, size)]


def _as_float(images: Tensor) -> Tensor:
    from tasks.model import as_float

    return as_float(images)


def _flip_crop(
    size: int,
    scale: Sequence[float] = (0.08, 1.0),
    ratio: Sequence[float] = (3 / 4, 4 / 3),
    flip: float = 0.5,
) -> list[Change]:
    from kornia import augmentation

    shape = (size, size)
    return [
        augmentation.RandomResizedCrop(shape, tuple(scale), tuple(ratio), p=1.0),
        augmentation.RandomHorizontalFlip(p=flip),
    ]


def _office_home(size: int) -> list[Change]:
    from kornia import augmentation

    return [
        *_flip_crop(size, scale=(0.7, 1.0)),
        augmentation.ColorJiggle(0.3, 0.3, 0.3, 0.3, p=1.0),
        augmentation.RandomGrayscale(p=0.1),
    ]


def _digits(_: int, shift: float = 0.1) -> list[Change]:
    from kornia import augmentation

    return [augmentation.RandomAffine(0.0, translate=(shift, shift), p=1.0)]


def _each(call: calls.Call, size: int) -> Change:
    """A transform of torchvision as a change of batches that draws for each image."""
    import torch
    from torchvision.transforms import v2

    if call.name in MIXING:
        raise Refused(
            f"'{call.name}' mixes labels too: give {MIXING[call.name]} as a setting of its own"
        )
    kind = vars(v2).get(call.name)
    if not (inspect.isclass(kind) and issubclass(kind, v2.Transform)):
        known = [
            name
            for name, each in vars(v2).items()
            if inspect.isclass(each) and issubclass(each, v2.Transform) and each is not v2.Transform
        ]
        near = difflib.get_close_matches(call.name, [*PRESETS, *known], n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise Refused(
            f"no transform '{call.name}'; {hint}known: {', '.join(PRESETS)}, those of "
            "torchvision.transforms.v2, or your own as module:function"
        )
    parameters = inspect.signature(kind).parameters
    named = dict(call.named)
    if "size" in parameters and "size" not in named and not call.values:
        named["size"] = (size, size)
    if "antialias" in parameters:
        named.setdefault("antialias", True)
    transform = _bound(kind, calls.Call(call.name, call.values, named))
    same = type(transform).make_params is v2.Transform.make_params
    plain = type(transform).forward is v2.Transform.forward
    if same and plain:  # nothing is drawn
        return transform  # type: ignore[no-any-return]
    base = next(each for each in v2.RandomHorizontalFlip.__mro__ if "forward" in vars(each))
    if same and isinstance(transform, base) and type(transform).forward is base.forward:

        def some(images: Tensor) -> Tensor:
            chosen = torch.rand(len(images)).to(images.device) < transform.p
            changed = images.clone()
            changed[chosen] = transform.transform(images[chosen], {})
            return changed

        return some
    return lambda images: torch.stack([transform(image) for image in images])


def _probe(text: str, channels: int, size: int) -> str | None:
    import torch

    try:
        if channels == 1:
            _need_colours(text)
        augmentation = Augmentation(text, size)
        images = torch.randint(
            256, (4, channels, size, size), generator=torch.Generator().manual_seed(0)
        ).to(torch.uint8)
        with torch.random.fork_rng([]):
            made = augmentation(images.clone())
    except Refused as error:
        return str(error)
    except Exception as error:  # torchvision, or a user's module, may raise anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{text!r} cannot change images [{channels}, {size}, {size}]: {first}"
    if not isinstance(made, torch.Tensor) or made.shape != images.shape:
        shape = list(made.shape[1:]) if isinstance(made, torch.Tensor) else type(made).__name__
        return (
            f"{text!r} makes {shape} of images [{channels}, {size}, {size}]; the images must keep "
            "their shape"
        )
    if made.dtype != torch.uint8 and not (
        made.is_floating_point() and float(made.min()) >= 0 and float(made.max()) <= 1
    ):
        return (
            f"{text!r} makes images of type {made.dtype} with values from {float(made.min()):.3g} "
            f"to {float(made.max()):.3g}; leave them uint8, or make them floats in [0, 1] "
            "(pretrained backbones normalise images themselves)"
        )
    return None


def _need_colours(text: str) -> None:
    """Raises `Refused` if a change needs three channels."""
    for call in calls.read(text):
        lost = COLOURFUL.get(call.name)
        if call.name == "ColorJitter":
            names = ("brightness", "contrast", "saturation", "hue")
            values = dict(zip(names, call.values, strict=False))
            given = [name for name in ("saturation", "hue") if (values | call.named).get(name)]
            lost = f"its {' and '.join(given)}" if given else None
        if lost:
            raise Refused(
                f"'{call.name}' needs images of three channels, but these have one, on which "
                f"{lost} would change nothing; leave it out"
            )
