"""The mirror: a copy of the ledger in MLflow, for people to look at; pure copying, rebuilt at any time.

    run.py       one trial's end, and what MLflow will say of it; pure
    rows.py      writes runs into a SQLite database in bulk, through MLflow's own tables
    client.py    writes runs through MLflow's client, wherever the tracking store is
    copying.py   Mirror: which runs are missing, torn or outdated, and puts that right
    view.py      the chart of seen against missing, as MLflow's UI keeps it; pure
    following.py copies while trials end, and bears outages
    serving.py   the MLflow UI on the results' database
    colours.py   a colour for each method, kept
    quiet.py     MLflow without banners; imported before MLflow is

MLflow is a viewer here and never a source: it stores infinities altered, appends duplicate steps and is slow to search.
Nothing reads it but people, and this package to see what it has written.
"""

import htsweep.mirror.quiet  # noqa: F401  (first: part of what it sets is read while MLflow is imported)

# isort: split
from htsweep.mirror.copying import Mirror
from htsweep.mirror.following import follow
from htsweep.mirror.run import Run
from htsweep.mirror.serving import serve, ui

__all__ = ["Mirror", "Run", "follow", "serve", "ui"]
