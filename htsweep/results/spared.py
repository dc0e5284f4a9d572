"""What a screen costs and what it spares, in numbers and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from htsweep.planning.plan import Plan
from htsweep.planning.screen import Verdict
from htsweep.results.results import Results
from htsweep.results.screen import verdict_lines


@final
@dataclass(frozen=True)
class Screened:
    """A study's screen in numbers."""

    scores: tuple[str, ...]
    by: str
    keep: int | str | None
    margin: float | None
    pairs: int
    targets: Mapping[str, int]
    """Target data -> number of pairs."""
    trials: int
    """How many trials the scores have."""
    trials_done: int
    trials_failed: int
    trials_to_run: int
    all_trials: int
    """How many trials the study would have without a screen."""
    spared: int
    """How many of these need not run, by the scores that are known."""
    spared_at_least: int | None
    """The fewest once all scores are known, ties aside; None: a margin tells only then."""
    spared_at_most: int
    dropped: tuple[Mapping[str, Any], ...]
    """Each with its factors, `target` and `value`, the mean of the deciding score."""
    unknown: tuple[Mapping[str, Any], ...]
    """Pairs that are kept because a repetition has no deciding score: it has not run, or failed."""
    about: tuple[str, ...]
    """Lines on the dropped and the unknown pairs."""

    def lines(self) -> list[str]:
        """The screen as text."""
        failed = f", {self.trials_failed} failed (run again)" if self.trials_failed else ""
        return [
            f"screen  {', '.join(self.scores)} over {self.pairs} pairs: {self.trials} trials "
            f"({self.trials_done} done"
            f"{failed}, {self.trials_to_run} to run); {self.sentence()}",
            *(f"        {line}" for line in self.about),
        ]

    def sentence(self) -> str:
        """`keeps 2 of 3 for each of 2 targets by logme: spares 40 of 120 trials`."""
        if self.keep == "all":
            return "keeps all pairs: spares nothing"
        sizes = sorted(set(self.targets.values()))
        many = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        each = (
            f"for each of {len(self.targets)} targets"
            if len(self.targets) > 1
            else "for the one target"
        )
        rule = (
            f"{self.keep} of {many}"
            if self.margin is None
            else f"those of {many} within {self.margin:g} of the best"
        )
        return f"keeps {rule} {each} by {self.by}: {self._spares()}"

    def _spares(self) -> str:
        of = f"of {self.all_trials} trials"
        if not self.unknown:
            return f"spares {self.spared} {of}"
        so_far = (
            f", {self.spared} by the scores so far"
            if self.spared
            else ", counted below until the scores are known"
        )
        if self.spared_at_least is None:
            return f"may spare up to {self.spared_at_most} {of}{so_far}"
        most = f"{self.spared_at_least} to " if self.spared_at_least != self.spared_at_most else ""
        return f"will spare {most}{self.spared_at_most} {of}{so_far}"


def screened(results: Results, ended: Mapping[str, int]) -> Screened:
    """The numbers of the screen of a study.

    Args:
        results: of a study that has a screen.
        ended: how many scores are `done`, `stopped` and `failed`.
    """
    whole, scored, verdicts = results.full_plan, results.score_plan, results.verdicts
    screen = whole.study.screen
    assert screen is not None
    assert scored is not None
    targets = Counter(verdict.pair.target for verdict in verdicts)
    least, most = _range(whole, verdicts, screen.keep)
    return Screened(
        tuple(screen.scores),
        screen.decisive,
        screen.keep,
        screen.margin,
        len(verdicts),
        dict(targets),
        scored.trial_count,
        ended["done"],
        ended["failed"],
        scored.trial_count - ended["done"] - ended["stopped"],
        whole.trial_count,
        whole.trial_count - results.plan.trial_count,
        None if screen.margin is not None else least,
        most,
        tuple(_about(verdict) for verdict in verdicts if not verdict.kept),
        tuple(_about(verdict) for verdict in verdicts if verdict.value is None),
        tuple(verdict_lines(verdicts, screen.decisive)),
    )


def _range(whole: Plan, verdicts: Sequence[Verdict], keep: int | str | None) -> tuple[int, int]:
    """The fewest and the most trials of the pairs that are not kept.

    For each target these are all pairs but `keep`, or with a margin all but one.
    """
    least = most = 0
    kept = 1 if keep is None else len(verdicts) if isinstance(keep, str) else keep
    for target in {verdict.pair.target for verdict in verdicts}:
        sizes = sorted(
            sum(whole.sizes[sweep] for sweep in verdict.pair.sweeps) * whole.study.repetitions
            for verdict in verdicts
            if verdict.pair.target == target
        )
        dropped = max(0, len(sizes) - kept)
        least += sum(sizes[:dropped])
        most += sum(sizes[len(sizes) - dropped :])
    return least, most


def _about(verdict: Verdict) -> dict[str, Any]:
    return {**verdict.pair.factors, "target": verdict.pair.target, "value": verdict.value}
