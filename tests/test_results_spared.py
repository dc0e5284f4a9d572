"""What a screen takes and spares is told before it runs, while it runs, and after."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spared

from htsweep.cli.launch import closing_lines
from htsweep.commands import Given
from htsweep.launching import Launched
from htsweep.results import Results
from htsweep.results.estimate import Estimate, estimate
from htsweep.study.schema import Study

ALL, PER_PAIR, SCORES = 24, 4, 24
"""Trials of the study, those of each of its six pairs, and those of its two scores."""


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    return spared.study(study_file, tmp_path)


@pytest.fixture
def run(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Launched]:
    return spared.run(study, tmp_path, monkeypatch)


def screen_of(estimate: Estimate) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(estimate.json())["screen"]
    return found


def _screened(estimated: Estimate) -> list[str]:
    """The lines of a plan from the one about its screen on."""
    lines = estimated.lines()
    return lines[[line.startswith("screen") for line in lines].index(True) :]


def test_a_plan_says_what_is_spared_before_and_after(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    before = estimate(Results(study(), str(tmp_path / "results")))
    assert _screened(before)[0] == (
        "screen  worth, contrary over 6 pairs: 24 trials (0 done, 24 to run); keeps 1 of 3 for "
        "each of "
        "2 targets by worth: will spare 16 of 24 trials, counted below until the scores are known"
    )
    assert (before.trials, before.stages, before.stages_to_run) == (ALL, 6, 6)
    run()
    after = estimate(Results(study(), str(tmp_path / "results")))
    assert _screened(after)[:2] == [
        "screen  worth, contrary over 6 pairs: 24 trials (24 done, 0 to run); keeps 1 of 3 for "
        "each of 2 targets by worth: "
        "spares 16 of 24 trials",
        "        dropped domain=uci, source=mid: worth 0.6005, the best of uci has 0.9005",
    ]
    assert (after.trials, after.trials_done, after.trials_to_run, after.stages_to_run) == (
        2 * PER_PAIR,
        8,
        0,
        0,
    )
    found = screen_of(after)
    assert (found["spared"], found["all_trials"], found["trials_done"], len(found["dropped"])) == (
        16,
        24,
        24,
        4,
    )
    assert found["dropped"][0] == {
        "domain": "uci",
        "source": "mid",
        "target": "uci",
        "value": pytest.approx(0.6005),
    }
    assert estimate(Results(study(without=True), str(tmp_path / "results"))).screen is None


def test_a_margin_cannot_say_beforehand_what_it_spares(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    [line, *_] = _screened(
        estimate(Results(study("screen.keep=null", "screen.margin=0.1"), str(tmp_path / "results")))
    )
    assert (
        "keeps those of 3 within 0.1 of the best for each of 2 targets by worth: may spare up to "
        "16 of 24 trials" in line
    )


def test_a_launch_says_what_it_spared(
    run: Callable[..., Launched], study: Callable[..., Study]
) -> None:
    said = closing_lines(study(), Given("study.yaml"), run())
    [at] = [number for number, line in enumerate(said) if line.startswith("screen: ")]
    assert said[at : at + 2] == [
        "screen: ran 24 scores (0 reused, 0 remaining); worth drops 4 of 6 pairs, which spares 16 "
        "of 24 trials",
        "  dropped domain=uci, source=mid: worth 0.6005, the best of uci has 0.9005",
    ]
    assert "ran 8 trials and 6 stages" in said[at + 5]
