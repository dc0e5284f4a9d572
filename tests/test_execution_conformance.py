"""Every executor passes the same tests: this process, Ray, and the example of a user's own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from htsweep.cli.app import main
from htsweep.execution.conformance import ExecutorConformance
from htsweep.execution.executor import Ended, Executor, Returned
from htsweep.execution.inline import Inline
from htsweep.ledger import Ledger, Store

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"


class TestInline(ExecutorConformance):
    on = "inline"
    own_processes = False


class TestExample(ExecutorConformance):
    """docs/examples/my_executor.py."""

    on = "my_executor:processes"

    @pytest.fixture(autouse=True)
    def beside(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(EXAMPLES))

    def test_the_study_beside_it_runs(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["launch", str(EXAMPLES / "my_executor.yaml"), "--on", self.on, "--no-mirror"]
        with pytest.raises(SystemExit) as end:
            main([*words, "--results", str(tmp_path / "results")])
        assert end.value.code == 0, capsys.readouterr()
        assert len(Ledger(Store(tmp_path / "results")).trials()) == 6


class Kept:
    """One Ray for test after test, until one stops it: to start one takes seconds."""

    executor: Executor | None = None

    @classmethod
    def close(cls) -> None:
        kept, cls.executor = cls.executor, None
        if kept is not None:
            kept.__exit__(None, None, None)

    def __init__(self, executor: Executor) -> None:
        self._new = executor

    def __enter__(self) -> Any:
        if Kept.executor is None:
            Kept.executor = self._new.__enter__()
        return Kept.executor

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # It was stopped and takes no more work, or has refused some.
        if kind is not None or (Kept.executor is not None and not Kept.executor.room()):
            Kept.close()


@pytest.mark.ray
class TestRay(ExecutorConformance):
    on = "ray"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def closed(cls) -> Iterator[None]:
        yield
        Kept.close()

    def make(self, on: str) -> Executor:
        executor = super().make(on)
        return Kept(executor) if on == "ray" else executor  # type: ignore[return-value]


# -- the suite itself: an executor that breaks a rule does not pass


class Forgetful(Inline):  # type: ignore[misc]
    """Loses what the trials measured."""

    def events(self, seconds: float) -> Iterator[Any]:
        for event in super().events(seconds):
            if isinstance(event, Ended):
                yield Ended(event.trial, type(event.outcome)(event.trial, event.outcome.status))
            else:
                yield event


class Lazy(Inline):  # type: ignore[misc]
    """Gives all work back."""

    def events(self, seconds: float) -> Iterator[Any]:
        work, self._work = self._work, None
        if work is not None:
            yield Returned(work.job.trial, again=False)


class Late(Inline):  # type: ignore[misc]
    """Starts work after its deadline."""

    def submit(self, work: Any) -> None:
        super().submit(type(work)(work.job, work.conditions, work.artifacts, work.attempt))


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Forgetful, "test_an_adaptive_search_gets_the_numbers"),
        (Lazy, "test_measures_what_inline_measures"),
        (Late, "test_work_after_its_deadline_does_not_start"),
    ],
)
def test_an_executor_that_breaks_a_rule_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: type, test: str
) -> None:
    suite = type("Suite", (ExecutorConformance,), {"make": lambda self, on: broken()})()
    monkeypatch.setattr("htsweep.execution.conformance.PATIENCE_SECONDS", 1.0)
    with pytest.raises((AssertionError, KeyError)):
        getattr(suite, test)(tmp_path)
