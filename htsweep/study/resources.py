"""What trials take of a machine: one amount for all, or amounts that differ by factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

AUTO = "auto"
"""In place of a number of GPUs: the fraction of one that a short probe finds to fit."""
TAKEN = ("cpu", "gpu", "accelerator", "time_limit_seconds")
"""The keys that say what a trial takes; all others in an entry of `when` are its conditions."""

Cores = Annotated[float, Field(gt=0)]
Gpus = Annotated[
    Annotated[float, Field(ge=0), Tag("number")] | Annotated[Literal["auto"], Tag("word")],
    Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
]
Accelerator = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,50}$")]
Seconds = Annotated[float, Field(gt=0, le=1e8)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@final
class Amount(_Section):
    """What one trial takes."""

    cpu: Cores = 1
    gpu: Gpus = 0
    accelerator: Accelerator | None = None
    """The type of its GPU, as Ray names it, such as A100; None: any."""
    time_limit_seconds: Seconds | None = None

    @property
    def gpus(self) -> float:
        """The GPUs that it takes at most; `auto` is at most a whole one."""
        return 1.0 if self.gpu == AUTO else float(self.gpu)

    def __str__(self) -> str:
        kind = f" ({self.accelerator})" if self.accelerator else ""
        count = self.gpu if isinstance(self.gpu, str) else f"{self.gpu:g}"
        gpu = f"{count} GPU{kind}" if self.gpu else ""
        limit = f"{self.time_limit_seconds:g} s at most" if self.time_limit_seconds else ""
        return ", ".join(filter(None, [f"{self.cpu:g} CPU", gpu, limit]))


@final
class Clause(_Section):
    """An entry of `when`: what trials take that meet its conditions, in place of the default."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    cpu: Cores | None = None
    gpu: Gpus | None = None
    accelerator: Accelerator | None = None
    time_limit_seconds: Seconds | None = None

    @property
    def taken(self) -> dict[str, Any]:
        """The keys of what a trial takes that it sets."""
        return {key: getattr(self, key) for key in TAKEN if getattr(self, key) is not None}

    @property
    def conditions(self) -> Mapping[str, list[Any]]:
        """Key of a config -> the values of which it must have one."""
        return {
            key: value if isinstance(value, list) else [value]
            for key, value in (self.model_extra or {}).items()
        }


@final
class Resources(_Section):
    """What each trial takes: the default, and in place of it what entries of `when` say."""

    short: ClassVar[tuple[str, ...]] = TAKEN
    """The keys of the default, which may stand without the word `default`."""
    default: Amount = Amount()
    when: list[Clause] = []

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, value: Any) -> Any:
        """`{cpu: 1, gpu: 0}` is short for `{default: {cpu: 1, gpu: 0}}`."""
        if not isinstance(value, dict):
            return value
        plain = {key: item for key, item in value.items() if key in Amount.model_fields}
        if plain and "default" in value:
            msg = (
                f"`{next(iter(plain))}` is given beside `default`; move it into `default`, or give "
                "all keys of the default without it"
            )
            raise ValueError(msg)
        others = {key: item for key, item in value.items() if key not in plain}
        return {**({"default": plain} if plain else {}), **others}

    @property
    def automatic(self) -> bool:
        """Whether any trial takes `gpu: auto`."""
        return AUTO in (self.default.gpu, *(one.gpu for one in self.when))

    @property
    def cpu(self) -> float:
        """The most cores that a trial takes."""
        return max([self.default.cpu, *(one.cpu for one in self.when if one.cpu is not None)])

    @property
    def gpu(self) -> float:
        """The most GPUs that a trial takes."""
        amounts = [Amount(gpu=one.gpu) for one in self.when if one.gpu is not None]
        return max(amount.gpus for amount in (self.default, *amounts))
