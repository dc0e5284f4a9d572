"""What there is, a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from htsweep import selection
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.planning import spaces, task


def _choices(key: str) -> dict[str, str]:
    """The known values of a key of the tasks' configs, with a line on each where the task gives one."""
    found: dict[str, str] = {}
    for name in task.known():
        setting = (task.find(name).settings or {}).get(key)
        choices = getattr(setting, "choices", None)
        values = choices() if callable(choices) else choices or ()
        found.update(values if isinstance(values, Mapping) else dict.fromkeys(map(str, values), ""))
        if setting is not None and getattr(setting, "open", False):
            found["..."] = setting.doc
    return found


KINDS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "datasets": lambda: _choices("dataset"),
    "methods": lambda: _choices("method"),
    "scores": lambda: _choices("score"),
    "backbones": lambda: _choices("backbone"),
    "tasks": task.known,
    "spaces": spaces.known,
    "protocols": lambda: selection.NAMES,
}


def lines(what: str = "") -> list[str]:
    """A line for each thing of the kinds in `what` (by commas; all where empty).

    Raises:
        HtsweepError: a kind that is none.
    """
    kinds = [kind.strip() for kind in what.split(",") if kind.strip()] or list(KINDS)
    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong:
        raise HtsweepError(
            "; ".join(f"nothing is called '{kind}': {did_you_mean(kind, KINDS)}" for kind in wrong)
        )
    listed = []
    for kind in kinds:
        found = KINDS[kind]()
        width = max((len(name) for name in found), default=0)
        indent = "" if len(kinds) == 1 else "  "
        listed += [] if len(kinds) == 1 else [f"{kind}:"]
        listed += [f"{indent}{name:{width}}  {line}".rstrip() for name, line in found.items()]
    return listed
