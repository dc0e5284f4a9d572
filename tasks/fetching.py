"""Pretrained weights that timm fetches from elsewhere: tried once, before any trial runs."""

from __future__ import annotations

import functools
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SECONDS = 10
"""How long a host may take to answer at all."""
FILES = ("model.safetensors", "pytorch_model.bin")
"""What timm looks for in a model's folder on the Hugging Face Hub."""


def fetched(config: Mapping[str, Any]) -> dict[str, Callable[[], None]]:
    """What a resolved config needs from elsewhere: what it is -> a function that fetches it.

    The function does nothing where it is already there, and raises OSError if it cannot be had.
    """
    if config.get("weights") != "timm":
        return {}
    name = config["backbone"]
    return {f"timm's weights of {name}": functools.partial(fetch, name)}


def fetch(name: str) -> None:
    """Fetches timm's weights of a model, unless this machine has them.

    Raises:
        OSError: the host cannot be reached, or it does not give them; says what to do.
    """
    import timm

    settings = timm.get_pretrained_cfg(name)
    assert settings is not None, "planning rejects models without weights"
    if is_here(settings):
        return
    host = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not settings.hf_hub_id and settings.url:
        host = str(settings.url)
    remedy = (
        "connect this machine, or put them into its cache (HF_HOME, or TORCH_HOME for torch's "
        "own), or give as `weights` a file that you have, or one of those that come in packages "
        "(docs/how_to/weights.md)"
    )
    try:
        urllib.request.urlopen(host, timeout=SECONDS).close()
    except urllib.error.HTTPError:
        pass  # it answers
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise OSError(f"{host} cannot be reached: {reason}; {remedy}") from error
    try:
        timm.create_model(name, pretrained=True)
    except Exception as error:  # whatever a download raises
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OSError(f"{first}; {remedy}") from error


def is_here(settings: Any) -> bool:
    """Whether the weights that timm's `settings` name are in this machine's caches."""
    if settings.file and Path(settings.file).is_file():
        return True
    if settings.hf_hub_id:
        from huggingface_hub import try_to_load_from_cache

        names = (settings.hf_hub_filename,) if settings.hf_hub_filename else FILES
        return any(
            isinstance(try_to_load_from_cache(settings.hf_hub_id, name), str) for name in names
        )
    import torch

    place = Path(torch.hub.get_dir()) / "checkpoints" / Path(settings.url or "").name
    return bool(settings.url) and place.is_file()
