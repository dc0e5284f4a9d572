"""What runs now, and where, as lines of `status`."""

from __future__ import annotations

from collections.abc import Iterator

from htsweep.execution.load import Load, Node
from htsweep.execution.pulse import BEAT_SECONDS_ELSEWHERE, Beat, Running
from htsweep.results.cost import lasting

MOST = 8
"""Of a node, or of those whose node is not known, so many trials are named."""
MOST_NODES = 32
LATE_SECONDS = 3 * BEAT_SECONDS_ELSEWHERE
"""A launch that has said nothing for longer is called silent."""
GB = 1e9


def launch_lines(beat: Beat) -> Iterator[str]:
    """What a launch does: how many trials, how long it takes, and which run on which node."""
    eta = "" if beat.eta is None or not beat.left else f", about {lasting(beat.eta)} left"
    silent = f"; silent for {beat.silent:.0f} s" if beat.silent > LATE_SECONDS else ""
    slots = f"{beat.slots} slot{'s' if beat.slots != 1 else ''}"
    yield (
        f"launch  process {beat.pid} on {beat.host}, for {lasting(beat.at - beat.since)}: "
        f"{beat.count} running in {slots}{eta}{silent}"
    )
    if not beat.count and beat.said:
        yield f"        {beat.said}"
    by_id = {one.trial: one for one in beat.running}
    for node in beat.nodes[:MOST_NODES]:
        yield f"node    {node.name}: {_counted(node)}{_used(node.load)}"
        yield from _named([by_id[trial] for trial in node.trials if trial in by_id], beat)
    if len(beat.nodes) > MOST_NODES:
        yield f"        and {len(beat.nodes) - MOST_NODES} more nodes"
    placed = {trial for node in beat.nodes for trial in node.trials}
    rest = [one for one in beat.running if one.trial not in placed]
    if rest and beat.nodes:
        yield f"        {len(rest)} whose node has not said so yet"
    yield from _named(rest, beat)


def _counted(node: Node) -> str:
    return f"{len(node.trials)} running"


def _used(load: Load | None) -> str:
    """What a machine uses: `; 3.1 of 8 cores, 12.0 of 64.0 GB; GPU 0 (A100) 85 % busy, ...`."""
    if load is None:
        return ""
    text = f"; load {load.load:.1f} of {load.cores} cores"
    if load.memory:
        text += f", memory {load.used / GB:.1f} of {load.memory / GB:.1f} GB"
    for number, gpu in enumerate(load.gpus):
        busy = "" if gpu.busy is None else f" {gpu.busy:.0%} busy,"
        memory = f"{gpu.used / GB:.1f} of {gpu.memory / GB:.1f} GB"
        text += f"; GPU {number} ({gpu.name}){busy} {memory}"
    return text


def _named(running: list[Running], beat: Beat) -> Iterator[str]:
    for one in running[:MOST]:
        # By the launch's own clock, which may differ from this machine's.
        yield f"        {one.trial} ({one.what}) for {lasting(beat.at - one.since)}"
    if len(running) > MOST:
        yield f"        and {len(running) - MOST} more"
