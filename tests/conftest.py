"""What the tests of the orchestrator share."""

import frugal  # noqa: F401  (before numpy)

# isort: split
import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from large import Built

from htsweep.planning.plan import Plan

settings.register_profile("htsweep", max_examples=50, deadline=None)
settings.load_profile("htsweep")
# Until all tests are collected there is no garbage.
gc.disable()
# Tests never touch the user's cache or account.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Leaves thousands of tests, and what they import, out of every later search for garbage: a fifth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Again, after the check of methods that thaws all."""
    if item.name == "test_memory_is_given_back":
        gc.freeze()


def pytest_unconfigure() -> None:
    """Lets the process end as any other does."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the test session's own; decoded data is shared by its tests, and by the processes that they start."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("HTSWEEP_CACHE")
    os.environ["HTSWEEP_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["HTSWEEP_CACHE"]
    else:
        os.environ["HTSWEEP_CACHE"] = before


@pytest.fixture
def study_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study's text to a file."""

    def write(text: str, name: str = "study.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Built:
    """Counts the points that plans make from here on."""
    count, make = Built(), Plan.point

    def counted(self: Plan, *given: Any) -> Any:
        count.points += 1
        return make(self, *given)

    monkeypatch.setattr(Plan, "point", counted)
    return count
