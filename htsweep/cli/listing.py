"""The lists of `htsweep list`: a heading, then a line for each name that a study may use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from htsweep import selection
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.planning import metrics, spaces, task

OTHERS = "..."
"""Shown in place of a name, for other values that are accepted."""

MOST_NAMED = 6
"""The most names of a setting that its line lists."""


@final
@dataclass(frozen=True)
class Kind:
    """Something that can be listed."""

    line: str
    """What it is, and the key of the study that takes it."""
    entries: Callable[[], Mapping[str, str]]
    """Name -> a line that describes it."""
    others: Callable[[], Sequence[str]] = lambda: ()
    """Lines on what else is accepted in place of a name, such as a user's own."""


def _settings(key: str) -> Iterator[Any]:
    """The declarations of `key` by the tasks that read it."""
    for name in task.known():
        setting = (task.find(name).settings or {}).get(key)
        if setting is not None:
            yield setting


def _choices(key: str) -> dict[str, str]:
    """The values of `key` that some task knows, with a description if the task has one.

    What not all of the tasks with this key take has those that do in brackets.
    """
    values: dict[str, str] = {}
    takers: dict[str, list[str]] = {}
    having = 0
    for name in task.known():
        setting = (task.find(name).settings or {}).get(key)
        if setting is None:
            continue
        having += 1
        choices = getattr(setting, "choices", None)
        known = (choices() if callable(choices) else choices) or ()
        own = known if isinstance(known, Mapping) else dict.fromkeys(map(str, known), "")
        values.update(own)
        for value in own:
            takers.setdefault(value, []).append(name)
    return {
        value: line if len(takers[value]) == having else f"{line} [{', '.join(takers[value])}]"
        for value, line in values.items()
    }


def _others(key: str) -> list[str]:
    """What some task accepts for `key` besides its choices."""
    docs = [setting.doc for setting in _settings(key) if getattr(setting, "open", False)]
    return [doc for doc in dict.fromkeys(docs) if doc]


def _of_key(key: str, line: str) -> Kind:
    return Kind(line, lambda: _choices(key), lambda: _others(key))


def _all_settings() -> dict[str, str]:
    """The settings of all tasks, without parameters of methods and scores: key -> a line."""
    described: dict[str, str] = {}
    for name in task.known():
        for key, setting in (task.find(name).settings or {}).items():
            if "." not in key:
                described.setdefault(key, _described(setting))
    return described


def _described(setting: Any) -> str:
    """A line on a setting: what it is, its default, and its bounds or names if there are few."""
    default = "none" if setting.default in (None, "") else str(setting.default)
    facts = [f"default {default.lower() if setting.type is bool else default}"]
    if setting.low is not None and setting.high is not None:
        facts.append(f"{setting.low:g} to {setting.high:g}")
    choices = setting.choices() if callable(setting.choices) else setting.choices
    if choices and len(choices) <= MOST_NAMED:
        facts.append(f"known: {', '.join(str(name) for name in choices if name)}")
    doc = f"a name, {setting.doc}" if setting.doc.startswith("or ") else setting.doc
    return f"{doc} ({'; '.join(facts)})"


def _executors() -> dict[str, str]:
    from htsweep.execution.registry import BUILT_IN

    return {name: line for name, (_, line) in BUILT_IN.items()}


OWN = ("or your own as module:function, in a file beside the study",)

KINDS: Mapping[str, Kind] = {
    "datasets": Kind(
        "a source and a target domain, for the key `dataset`", lambda: _choices("dataset")
    ),
    "methods": _of_key("method", "how a source model is adapted, for the key `method`"),
    "scores": _of_key("score", "what predicts a transfer beforehand, for `screen.scores`"),
    "backbones": _of_key("backbone", "network architectures, for the key `backbone`"),
    "tasks": Kind("what a trial does, for the key `task`", task.known, lambda: OWN),
    "spaces": Kind(
        "the parameters of a method with ranges and defaults, for `search.spaces`", spaces.known
    ),
    "protocols": Kind(
        "the rule that picks one point of each sweep, for the key `select`",
        lambda: selection.NAMES,
        lambda: OWN,
    ),
    "metrics": Kind(
        "what is measured of each trial's logits, for the key `metrics`", metrics.known, lambda: OWN
    ),
    "settings": Kind(
        "the keys of a task's config, for `grid` and `fixed`", lambda: _all_settings()
    ),
    "augmentations": _of_key("augmentation", "changes of training images, for `augmentation`"),
    "optimizers": _of_key("optimizer", "how weights follow gradients, for the key `optimizer`"),
    "schedules": _of_key("schedule", "how the learning rate goes on, for the key `schedule`"),
    "executors": Kind("where trials run, for `launch --on`", _executors, lambda: OWN),
}


def lines(what: str = "") -> list[str]:
    """The lines of `htsweep list`: for each kind a heading, its names, and what else is accepted.

    Args:
        what: the kinds to list, separated by commas; empty for all.

    Raises:
        HtsweepError: there is no such kind.
    """
    names = [name.strip() for name in what.split(",") if name.strip()] or list(KINDS)
    unknown = [name for name in names if name not in KINDS]
    if unknown:
        raise HtsweepError(
            "; ".join(f"cannot list '{name}': {did_you_mean(name, KINDS)}" for name in unknown)
        )
    blocks = ["\n".join(_block(name, KINDS[name])) for name in names]
    return "\n\n".join(blocks).split("\n")


def _block(name: str, kind: Kind) -> Iterator[str]:
    yield f"{name}: {kind.line}"
    entries = [*kind.entries().items(), *((OTHERS, line) for line in kind.others())]
    width = max((len(entry) for entry, _ in entries), default=0)
    for entry, line in entries:
        yield f"  {entry:{width}}  {line}".rstrip()
