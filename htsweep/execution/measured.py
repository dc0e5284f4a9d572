"""What one trial has measured: the values that its task yields, checked, as one row per step."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from numbers import Complex, Real
from typing import Any, final

from htsweep.ledger import names
from htsweep.ledger.names import shown

LAST_STEP = 2**63 - 1
"""The greatest step that tables can hold."""


@final
class Measured:
    """The rows of a trial in order, one per step.

    A value that cannot be kept as it was yielded is refused, never changed or dropped.
    """

    def __init__(self, settings: Iterable[str] = ()) -> None:
        """Starts without rows.

        Args:
            settings: the keys of the trial's config, which are columns if a study varies them.
        """
        self.rows: list[dict[str, Any]] = []
        self.passed = -1
        """The last step before the first row of this process; -1 if there is none.

        Greater than -1 if the trial continues from the state of an earlier process.
        """
        self._settings = {name.lower(): name for name in settings}
        self._kinds: dict[str, bool] = {}
        """Name -> whether its values are lists."""
        self._spelt: dict[str, str] = {}
        self._given: set[str] = set()
        """The names that this process has measured at the last step."""
        self._begun = False

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Restores the rows that the trial had when the state from which it continues was saved."""
        self.rows[:] = [dict(row) for row in rows]
        for row in self.rows:
            for name, value in row.items():
                self._kinds[name] = isinstance(value, list)
                self._spelt[name.lower()] = name

    def take(self, yielded: Any) -> dict[str, Any]:
        """Adds what a task yielded, and returns the full row of its step so far.

        Raises:
            TypeError: it is not a measurement.
            ValueError: a name, a number or the step cannot be kept.
        """
        if not isinstance(yielded, Mapping) or "step" not in yielded:
            msg = f"a task yields mappings with a 'step', but this one yielded {shown(yielded)}"
            raise TypeError(msg)
        step = _step(yielded["step"])
        values = {
            self._name(name): self._value(name, value)
            for name, value in yielded.items()
            if name != "step" and value is not None
        }
        row = self._row(step)
        for name, value in values.items():
            if name in self._given and not _same(row[name], value):
                msg = (
                    f"{shown(name)} was measured twice at step {step}, as {shown(row[name], 40)} "
                    f"and as {shown(value, 40)}; "
                    "a step has one value of each name"
                )
                raise ValueError(msg)
        row.update(values)
        self._given.update(values)
        return row

    def _row(self, step: int) -> dict[str, Any]:
        if not self._begun:
            # A trial that continues may repeat steps after its last state; what it measures now
            # counts.
            self._begun = True
            while self.rows and self.rows[-1]["step"] > step:
                self.rows.pop()
            self.passed = max((row["step"] for row in self.rows if row["step"] < step), default=-1)
        last = self.rows[-1]["step"] if self.rows else -1
        if step < last:
            msg = (
                f"step {step} came after step {last}: steps never go back; "
                "yield what belongs to one step before the next one"
            )
            raise ValueError(msg)
        if step > last:
            self.rows.append({"step": step})
            self._given = set()
        return self.rows[-1]

    def _name(self, given: Any) -> str:
        if wrong := None if type(given) is str and given in self._kinds else names.problem(given):
            raise ValueError(wrong)
        name = "".join(given)  # it may be of a class derived from str
        if name in self._kinds:
            return name
        low = name.lower()
        if low in self._settings:
            msg = (
                f"the measurement {shown(name)} has the name of the setting "
                f"'{self._settings[low]}', which has a column "
                f"of its own where a study varies it; give it another, such as 'train/{name}'"
            )
            raise ValueError(msg)
        if self._spelt.setdefault(low, name) != name:
            msg = (
                f"the measurements {shown(self._spelt[low])} and {shown(name)} "
                "differ in capitals alone, which SQL does not see"
            )
            raise ValueError(msg)
        if len(self._kinds) >= names.MOST:
            msg = (
                f"more than {names.MOST} names were measured; "
                "put numbers that belong together into a list"
            )
            raise ValueError(msg)
        return name

    def _value(self, name: str, value: Any) -> float | list[float]:
        many = isinstance(value, list | tuple) or getattr(value, "ndim", None) == 1
        try:
            kept: float | list[float] = (
                [_number(item) for item in value] if many else _number(value)
            )
        except OverflowError:
            msg = (
                f"the measurement {shown(name)} is beyond what a 64-bit float can hold: "
                f"{shown(value, 40)}"
            )
            raise ValueError(msg) from None
        except Exception:  # whatever a value's own methods raise
            msg = (
                f"the measurement {shown(name)} is a number or a list of numbers, "
                f"but got {shown(value)}"
            )
            raise TypeError(msg) from None
        if self._kinds.setdefault(name, many) != many:
            kinds = ("a number", "a list")
            msg = (
                f"the measurement {shown(name)} is {kinds[many]} now "
                f"and was {kinds[not many]} before; give each its own name"
            )
            raise TypeError(msg)
        return kept


def undefined(row: Mapping[str, Any]) -> list[str]:
    """The names of a row's numbers that are NaN; NaN inside lists is allowed."""
    return [name for name, value in row.items() if isinstance(value, float) and math.isnan(value)]


def last_values(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The last value of each number, including the step."""
    return {
        name: value for row in rows for name, value in row.items() if isinstance(value, int | float)
    }


def _number(value: Any) -> float:
    # float() would also parse text, and drop imaginary parts and all dimensions but one.
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if (
        isinstance(value, str | bytes | bytearray)
        or getattr(value, "ndim", None)
        or kind in ("c", "S", "U", "M", "m")
    ):
        raise TypeError
    if isinstance(value, Complex) and not isinstance(value, Real):
        raise TypeError
    return float(value)


def _step(value: Any) -> int:
    step = None
    if (
        not isinstance(value, bool | str | bytes | bytearray)
        and getattr(getattr(value, "dtype", None), "kind", "") != "b"
    ):
        try:
            step = operator.index(value)
        except Exception:
            try:
                whole = _number(value)
                step = int(whole) if whole.is_integer() else None
            except Exception:  # no number at all
                step = None
    if step is None:
        msg = (
            f"step {shown(value)} is not a whole number; "
            "a step says how far training has come, and rows follow its order"
        )
        raise ValueError(msg)
    if not 0 <= step <= LAST_STEP:
        msg = f"step {shown(step, 60)} is not from 0 to 2^63 - 1, the greatest that tables can hold"
        raise ValueError(msg)
    return step


def _same(first: Any, other: Any) -> bool:
    if isinstance(first, list) and isinstance(other, list):
        return len(first) == len(other) and all(map(_same, first, other))
    return bool(first == other or (first != first and other != other))
