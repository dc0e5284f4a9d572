"""No text that a study file may hold takes long to read, or much memory."""

import resource
import time
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from htsweep.study.document import MOST_BYTES


def grown(start: str, unit: str, end: str = "") -> str:
    """The longest text of repeated units that is read at all."""
    return start + unit * ((MOST_BYTES - len(start) - len(end)) // len(unit)) + end


TEXTS = {
    "small mappings": grown("a: [", "{a: 1},", "]"),
    "a grid": grown("task: toy\ngrid: {x: [", "0.5,", "]}"),
    "names": "task: fine_tuning\ngrid: {fraction: [0.1, 0.2, 0.3, 0.4], method: [plain, l2, l2sp, at, "
    "delta, bss, lwf], dataset: {" + ", ".join(f"k{one}: {one}" for one in range(4000)) + "}}\n",
}
"""The slowest ones that are YAML; what expands, nests or never ends is in test_study_document.py."""


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_refused_in_time(tmp_path: Path, name: str) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(TEXTS[name])
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(StudyError):
        read(file)
    # A second on a quiet machine; another's work on the same core slows this one down too.
    assert time.process_time() - began < 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
