"""The text of the batch script that Slurm runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

ONE_NODE = """\
start_launch() {
    {launch} &
    launch=$!
}
"""
# Not `ray symmetric-run`: it refuses a node on which any other Ray runs, and ends with `ray stop`,
# which would also end the Ray of the user's other jobs on that node.
SEVERAL_NODES = """\
# A Ray over the nodes of the job. Its ports are whatever is free, its folder on each node is its
# own, and it answers only to those who know its token: other jobs may run theirs on these nodes.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python3 -c 'import secrets; print(secrets.token_hex(32))')
unset RAY_AUTH_TOKEN_PATH RAY_ADDRESS
export RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_UV_RUN_RUNTIME_ENV=0
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
folder=$(mktemp -d /tmp/htsweep-XXXXXXXX) || exit 1
trap 'rm -rf "$folder"' EXIT

# What each node runs. $1 is its folder ("": a new one), and what follows goes to `ray start`.
# shellcheck disable=SC2016
node='
set -m # Ray ends its whole process group, which must not be that of this script
folder=${1:-$(mktemp -d /tmp/htsweep-XXXXXXXX)}; shift
trap "rm -rf \\"$folder\\"" EXIT
# By this lock, a later launch knows the folder of a node that was killed, and removes it.
if command -v flock > /dev/null; then exec 9> "$folder/lock" && flock 9; fi
trap "kill -TERM \\$!" TERM USR2
own=$(getent ahostsv4 "$SLURMD_NODENAME" | while read -r ip _; do
    case $ip in 127.*) ;; *) echo "$ip"; break ;; esac
done)
ray start --block "$@" --temp-dir="$folder" ${own:+--node-ip-address="$own"} \\
    --num-cpus="$SLURM_CPUS_ON_NODE" --object-store-memory=134217728 \\
    --min-worker-port=0 --max-worker-port=0 --dashboard-agent-listen-port=0 \\
    --disable-usage-stats > "$folder/start.log" 2>&1 &
exec 3>&2 2> /dev/null # bash would tell how Ray ended
wait $!; code=$?
while kill -0 $!; do wait $!; done
[ "$code" -eq 0 ] || [ "$code" -ge 128 ] || cat "$folder/start.log" >&3
'
rays=''
on_nodes() { # FIRST COUNT FOLDER OPTION...: starts Ray on COUNT nodes of the job
    srun --relative="$1" --nodes="$2" --ntasks="$2" --ntasks-per-node=1 --overlap \\
        --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 \\
        bash -c "$node" node "${@:3}" < /dev/null &
    rays="$rays $!"
}
end_rays() {
    # shellcheck disable=SC2086
    kill -USR2 $rays 2> /dev/null # srun passes it on to all processes; it would not pass on SIGTERM
    # shellcheck disable=SC2086
    wait $rays 2> /dev/null
}
start_launch() {
    on_nodes 0 1 "$folder" --head --port=0 --include-dashboard=false
    for _ in $(seq {patience}); do # Ray writes this file once its head answers
        if [ -s "$folder/ray_current_cluster" ] || [ -n "$again$ended" ]; then break; fi
        kill -0 "${rays# }" 2> /dev/null || break
        sleep 1
    done
    [ -z "$again$ended" ] || return
    if [ ! -s "$folder/ray_current_cluster" ]; then
        echo "htsweep: the head of Ray did not start on $SLURMD_NODENAME; see above" >&2
        end_rays
        exit 1
    fi
    address=$(< "$folder/ray_current_cluster")
    on_nodes 1 "$((SLURM_JOB_NUM_NODES - 1))" "" --address="$address"
    {launch} --address "$address" &
    launch=$!
}
"""
PATIENCE_SECONDS = 180
"""How long the head of Ray may take to start, such as from a slow file system."""

FRAME = """\
#!/bin/bash
# Launches a study; written by `htsweep submit`. To submit it again: {again}
{directives}

export PATH={programs}:"$PATH"
{before}
echo "htsweep: job $SLURM_JOB_ID on $SLURM_JOB_NODELIST, start $((${SLURM_RESTART_COUNT:-0} + 1))"

# Without it, bash has what it starts in the background ignore Ctrl-C's signal.
set -m
launch='' again='' ended=''
# shellcheck disable=SC2317
interrupt() {
    [ -z "$launch" ] || [ -n "$again$ended" ] || kill -INT "$launch"
    again=yes
}
trap interrupt USR1 # the time limit is near
# scancel, or the time limit itself: Slurm sends this to the launch, too, which then ends.
trap 'ended=yes' TERM

{start}
code=130
start_launch
if [ -n "$launch" ]; then
    # A signal to this script ends `wait` with 128 and the signal's number; the launch still runs.
    while true; do
        wait "$launch"
        code=$?
        if [ "$code" -le 128 ] || ! kill -0 "$launch" 2> /dev/null; then break; fi
    done
fi
{end}
# An interrupted launch exits with 130. One that has finished meanwhile needs no other start.
if [ -n "$again" ] && [ -z "$ended" ] && [ "$code" -ge 128 ]; then
    echo "htsweep: the time limit is near; the job goes back to the queue and then goes on"
    # The number of an array's last task is also that of the whole array.
    task=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
    scontrol requeue "${task:-$SLURM_JOB_ID}" && exit 0
    echo {refused} >&2
fi
exit "$code"
"""


def script(
    launch: str, options: Sequence[str], before: Iterable[str], *, programs: str, itself: str
) -> str:
    """The batch script, as text for bash.

    Args:
        launch: the command that launches the study, quoted for a shell, without `--address`.
        options: of sbatch, such as `--nodes=2`; from two nodes on, a Ray is started over them.
        before: lines that the user wants to run first, such as `module load cuda`.
        programs: the folder that has `htsweep`, `ray` and `python3`.
        itself: the script's own path.
    """
    again = shlex.join(["sbatch", itself])
    several = "--nodes=1" not in options
    parts = {
        "directives": "\n".join(f"#SBATCH {shlex.quote(option)}" for option in options),
        "programs": shlex.quote(programs),
        "before": "".join(f"{line}\n" for line in before),
        "launch": launch,
        "patience": str(PATIENCE_SECONDS),
        "end": "end_rays\n" if several else "",
        "again": again,
        "refused": shlex.quote(f"htsweep: Slurm did not requeue the job; to go on: {again}"),
    }
    text = FRAME.replace("{start}", SEVERAL_NODES if several else ONE_NODE)
    # In one pass, so that what the user wrote is never taken for a place to fill.
    return re.sub(r"\{(" + "|".join(parts) + r")\}", lambda place: parts[place[1]], text)
