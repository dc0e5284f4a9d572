"""A file is written as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from htsweep.errors import HtsweepError
from htsweep.files import put


def test_a_file_that_cannot_be_written_is_named_and_what_was_there_stays(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = put(tmp_path / "a.txt", "before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("htsweep.files.os.fdopen", full)
    with pytest.raises(
        HtsweepError,
        match=r"a\.txt cannot be written: No space left on device; free some space on its disk",
    ):
        put(path, "after")
    monkeypatch.undo()
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
