"""Commands that write, plan, run and watch a study."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from htsweep.cli.options import (
    AsJson,
    JobServer,
    Mirrored,
    Overrides,
    Results,
    StudyFile,
    TrackingUri,
    command,
    results_of,
)


@command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file to write.")],
    task: Annotated[
        str, typer.Option(help="What a trial does (htsweep list tasks).")
    ] = "holistic_transfer",
    dataset: Annotated[
        str,
        typer.Option(
            help="Datasets, separated by commas; your own images as folder:ROOT:SOURCE-TARGET.",
            show_default="the task's",
        ),
    ] = "",
    missing_ratio: Annotated[
        str,
        typer.Option(
            help="Shares of the classes that are missing, separated by commas.",
            show_default="the task's",
        ),
    ] = "",
    backbone: Annotated[
        str, typer.Option(help="Backbones, separated by commas.", show_default="the task's")
    ] = "",
    method: Annotated[
        str,
        typer.Option(
            help="Methods, separated by commas; a+b is a chain.", show_default="a few of the task's"
        ),
    ] = "",
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUES",
            help="Values of a method's parameter: METHOD.PARAMETER=0.01,0.1.",
        ),
    ] = None,
    search: Annotated[
        str,
        typer.Option(
            metavar="SAMPLER[:TRIALS]",
            help="Search the methods' parameters and the learning rate: grid, random:20, tpe:20.",
        ),
    ] = "",
    select: Annotated[
        str, typer.Option(metavar="PROTOCOL", help="What picks one configuration of each sweep.")
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of each training.", show_default="the task's")
    ] = None,
    repetitions: Annotated[int, typer.Option(help="Number of repetitions of each point.")] = 6,
    force: Annotated[bool, typer.Option(help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write a commented study file from these options."""
    from htsweep.cli.template import Options, write

    grid = {
        "dataset": dataset,
        "missing_ratio": missing_ratio,
        "backbone": backbone,
        "method": method,
    }
    options = Options(grid, weight or [], repetitions, task, search, select, epochs)
    typer.echo(write(file, options, force=force))


@command()
def plan(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    json: AsJson = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Time a short run of each kind that has no past run, in this process."
        ),
    ] = False,
    slots: Annotated[
        int | None,
        typer.Option(
            help="How many trials run at once where you will launch it, such as on a cluster, to "
            "tell how long it takes there; default: as many as this machine has room for.",
            min=1,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a Ray cluster, such as HOST:6379 or auto: tells how long it takes on "
            "the nodes that it has now.",
        ),
    ] = None,
) -> None:
    """Show what a launch would run and cost; only --measure runs anything."""
    from htsweep.cli.measuring import room_of
    from htsweep.results.estimate import estimate

    checked = results_of(study, overrides, results)
    room = room_of(checked, slots, address)
    measured = []
    if measure:
        from htsweep.cli import deciding, measuring
        from htsweep.cli.progress import Progress

        decided = deciding.decide(checked)
        if decided:
            typer.echo("\n".join(decided), err=json)
            checked = results_of(study, overrides, results)
        with Progress(checked.study.name) as progress:
            measured = measuring.measure(checked, progress)
    estimated = estimate(checked, measured, room)
    typer.echo(estimated.json() if json else "\n".join(estimated.lines()))


@command()
def launch(
    study: StudyFile,
    on: Annotated[
        str,
        typer.Option(
            metavar="EXECUTOR",
            help="ray, inline (in this process), or your own as module:function.",
        ),
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(help="Address of an existing Ray cluster, such as HOST:6379 or auto."),
    ] = None,
    wait_for_nodes: Annotated[
        float | None,
        typer.Option(
            metavar="MINUTES",
            min=0,
            help="Wait this long for a node that can run a trial (default: 30 if the cluster has "
            "an autoscaler, else 0).",
        ),
    ] = None,
    join: Annotated[
        bool,
        typer.Option(
            "--join", help="Share the trials with other launches of the study that have --join."
        ),
    ] = False,
    results: Results = "results",
    overrides: Overrides = None,
    tracking_uri: TrackingUri = "",
    mirror: Mirrored = True,
) -> None:
    """Run the trials of a study that have no result yet."""
    from htsweep.cli.launch import launch_and_tell
    from htsweep.commands import Given

    given = Given(
        study,
        tuple(overrides or ()),
        results,
        on,
        address,
        tracking_uri if mirror else None,
        wait_for_nodes,
        join,
    )
    sys.exit(launch_and_tell(given))


