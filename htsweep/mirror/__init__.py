"""The mirror: a copy of the ledger in MLflow, for people to look at; pure copying, rebuilt at any time.

    run.py       one trial's end, and what MLflow will say of it; pure
    rows.py      writes runs into a SQLite database in bulk, through MLflow's own tables
    client.py    writes runs through MLflow's client, wherever the tracking store is
    copying.py   Mirror: which runs are missing, torn or outdated, and puts that right
    view.py      the chart of seen against missing, as MLflow's UI keeps it; pure
    streaming.py copies runs as they end, and survives outages
    coverage.py  how much of a study MLflow has, asked without MLflow
    updating.py  brings MLflow all that it lacks of a study
    process.py   the process that copies beside a launch: streams, then updates
    follower.py  a launch's hold on that process
    serving.py   the MLflow UI on the results' database
    address.py   tracking URIs and artifact locations of paths with any characters; pure
    database.py  the SQLite database as a file: what it holds, whether it is broken, where it was moved from
    schema.py    makes the database, or brings an older one up to date
    colours.py   a colour for each method, kept
    internals.py the parts of MLflow that are not public, checked
    quiet.py     MLflow without banners, and without a proxy for this machine; imported before MLflow is

MLflow is a viewer here and never a source: it stores infinities altered, appends duplicate steps
and is slow to search. Nothing reads it but people, and this package to see what it has written.
Neither `address` nor `database` imports MLflow, so that `htsweep status` can ask what the mirror
lacks.
"""
