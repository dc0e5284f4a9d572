"""A method is a value: what it adds to plain fine-tuning. Methods chain, and a chain is a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model
    from tasks.training import Run

PARTS = frozenset({"backbone", "head"})


@final
@dataclass(frozen=True, slots=True)
class Range:
    """The values that a method's parameter takes: `Annotated[float, Range(0, 1)]`."""

    low: float
    high: float


@final
@dataclass(frozen=True, kw_only=True)
class Method:
    """What a method adds to plain fine-tuning; `Method()` adds nothing and is plain fine-tuning."""

    prepare: Callable[[Model, Sequence[int]], Any] | None = None
    """Called once with the source model and the missing classes before training; `penalty` is given what it returns."""
    penalty: Callable[[View, Any], Tensor] | None = None
    """The term that it adds to the cross-entropy of a batch, a scalar."""
    frozen: frozenset[str] = frozenset()
    """Parts of the model that stay as they are, batch-norm statistics included: `backbone`, `head`."""
    optimise: Callable[[Run, int, int], Tensor | None] | None = None
    """Takes the run from one gradient evaluation to another and returns the mean loss; without it, SGD does."""
    finish: Callable[[Model, Model], None] | None = None
    """Changes a copy of the trained model, given the source model, before it is measured."""
    all_classes: bool = False
    """Whether it trains on target images of the missing classes as well: an upper bound."""
    adapts: bool = True
    """Whether it trains at all."""


@final
class View:
    """A batch as a penalty sees it: outputs are computed once, and only if looked at."""

    def __init__(
        self, student: Model, source: Model, images: Tensor, labels: Tensor, seen: Tensor, missing: Tensor
    ) -> None:
        self.student = student
        self.source = source
        self.images = images
        self.labels = labels
        self.seen = seen
        self.missing = missing

    @property
    def features(self) -> Tensor:
        """The student's features, [B, width]."""
        return self._student[0]

    @property
    def logits(self) -> Tensor:
        """The student's logits over all classes, [B, classes]."""
        return self._student[1]

    @property
    def source_features(self) -> Tensor:
        """The frozen source model's features, [B, width], without gradient."""
        return self._source[0]

    @property
    def source_logits(self) -> Tensor:
        """The frozen source model's logits, [B, classes], without gradient."""
        return self._source[1]

    @cached_property
    def _student(self) -> tuple[Tensor, Tensor]:
        return self.student(self.images)

    @cached_property
    def _source(self) -> tuple[Tensor, Tensor]:
        from torch import no_grad

        assert not self.source.training, "a teacher in train mode would follow the batch's statistics"
        with no_grad():
            return self.source(self.images)


def chain(*methods: Method) -> Method:
    """The method that does what all of `methods` do: penalties add, frozen parts unite, finishers follow one another.

    `chain()` is plain fine-tuning, `chain(m)` is `m`.

    Raises:
        ValueError: they contradict each other.
    """
    wrong = contradictions({f"method {position}": method for position, method in enumerate(methods, 1)})
    if wrong:
        raise ValueError("; ".join(wrong))
    if len(methods) == 1:
        return methods[0]
    adding = [method for method in methods if method.penalty is not None]
    finishing = [method.finish for method in methods if method.finish is not None]
    return Method(
        prepare=_preparing(adding) if any(method.prepare for method in adding) else None,
        penalty=_sum_of(adding) if adding else None,
        frozen=frozenset().union(*(method.frozen for method in methods)),
        optimise=next((method.optimise for method in methods if method.optimise is not None), None),
        finish=_one_by_one(finishing) if finishing else None,
        all_classes=any(method.all_classes for method in methods),
        adapts=all(method.adapts for method in methods),
    )


def contradictions(methods: dict[str, Method]) -> list[str]:
    """Why methods cannot be one chain, each reason with the remedy; empty where they can."""
    found = []
    idle = [name for name, method in methods.items() if not method.adapts]
    if idle and len(methods) > 1:
        others = ", ".join(name for name in methods if name not in idle) or idle[-1]
        found.append(f"'{idle[0]}' does not train, so {others} would change nothing; give '{idle[0]}' alone")
    freezing = [name for name, method in methods.items() if method.frozen]
    if frozenset().union(*(method.frozen for method in methods.values())) >= PARTS:
        found.append(f"{' and '.join(freezing)} together freeze the whole model, so nothing is left to train; keep one")
    optimising = [name for name, method in methods.items() if method.optimise]
    if len(optimising) > 1:
        found.append(f"{' and '.join(optimising)} both replace the optimisation; keep one")
    return found


def _preparing(methods: Sequence[Method]) -> Callable[[Model, Sequence[int]], Any]:
    def prepare(source: Model, missing: Sequence[int]) -> tuple[Any, ...]:
        return tuple(method.prepare(source, missing) if method.prepare else None for method in methods)

    return prepare


def _sum_of(methods: Sequence[Method]) -> Callable[[View, Any], Tensor]:
    def penalty(view: View, prepared: Any) -> Tensor:
        prepared = prepared or (None,) * len(methods)
        terms = [method.penalty(view, one) for method, one in zip(methods, prepared, strict=True) if method.penalty]
        return sum(terms[1:], start=terms[0])

    return penalty


def _one_by_one(steps: Sequence[Callable[[Model, Model], None]]) -> Callable[[Model, Model], None]:
    def finish(student: Model, source: Model) -> None:
        for step in steps:
            step(student, source)

    return finish