@command()
def status(
    study: StudyFile,
    results: Results = "results",
    overrides: Overrides = None,
    json: AsJson = False,
    watch: Annotated[
        bool,
        typer.Option(help="Show what runs on which node, until nothing is left to run."),
    ] = False,
) -> None:
    """Show what is done, failed and left, with reasons and log files."""
    from htsweep.cli.status import status
    from htsweep.cli.watching import follow

    checked = results_of(study, overrides, results)
    if watch:
        follow(checked, as_json=json)
    else:
        state = status(checked)
        typer.echo(state.json() if json else "\n".join(state.lines()))


@command()
def rerun(
    study: StudyFile,
    trial: Annotated[
        str, typer.Argument(metavar="TRIAL", help="The trial's id, or its beginning.")
    ],
    results: Results = "results",
    overrides: Overrides = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Open Python's debugger where it fails.")
    ] = False,
) -> None:
    """Run one trial again in this process, to see why it fails.

    It has the seeds and the stages that it had. Nothing is recorded.
    """
    from htsweep.cli.rerunning import rerun

    checked = results_of(study, overrides, results)
    sys.exit(rerun(checked, trial, typer.echo, debug=debug))


@command()
def submit(
    study: StudyFile,
    slurm: Annotated[
        bool, typer.Option("--slurm", help="As a job of Slurm, with a Ray over its nodes.")
    ] = False,
    address: JobServer = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="With --address: print the log until the end.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="With --address: only measure, on a node with a GPU, how many trials share one.",
        ),
    ] = False,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of the job.")] = 1,
    array: Annotated[
        int,
        typer.Option(
            metavar="TASKS",
            min=0,
            help="Submit an array of this many such jobs that share the trials.",
            show_default="one job",
        ),
    ] = 0,
    gres: Annotated[
        str, typer.Option(metavar="GRES", help="GPUs of each node, such as gpu:4.")
    ] = "",
    time: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Time limit, such as 24:00:00; before it, the job requeues itself and goes on.",
            show_default="the partition's",
        ),
    ] = "",
    partition: Annotated[
        str, typer.Option(metavar="NAME", help="Partition.", show_default="the cluster's")
    ] = "",
    cpus_per_task: Annotated[
        int | None,
        typer.Option(min=1, help="Cores of each node.", show_default="those of one trial"),
    ] = None,
    before: Annotated[
        list[str] | None,
        typer.Option(metavar="LINE", help="Shell line to run first, such as 'module load cuda'."),
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION", help="Another option of sbatch: --sbatch=--account=lab."),
    ] = None,
    signal_seconds: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=1,
            max=65535,
            help="Interrupt the launch this long before the time limit.",
        ),
    ] = 180,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the script; write and submit nothing.")
    ] = False,
    results: Results = "results",
    overrides: Overrides = None,
    tracking_uri: TrackingUri = "",
    mirror: Mirrored = True,
) -> None:
    """Launch a study elsewhere: as a job of a Ray cluster, or of Slurm.

    A job of Ray goes on when this machine is off, one of Slurm after its time limit, too.
    """
    from htsweep.cli.submit import submit_and_tell
    from htsweep.cli.submitted import submit_to_ray
    from htsweep.commands import Given
    from htsweep.errors import HtsweepError
    from htsweep.submitting import Job

    if address and not slurm:
        to = Given(
            study,
            tuple(overrides or ()),
            results,
            address=address,
            mirror=tracking_uri if mirror else None,
        )
        sys.exit(submit_to_ray(to, before or [], follow=follow, dry=dry_run, measure=measure))
    if measure:
        raise HtsweepError(
            "--measure goes with the job server of a Ray cluster, --address http://HEAD:8265; a "
            "launch on Slurm runs on a node with a GPU, and measures there by itself"
        )
    job = Job(
        nodes,
        gres,
        time,
        partition,
        cpus_per_task,
        tuple(before or ()),
        tuple(sbatch or ()),
        signal_seconds,
        array,
    )
    given = Given(study, tuple(overrides or ()), results, mirror=tracking_uri if mirror else None)
    typer.echo(submit_and_tell(given, job, slurm=slurm, dry=dry_run))
