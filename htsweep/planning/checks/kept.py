"""Checks a study's keys `keep` and `metrics`."""

from __future__ import annotations

from collections.abc import Iterator

from htsweep.errors import HtsweepError, Problem
from htsweep.planning import metrics
from htsweep.planning.keeping import NOTHING
from htsweep.planning.task import Task
from htsweep.study.document import Located
from htsweep.study.schema import Study


def problems(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """What is wrong with the keys `keep` and `metrics`."""
    if not study_task.keeps:
        key = "metrics" if study.metrics else "keep"
        if study.metrics or study.keep not in (None, NOTHING):
            yield where.problem(
                (key,),
                f"task '{study.task}' hands over no logits, which this needs; leave `{key}` out, "
                "or let the task hand them over by workspace.keep and declare `keeps` "
                "(docs/contracts.md)",
            )
        return
    labels: dict[str, str] = {}
    for index, name in enumerate(study.metrics):
        place = ("metrics", index)
        try:
            metrics.check(name)
        except HtsweepError as error:
            yield where.problem(place, str(error))
            continue
        other = labels.setdefault(metrics.label(name), name)
        taken = set(metrics.columns([name])) & set(study_task.metrics)
        if index != study.metrics.index(name):
            yield where.problem(place, f"the metric {name} is listed twice; remove one")
        elif other != name:
            yield where.problem(
                place,
                f"its columns would be called like those of {other}; "
                "give the function another name",
            )
        elif taken:
            yield where.problem(
                place,
                f"task '{study.task}' itself measures {min(taken)}; give the function another name",
            )
