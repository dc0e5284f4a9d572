"""The names of timm's models and weights, read from its source: importing it takes seconds."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_MODEL = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)
_TAG = re.compile(r"""^\s*['"](\w+)\.([\w.-]+)\*?['"]\s*:""", re.MULTILINE)
_RENAMED = re.compile(
    r"^register_model_deprecations\(__name__, (\{.*?^\})\)", re.MULTILINE | re.DOTALL
)


@functools.cache
def models() -> frozenset[str]:
    """The model names without weights tags: `resnet50`."""
    return frozenset(name for text in _sources() for name in _MODEL.findall(text))


@functools.cache
def tags() -> Mapping[str, tuple[str, ...]]:
    """Model -> the tags of its weights: `resnet50` -> `a1_in1k`, `tv_in1k`, ..."""
    tags_by_model: dict[str, list[str]] = {}
    for text in _sources():
        for model, tag in _TAG.findall(text):
            tags_by_model.setdefault(model, []).append(tag)
    return {model: tuple(dict.fromkeys(listed)) for model, listed in tags_by_model.items()}


@functools.cache
def renamed() -> Mapping[str, str | None]:
    """Old name -> timm's current name, or None if the model was removed."""
    new_names: dict[str, str | None] = {}
    for text in _sources():
        for mapping in _RENAMED.findall(text):
            new_names |= ast.literal_eval(mapping)
    return new_names


@functools.cache
def _sources() -> tuple[str, ...]:
    return tuple(_read())


def _read() -> Iterator[str]:
    spec = importlib.util.find_spec("timm")
    if spec is None or spec.origin is None:
        return
    for file in sorted((Path(spec.origin).parent / "models").glob("*.py")):
        yield file.read_text(encoding="utf-8")
