"""The text of the script that a job of Ray's job server runs on the cluster."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from htsweep.commands import Given
from htsweep.execution.shipping import FOLDER
from htsweep.study.schema import Study

SCRIPT = """\
# Sent along with a study by `htsweep submit`.
export RAY_OVERRIDE_JOB_RUNTIME_ENV=1
{before}if ! command -v htsweep > /dev/null; then
    echo {lacking} >&2
    exit 2
fi
have=$(htsweep --version) || exit 2
if [ "$have" != {wanted} ]; then
    echo "the cluster has $have, but the study was checked with "{wanted}{other} >&2
    exit 2
fi
cd {folder} && exec {command}
"""
LACKING = (
    "htsweep is not found where Ray runs jobs. Start Ray on the head in an environment that has "
    "it, or submit with --before 'source FOLDER/bin/activate'"
)
OTHER = "; install one version on both, then submit again"


def script(study: Study, given: Given, before: Sequence[str], *, measure: bool = False) -> str:
    """The script, as text for bash, which runs beside the folder of the study's files.

    Args:
        study: what is launched.
        given: the arguments of the launch.
        before: lines of shell that run first.
        measure: whether it only measures how many trials share a GPU.
    """
    there = replace(given, file=study.file.name, address=None)
    launches = f'{there.launch()} --address "$RAY_ADDRESS"'
    return SCRIPT.format(
        before="".join(f"{line}\n" for line in before),
        lacking=shlex.quote(LACKING),
        wanted=shlex.quote(f"htsweep {version('htsweep')}"),
        other=shlex.quote(OTHER),
        folder=FOLDER,
        command=there.verb("plan", "--measure") if measure else launches,
    )
