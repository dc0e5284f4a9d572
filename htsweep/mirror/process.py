"""The process that copies to MLflow beside a launch: `python -m htsweep.mirror.process`.

It follows the ledger while the launch runs, and then brings MLflow whatever is missing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from htsweep.mirror.coverage import Mirrored, MirroredRows, uri_of
from htsweep.mirror.updating import LOOK_SECONDS, runs_of, settle
from htsweep.planning.reading import read
from htsweep.results import Results

if TYPE_CHECKING:
    from htsweep.mirror.run import Run


def main() -> int:
    """Follows a launch until standard input ends; then prints what MLflow has, as JSON.

    The first line of the input says, as JSON, what to follow.
    """
    # What a user's own module prints during import must not be part of the answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    os.nice(10)  # training comes first
    asked = json.loads(sys.stdin.readline())
    over = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    try:
        study = read(asked["file"], asked["overrides"], text=asked["text"])
        results, retries = Results(study, asked["results"]), asked["retry_seconds"]
        answer = asdict(_followed(results, asked["uri"], retries, over))
    except Exception as error:  # the launch must report any error, since nobody sees this process
        answer = {"trouble": f"{type(error).__name__}: {error}"}
    json.dump(answer, answers)
    answers.close()
    return 0


def _followed(results: Results, uri: str, retries: float, over: threading.Event) -> Mirrored:
    """Copies trials as they end until `over`, and then whatever is missing for any reason.

    Args:
        results: of the study.
        uri: the tracking URI; "" for the database beside the results.
        retries: seconds given to a tracking store that does not answer, after `over`.
        over: set once no more trials end.
    """
    ledger, members = results.ledger, MirroredRows(results)
    before = ledger.records()
    while not over.wait(LOOK_SECONDS) and ledger.records() == before:
        pass  # MLflow is slow to import, so not while the launch itself starts
    from htsweep.mirror.copying import Mirror
    from htsweep.mirror.streaming import stream

    seen: set[str] = set()
    notes: list[str] = []

    def opened() -> Mirror:
        mirror = Mirror(uri_of(results.store, uri), results.study.name, ours=not uri)
        notes.extend(mirror.notes)
        return mirror

    def read_new() -> Iterator[Run]:
        for row, measured in ledger.fresh(seen):
            yield from runs_of(members, row, measured)

    behind = stream(read_new, over.is_set, opened, pause=LOOK_SECONDS, patience=retries)
    over.wait()
    mirrored = settle(results.reread(), uri, 0.0 if behind else retries)[1]
    return replace(mirrored, notes=(*notes, *mirrored.notes))


if __name__ == "__main__":
    sys.exit(main())
