"""The mirror: a copy of the ledger in MLflow, for people to look at; it can always be rebuilt.

    run.py       one trial's end, and its copy in MLflow; pure
    rows.py      writes runs into a SQLite database in bulk, through MLflow's own tables
    client.py    writes runs through MLflow's client, wherever the tracking store is
    copying.py   Mirror: finds missing, incomplete and outdated runs, and writes them
    view.py      the chart of seen against missing, as MLflow's UI keeps it; pure
    streaming.py copies runs as they end, and survives outages
    coverage.py  how much of a study MLflow has, asked without MLflow
    updating.py  brings MLflow up to date with a study
    process.py   the process that copies beside a launch: streams, then updates
    follower.py  the launch's side of that process
    serving.py   the MLflow UI on the results' database
    address.py   tracking URIs and artifact locations of paths with any characters; pure
    database.py  the SQLite database as a file: its content, damage, and former place
    schema.py    makes the database, or brings an older one up to date
    colours.py   a lasting colour for each method
    internals.py the parts of MLflow that are not public, checked
    quiet.py     MLflow without banners or proxies for this machine; imported before MLflow

MLflow is a viewer here and never a source: it stores infinities altered, appends duplicate steps
and is slow to search. Nothing reads it but people, and this package to see what it has written.
Neither `address` nor `database` imports MLflow, so that `htsweep status` can ask what the mirror
lacks.
"""
