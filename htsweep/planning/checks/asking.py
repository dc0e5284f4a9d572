"""Asks a task about a config, also where it is not known what some of its settings are to be.

A wrong value says nothing of what was meant in its place. What is wrong with the other settings is
told at once if it would be wrong with whatever that is: with the setting's default, with both ends
of its range, with other names, and with a name that nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, final

from htsweep.planning.dimension import text_of
from htsweep.planning.task import Task

Config = Mapping[str, Any]
Said = list[tuple[str, str]]
"""What a task answers, as (key of the config, message); the key is "" if it does not say which."""
Lost = Collection[str] | None
"""Settings of which it is not known what they are to be; None: not even which these are."""
UNREADABLE = "the task cannot read a value"
UNKNOWN = "?"
"""A name that nothing has: what a task says all the same does not depend on it."""
MOST_NAMES = 4
"""The most names of a setting that stand in for the one that is not known."""
MOST_UNSURE = 200
"""The most configs with something wrong and something unknown for which others stand in.

Of further ones only what single values have wrong by themselves is told.
"""


@final
class Asked:
    """A question to a task, asked of many configs."""

    def __init__(
        self, study_task: Task, question: Callable[[Config], Iterable[tuple[str, str]]]
    ) -> None:
        """Takes the task, and the question about a resolved config."""
        self._task, self._question = study_task, question
        self._alone: dict[tuple[str, str, frozenset[str] | None], list[str]] = {}
        self._unsure = 0

    def about(self, config: Config) -> tuple[Config | None, Said]:
        """The resolved config, or None if it cannot be resolved, and the answer."""
        try:
            resolved = self._task.resolve(config)
            return resolved, list(self._question(resolved))
        except (ValueError, LookupError, OSError) as error:
            return None, [("", str(error))]
        except Exception as error:  # a value of a type that the task does not expect: anything
            return None, [("", f"{UNREADABLE}: {type(error).__name__}: {error}")]

    def certain(
        self, config: Config, lost: Lost, resolved: Config | None = None
    ) -> tuple[Config | None, Said]:
        """The same, with as much of the answer as holds whatever the settings `lost` are to be.

        Args:
            config: a config; what it says of those settings does not count.
            lost: these settings.
            resolved: the config, if it was resolved before; it is then taken to be right, so that
                what the task raises is raised.
        """
        if lost is not None and not lost:
            if resolved is None:
                return self.about(config)
            return resolved, list(self._question(resolved))
        variants = self._variants(config, lost)
        resolved, said = next(variants)
        if resolved is None or not said:  # it may need what is lost to be resolved at all
            return resolved, []
        held, rest = set(said), list(variants)
        for other, also in rest:
            held &= set() if other is None else set(also)
        if not rest:
            alone = (self.alone(*item, lost) for item in self._given(config, lost).items())
            texts = {message for messages in alone for message in messages}
            held = {(key, message) for key, message in said if message in texts}
        return resolved, [one for one in said if one in held and one[0] not in (lost or ())]

    def settled(self, config: Config, lost: Lost) -> bool:
        """Whether the answer is the same whatever the settings `lost` are to be."""
        if not lost:
            return lost is not None
        (_, said), *rest = self._variants(config, lost)
        return bool(rest) and all(
            other is not None and set(also) == set(said) for other, also in rest
        )

    @property
    def _tired(self) -> bool:
        return self._unsure > MOST_UNSURE

    def _variants(self, config: Config, lost: Lost) -> Iterator[tuple[Config | None, Said]]:
        """`about` the config with `lost` at their defaults, then with what stands in for each."""
        given = self._given(config, lost)
        first = self.about(given)
        yield first
        self._unsure += bool(first[1])
        if lost is None or self._tired:
            return
        for key in lost:
            for value in others((self._task.settings or {}).get(key)):
                answer = self.about({**given, key: value})
                # What was meant is right: a value that is wrong here says nothing of it.
                wrong = value != UNKNOWN and any(at == key for at, _ in answer[1])
                yield first if wrong else answer

    def _given(self, config: Config, lost: Lost) -> Config:
        """What is known: which other keys there may be can depend on what was lost, as a method."""
        settings = self._task.settings or {}
        return {key: config[key] for key in config if key in settings and key not in (lost or ())}

    def all_about(self, config: Config, lost: Lost) -> tuple[Config | None, Said, Lost]:
        """As `certain`, with what a first answer keeps the task from saying; and what is lost then.

        It is asked again without the settings that it named, until it names no other.
        """
        resolved, said = self.certain(config, lost)
        found = list(said)
        while lost is not None and not self._tired and {key for key, _ in said} - {"", *lost}:
            lost = {*lost, *(key for key, _ in said if key)}
            said = [one for one in self.certain(config, lost)[1] if one not in found]
            found += said
        return resolved, found, lost

    def alone(self, key: str, value: Any, lost: Lost = ()) -> list[str]:
        """What is said of a value when all other settings are at their defaults.

        And also if one of the settings `lost`, which are not known, has another value.
        """
        place = key, text_of(value), None if lost is None else frozenset(lost)
        if place in self._alone:
            return self._alone[place]
        settings = self._task.settings or {}
        said = self._said_of(key, value, {})[1]
        for other in settings if lost is None else lost:
            for instead in others(settings.get(other)) if other != key else ():
                if not said:
                    break
                resolved, also = self._said_of(key, value, {other: instead})
                # Not even which setting is lost is known: one without which nothing can be
                # resolved says nothing of the others.
                if resolved is not None or lost is not None:
                    said = [text for text in said if text in also]
        self._alone[place] = said
        return said

    def _said_of(self, key: str, value: Any, other: Config) -> tuple[Config | None, list[str]]:
        """The config of a value and an `other`, resolved; and what is said of the value."""
        resolved, said = self.about({**other, key: value})
        return resolved, [
            text for at, text in said if at in ("", key) and not text.startswith(UNREADABLE)
        ]


def said_alone(study_task: Task, key: str, value: Any) -> list[str]:
    """What a task says is wrong with a value when all other settings are at their defaults."""
    return Asked(study_task, study_task.problems).alone(key, value)


def others(setting: Any) -> Iterator[Any]:
    """Values that a setting may have, besides its default, as unlike each other as can be."""
    kind = getattr(setting, "type", None)
    if kind is bool:
        yield not setting.default
    elif kind in (int, float):
        yield from (kind(end) for end in (setting.low, setting.high) if end is not None)
    elif kind is list:
        yield []
    elif kind is str:
        if setting.choices and not setting.open:
            names = list(setting.choices() if callable(setting.choices) else setting.choices)
            yield from names[:: max(1, len(names) // MOST_NAMES)]
        else:
            yield UNKNOWN
