"""Problems of a text as (key, line, message)."""

from htsweep.study import document


def told(text: str) -> list[tuple[str, int | None, str]]:
    return [
        (problem.key, problem.line, problem.message) for problem in document.parse(text).problems
    ]
