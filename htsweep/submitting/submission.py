"""What is remembered of a submitted study, so that later commands find its job."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from htsweep.errors import HtsweepError
from htsweep.files import put
from htsweep.study.schema import Study

FOLDER = ".htsweep"
"""Beside the study; hidden, so that it is not sent along with it."""


@final
@dataclass(frozen=True)
class Submission:
    """A job that launches a study somewhere else."""

    system: str
    """Who runs it: `ray` or `slurm`."""
    number: str
    """What the system calls the job."""
    results: str
    """Folder or URI of the results, as the job's machine sees it."""
    at: float
    """When it was submitted, in unix seconds."""
    address: str = ""
    """Of Ray's job server, without a password; "" for Slurm."""
    log: str = ""
    """The file that a job of Slurm writes to; "" for Ray, whose server has the log."""


def remember(study: Study, submission: Submission) -> Path:
    """Writes the submission beside the study's file, in place of an earlier one; returns its file.

    Raises:
        HtsweepError: the folder cannot be written.
    """
    path = _file(study)
    if not path.parent.exists():
        put(path.parent / ".gitignore", "*\n")
    return put(path, json.dumps(asdict(submission), indent=2) + "\n")


def recall(study: Study) -> Submission | None:
    """The last submission of the study from its folder; None if there was none.

    Raises:
        HtsweepError: the file is there, and is none that this version wrote.
    """
    path = _file(study)
    try:
        return Submission(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise HtsweepError(
            f"{path}, which says where the study was submitted to, cannot be read: {error}. Remove "
            "it, and name the job server by --address"
        ) from None


def _file(study: Study) -> Path:
    return study.file.resolve().parent / FOLDER / f"{study.name}.json"
