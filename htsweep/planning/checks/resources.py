"""What a trial may take of a machine."""

from __future__ import annotations

from collections.abc import Iterator

from htsweep.errors import Problem
from htsweep.study.document import Located
from htsweep.study.schema import Study


def problems(study: Study, where: Located) -> Iterator[Problem]:
    """More GPUs than a trial can use."""
    if study.resources.gpu > 1:
        yield where.problem(
            ("resources", "gpu"),
            f"is {study.resources.gpu:g}, but a trial uses one GPU, so that others would be idle; "
            "give at most 1, or a fraction such as 0.25 for trials that share a GPU",
        )
