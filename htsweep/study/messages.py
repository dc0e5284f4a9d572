"""Messages for what does not fit a section of the study file: the rule, then what was given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from htsweep.errors import did_you_mean
from htsweep.study import document
from htsweep.study.document import Place


def real(place: Place, value: Any) -> Place:
    """`place` without the parts that pydantic adds for unions."""
    kept: list[str | int] = []
    for index, part in enumerate(place):
        numbered = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if numbered or (isinstance(value, dict) and part in value):
            value = value[part]
        elif index != len(place) - 1 or not isinstance(value, dict):
            continue
        kept.append(part)
    return tuple(kept)


def said(entry: Mapping[str, Any], sections: Mapping[str, Any]) -> str:
    """The rule that pydantic's `entry` is about, then what was given.

    Args:
        entry: one of the errors that pydantic lists.
        sections: key -> the type of its section; "" is the whole study.
    """
    kind, came, context = entry["type"], entry.get("input"), entry.get("ctx", {})
    if kind == "extra_forbidden":
        place = [part for part in entry["loc"] if isinstance(part, str)]
        model = sections.get(place[0] if len(place) > 1 else "", sections[""])
        known = [*getattr(model, "short", ()), *model.model_fields]
        own = (
            "; a key of your own, for settings that others share, begins with `x-`"
            if len(place) == 1
            else ""
        )
        return f"unknown key; {did_you_mean(place[-1], known)}{own}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return "the key is required, but missing"
    if kind == "literal_error":
        expected = re.findall(r"'([^']*)'", context.get("expected", ""))
        return f"got {came!r}; {did_you_mean(str(came), expected)}"
    rules = {
        "greater_than": "must be greater than {gt}",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "int_type": "must be a whole number",
        "float_type": "must be a number",
        "string_type": "must be text",
        "bool_type": "must be true or false",
        "list_type": "must be a list, such as [a, b]",
        "dict_type": "must be a mapping of keys to values",
        "model_type": "must be a mapping of keys to values",
        "string_pattern_mismatch": "must be a name of letters, digits and '-', such as A100",
        "too_short": "must have at least one entry",
    }
    rule = rules[kind].format(**context) if kind in rules else entry["msg"]
    return f"{rule}, but got {shown(came)}"


def shown(value: Any) -> str:
    """`value` in words."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else f"a list of {len(value)}"
    return f"the text {value!r}" if isinstance(value, str) else document.dump(value)
