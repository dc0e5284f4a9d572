"""Heads made of class names by CLIP's text encoder (Radford et al., ICML 2021, arXiv:2103.00020).

The weights are a folder as open_clip publishes models: `open_clip_config.json` beside a file of
weights. The image encoder becomes a timm model with CLIP's projection after it; open_clip itself is
imported only to read the text, and to check once per machine that both encoders agree.
"""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tasks import cache, checkpoints, timm_models
from tasks.data import contents

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model

CONFIG = "open_clip_config.json"
WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
"""The file of weights in a folder: the first of these that is there, as open_clip chooses."""
TEMPLATES = ("a photo of a {}.",)
"""CLIP's basic prompt; its ensembles are lists of up to 80 for each data set."""
MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the images that OpenAI trained on; open_clip's default where a folder names none."""
CLOSE = 1e-4
"""The largest difference between embeddings of length one that counts as none."""


class Unusable(ValueError):
    """A folder cannot give a model or a head; the message says why, and what to do."""


def is_folder(name: object) -> bool:
    """Whether the weights `name`, which a user may have given any value, are a model's folder."""
    try:
        return isinstance(name, str) and bool(name) and (Path(name).expanduser() / CONFIG).is_file()
    except (OSError, RuntimeError):  # a name that no file may have, or `~` of nobody
        return False


def meaning(name: str) -> str:
    """The digest of the folder's config and weights."""
    folder = Path(name).expanduser()
    files = [folder / CONFIG, _file(folder)]
    return contents.named((file.suffix, contents.digest(file)) for file in files)


def words(classes: Sequence[str]) -> list[str]:
    """The names of classes as text: underscores become spaces."""
    return [" ".join(name.split("_")).strip() for name in classes]


def names_problem(names: Sequence[Any], classes: Sequence[str]) -> str | None:
    """What is wrong with the `names` of a data set's classes, or None."""
    given = list(names) == words(classes)
    if len(names) != len(classes):
        return (
            f"got {len(names)} names for {len(classes)} classes; give one for each, in the order "
            f"of {_some(classes)}"
        )
    odd = [name for name in names if not isinstance(name, str) or not name.strip()]
    if odd:
        return f"got {odd[0]!r}; give each class a name in words, as text"
    lost = [name for name in names if not re.search(r"[^\W\d_]", name) or _of_wordnet(name)]
    if given and lost:
        return (
            f"the classes {_some(lost)} have no names in words, of which the text encoder could "
            f"know anything; give class_names, one for each of the {len(classes)} classes in this "
            "order"
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        return f"{_some(twice)} is the name of several classes, which would get the same row"
    return None


def templates_problem(templates: Sequence[Any]) -> str | None:
    """What is wrong with the prompts, or None."""
    if not templates:
        return f"got none; give at least one, such as {TEMPLATES[0]!r}"
    for text in templates:
        if not isinstance(text, str) or text.replace("{}", "", 1).count("{") or "{}" not in text:
            return f"got {text!r}; give texts with {{}} once, where the name of a class belongs"
    return None


def problem(
    backbone: str, name: str, image_size: int, names: Sequence[str], templates: Sequence[str]
) -> tuple[str, str] | None:
    """(key, what is wrong) if no head can be made of these, or None; tries it once per machine."""
    if importlib.util.find_spec("open_clip") is None:
        return "head", (
            "'text' needs the package open_clip, which is not installed (pip install "
            "'htsweep[clip]')"
        )
    if not is_folder(name):
        return "weights", (
            f"head 'text' needs a folder with {CONFIG} and a file of weights, as open_clip "
            f"publishes models, but got {name!r}; give the folder of a model that was downloaded"
        )
    folder = Path(name).expanduser()
    try:
        question = [
            "text head",
            version("open_clip_torch"),
            *timm_models.versions(),
            meaning(name),
            backbone,
            image_size,
            list(names),
            list(templates),
        ]
    except Unusable as error:
        return "weights", str(error)

    def ask() -> list[str] | None:
        try:
            _check(backbone, folder, image_size, names, templates)
        except _Wrong as error:
            return [error.key, str(error)]
        except Unusable as error:
            return ["weights", str(error)]
        except Exception as error:  # open_clip and timm may raise anything about odd files
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            return ["weights", f"the CLIP model in {folder} cannot be used: {first}"]
        return None

    found = cache.remembered(question, ask)
    return None if found is None else (found[0], found[1])


def untrained(backbone: str, name: str, classes: int) -> Model:
    """The model of a folder's architecture, its weights drawn at random; open_clip is not read.

    Features are embeddings of length one, [B, D], and the head is linear without normalising.
    """
    from torch import channels_last, nn

    from tasks.model import Fitted, Model, Normalised, Projected

    config = _config(Path(name).expanduser())
    about, vision = config.get("preprocess_cfg", {}), config["model_cfg"]["vision_cfg"]
    width = int(config["model_cfg"]["embed_dim"])
    trunk = _trunk(backbone, vision)
    features = timm_models.width(trunk)
    if not _projects(vision) and features != width:
        raise Unusable(f"its image encoder gives {features} features, not {width}")
    backbone_module = nn.Sequential(
        Fitted(about.get("mean", MEAN), about.get("std", SPREAD), _size(vision)),
        trunk,
        Projected(features, width) if _projects(vision) else Normalised(),
    )
    model = Model(backbone_module, nn.Linear(width, classes), timm_models.tap, timm_models.stages)
    return model.to(memory_format=channels_last)


def zero_shot(backbone: str, name: str, names: Sequence[str], templates: Sequence[str]) -> Model:
    """The model with CLIP's weights, and a head whose rows are the embedded names of classes.

    Row c is s t_c / |t_c|, where t_c is the mean over the templates of the text's embeddings of
    length one, and s CLIP's logit scale (a factor of 100 in OpenAI's models): so the logits are
    those of CLIP's zero-shot classifier (section 3.1.4 of the paper). Biases are zero, or SigLIP's
    (Zhai et al., ICCV 2023, arXiv:2303.15343), the same for all classes. In training the rows move
    with the head, and s in them; `frozen_classifier` keeps both.
    """
    import torch

    clip, tokenizer = _load(Path(name).expanduser())
    model = untrained(backbone, name, len(names))
    _fill(model.backbone, clip)
    with torch.no_grad():
        model.head.weight.copy_(_rows(clip, tokenizer, names, templates))
        bias = getattr(clip, "logit_bias", None)
        model.head.bias.fill_(0.0 if bias is None else float(bias))
    return model


@final
class _Wrong(Unusable):
    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def _check(
    backbone: str, folder: Path, image_size: int, names: Sequence[str], templates: Sequence[str]
) -> None:
    """Raises if the folder's model, the backbone and the texts do not go together."""
    import torch
    from torch import nn

    config = _config(folder)
    vision, text = config["model_cfg"]["vision_cfg"], config["model_cfg"]["text_cfg"]
    if text.get("hf_model_name") or text.get("hf_tokenizer_name"):
        raise Unusable(
            f"the CLIP model in {folder} reads text by a tokenizer of transformers, which this "
            "program does not use; take a model with CLIP's own"
        )
    named = vision.get("timm_model_name")
    if named and named.partition(".")[0] != backbone.partition(".")[0]:
        raise _Wrong(
            "backbone", f"the CLIP model in {folder} has the image encoder {named}; take that"
        )
    if image_size != _size(vision):
        raise _Wrong(
            "image_size",
            f"got {image_size}, but the CLIP model in {folder} takes {_size(vision)} pixels",
        )
    clip, tokenizer = _load(folder)
    model = untrained(backbone, str(folder), len(names)).eval()
    _fill(model.backbone, clip)
    images = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
    assert isinstance(model.backbone, nn.Sequential)
    with torch.no_grad():
        theirs = clip.encode_image(images, normalize=True)
        away = float((model.backbone[1:](images) - theirs).abs().max())
    if not away <= CLOSE:
        raise _Wrong(
            "backbone",
            f"'{backbone}' computes other embeddings than the CLIP model in {folder} (by up to "
            f"{away:.2g}); take timm's model of the same make, with or without quickgelu",
        )
    longest = int(getattr(clip, "context_length", None) or tokenizer.context_length) - 2
    for name in names:
        for template in templates:
            if len(tokenizer.encode(template.format(name))) > longest:
                raise _Wrong(
                    "templates",
                    f"{template.format(name)!r} is longer than the {longest} tokens that the "
                    "text encoder reads; shorten it",
                )
    if not bool(_rows(clip, tokenizer, names, templates).isfinite().all()):
        raise Unusable(f"the CLIP model in {folder} makes rows that are not finite")


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        complete = {"embed_dim", "vision_cfg", "text_cfg"} <= set(config["model_cfg"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path} is no config of open_clip: {error!r}") from error
    if not complete:
        raise Unusable(f"{path} is no config of open_clip: its model_cfg has not all parts")
    return dict(config)


def _file(folder: Path) -> Path:
    """The file of weights in a folder."""
    found = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if found is None:
        raise Unusable(
            f"{folder} has {CONFIG}, but none of {', '.join(WEIGHTS)}; put the weights there"
        )
    wrong = checkpoints.file_problem(found)
    if wrong:
        raise Unusable(wrong)
    return found


def _size(vision: Mapping[str, Any]) -> int:
    size = vision.get("image_size", 224)
    return int(size[0] if isinstance(size, list) else size)


def _projects(vision: Mapping[str, Any]) -> bool:
    """Whether features are projected; those of SigLIP are the embeddings, not yet of length one."""
    return bool(not vision.get("timm_model_name") or vision.get("timm_proj", "linear") != "none")


def _trunk(backbone: str, vision: Mapping[str, Any]) -> Any:
    """The timm model without a classifier, pooling as open_clip does."""
    import timm

    if vision.get("timm_model_name"):
        linear = vision.get("timm_proj", "linear") == "linear"
        if (_projects(vision) and not linear) or vision.get("timm_proj_bias"):
            raise Unusable(
                "its embeddings are neither the image encoder's features nor one linear projection "
                "of them, which is all that is supported"
            )
        pool = vision.get("timm_pool", "avg")
        if not _projects(vision):
            return timm.create_model(backbone, num_classes=0, global_pool=pool)
        trunk: Any = timm.create_model(backbone)
        trunk.reset_classifier(0, **({"global_pool": pool} if pool else {}))
        return trunk
    return timm.create_model(backbone, num_classes=0)


def _load(folder: Path) -> tuple[Any, Any]:
    """The CLIP model of a folder in evaluation mode, and its tokenizer."""
    import open_clip

    place = f"local-dir:{folder}"
    clip = open_clip.create_model(place, weights_only=True, require_pretrained=True)
    return clip.eval().requires_grad_(False), open_clip.get_tokenizer(place)


def _fill(backbone: nn.Module, clip: Any) -> None:
    """Loads a CLIP model's image encoder and projection into the backbone of `untrained`."""
    from torch import nn

    assert isinstance(backbone, nn.Sequential)
    trunk: Any = backbone[1]
    projected: Any = backbone[2]
    if hasattr(clip.visual, "trunk"):
        trunk.load_state_dict(clip.visual.trunk.state_dict())
        if hasattr(projected, "weight"):
            projected.weight.data.copy_(clip.visual.head.proj.weight)
        return
    from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

    if not isinstance(trunk, VisionTransformer):
        raise _Wrong(
            "backbone",
            f"the CLIP model's image encoder is a vision transformer, but the backbone is "
            f"{type(trunk).__name__}; take timm's model of the same make",
        )
    state = {f"visual.{name}": value for name, value in clip.visual.state_dict().items()}
    if "visual.class_embedding" not in state or clip.visual.proj is None:
        raise Unusable("its image encoder is not one that timm knows how to read")
    renamed = dict(checkpoint_filter_fn(state, trunk))
    projected.weight.data.copy_(renamed.pop("head.weight"))
    renamed.pop("head.bias", None)
    try:
        trunk.load_state_dict(renamed)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:3]]
        raise _Wrong(
            "backbone",
            f"the CLIP model's image encoder does not fit this backbone ({' '.join(lines)[:300]}); "
            "take timm's model of the same make",
        ) from error


def _rows(clip: Any, tokenizer: Any, names: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The head's rows, [classes, D]."""
    import open_clip

    made = open_clip.build_zero_shot_classifier(
        clip, tokenizer, list(names), list(templates), num_classes_per_batch=10
    )
    rows: Tensor = made.T * clip.logit_scale.exp()
    return rows


def _of_wordnet(name: str) -> bool:
    return re.fullmatch(r"n\d{8}", name) is not None


def _some(names: Sequence[Any]) -> str:
    return f"{', '.join(map(str, names[:5]))}{', ...' if len(names) > 5 else ''}"
