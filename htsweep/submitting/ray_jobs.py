"""Submits a study to a Ray cluster through its job server, and asks the server about the job."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import secrets
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from htsweep.commands import Given, shown
from htsweep.errors import HtsweepError
from htsweep.execution import shipping
from htsweep.planning import paths, task
from htsweep.planning.ablation import cells_of
from htsweep.study.schema import Study
from htsweep.submitting.ray_script import script
from htsweep.submitting.states import State
from htsweep.submitting.submission import Submission

STOP_SECONDS = 60
"""How long a stopped launch may take to end its trials, before Ray kills it."""
ANSWER_SECONDS = 10.0
"""How long a job server may take to answer the first time."""
ALIVE_SECONDS = 30.0
"""After so long without a line of the log, it is asked whether the job still runs."""
PATIENCE_SECONDS = 300.0
"""How long a lost connection is tried again."""
PACKING = ("_private.runtime_env.packaging",)
STUDY_KEY, RESULTS_KEY = "htsweep_study", "htsweep_results"
"""What a job says of itself, so that it is found from any machine."""
SCRIPT = "htsweep_submitted.sh"


def submit(
    study: Study, given: Given, before: Sequence[str] = (), *, measure: bool = False
) -> Submission:
    """Sends the study and the files beside it to the job server at `given.address`.

    Args:
        study: what to launch; it was read, so that its mistakes are known before.
        given: the arguments of the launch.
        before: lines of shell that run first, such as one that activates an environment.
        measure: whether the job takes a GPU, and only measures how many trials share it.

    Raises:
        HtsweepError: the job cannot work, with every reason; or no server answers, or it refuses.
    """
    _check(given)
    address = str(given.address).rstrip("/")
    client = client_of(address)
    name = re.sub(r"[^\w.-]", "_", study.name)
    shipped = shipping.collect(study.folder, given.results)
    with tempfile.TemporaryDirectory() as folder, told(address):
        shipped.copy(Path(folder))
        text = script(study, given, before, measure=measure)
        Path(folder, SCRIPT).write_text(text, encoding="utf-8")
        number = client.submit_job(
            entrypoint=f"bash {SCRIPT}",
            submission_id=f"htsweep-{name}-{secrets.token_hex(4)}",
            runtime_env={
                "working_dir": folder,
                # Read by the process that stops the job; by default Ray kills it after 3 s.
                "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_SECONDS)},
            },
            # What measures is not the study's launch, which later commands ask for.
            metadata={} if measure else {STUDY_KEY: study.name, RESULTS_KEY: given.results},
            entrypoint_num_gpus=1 if measure else None,
        )
    return Submission("ray", number, given.results, time.time(), address)


def notes(study: Study, given: Given) -> list[str]:
    """What a user should know before: the files that stay behind, another version of Ray.

    Raises:
        HtsweepError: as for `submit`.
    """
    _check(given)
    lines = [shipping.collect(study.folder, given.results).note()]
    settings = task.of(study).settings
    for path in dict.fromkeys(
        path
        for cell in cells_of(study)
        for path in paths.elsewhere(settings, {**study.fixed, **cell}, study.folder)
    ):
        lines.append(
            f"{path} is in the working folder, not beside the study, and the cluster has neither: "
            "give it as an absolute path that all nodes have, or put it beside the study"
        )
    there, here = _version_at(str(given.address).rstrip("/")), version("ray")
    if there and there != here:
        lines.append(
            f"the cluster runs Ray {there}, this machine has {here}; the launch there uses its own"
        )
    return [line for line in lines if line]


def find(address: str, study: Study) -> Submission | None:
    """The last job of the study that the server at the address knows; None if there is none."""
    address = address.rstrip("/")
    with told(address):
        known = client_of(address).list_jobs()
    own = [job for job in known if (job.metadata or {}).get(STUDY_KEY) == study.name]
    if not own:
        return None
    last = max(own, key=lambda job: job.start_time or 0)
    results = last.metadata.get(RESULTS_KEY, "")
    return Submission("ray", last.submission_id, results, (last.start_time or 0) / 1e3, address)


def state(one: Submission) -> State:
    """Whether the job waits, runs or has ended, and how."""
    with told(one.address, one.number):
        info = client_of(one.address).get_job_info(one.number)
    words = {
        "PENDING": "waiting",
        "RUNNING": "running",
        "SUCCEEDED": "done",
        "STOPPED": "stopped",
        "FAILED": "failed",
    }
    return State(words.get(str(info.status), str(info.status)), str(info.message or ""))


def log(one: Submission) -> str:
    """What the job has printed so far."""
    with told(one.address, one.number):
        return str(client_of(one.address).get_job_logs(one.number))


def follow(one: Submission, pause: float) -> Iterator[str]:
    """What the job prints, until it ends; "" at least every `pause` seconds.

    A lost connection, such as of a laptop that slept, is made again.
    """
    printed, lost = 0, 0.0
    while True:
        skip = printed
        try:
            for piece in _tail(one, pause):
                printed += max(0, len(piece) - skip)
                yield piece[skip:]
                skip = max(0, skip - len(piece))
                lost = 0.0
            return
        except Exception as error:  # of Ray's client, and of the libraries that it uses
            if not printed and isinstance(error, HtsweepError):
                raise
            lost = lost or time.monotonic()
            if time.monotonic() - lost > PATIENCE_SECONDS:
                raise HtsweepError(_unreachable(one.address, str(error))) from None
            time.sleep(pause)
            yield ""


def stop(one: Submission) -> bool:
    """Asks the job to end as Ctrl-C does; returns at once, False if it had ended."""
    with told(one.address, one.number):
        return bool(client_of(one.address).stop_job(one.number))


def _check(given: Given) -> None:
    problems = list(_problems(given))
    if problems:
        raise HtsweepError("\n".join(["nothing was submitted:", *(f"  {one}" for one in problems)]))


def _problems(given: Given) -> Iterator[str]:
    """Why the job cannot work: what came, the rule and the remedy."""
    address = str(given.address)
    if not re.match(r"https?://[^/@\s]+/?$", address):
        yield (
            f"--address {shown(address)}: submit takes the URL of the cluster's job server, such "
            "as http://127.0.0.1:8265 (`ray dashboard cluster.yaml` brings it there); a machine of "
            "the cluster itself can launch with --address auto"
        )
    if "://" not in given.results and not given.results.startswith("/"):
        yield (
            f"--results {given.results}: the job runs in a folder of its own, which goes with it; "
            "give the absolute path of a folder that all nodes mount, or a bucket: "
            "s3://BUCKET/results"
        )
    if shown(given.mirror or "") != (given.mirror or ""):
        yield (
            f"--tracking-uri {shown(given.mirror or '')}: its password would be readable in the "
            "job's description; leave it out, and set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD where Ray is started"
        )


def _tail(one: Submission, pause: float) -> Iterator[str]:
    """The pieces of the log from its beginning, "" after a pause; ends with the job."""
    loop = asyncio.new_event_loop()
    pieces = client_of(one.address).tail_job_logs(one.number)
    quiet = 0.0
    try:
        while True:
            coming = loop.create_task(_next(pieces))
            while not loop.run_until_complete(asyncio.wait({coming}, timeout=pause))[0]:
                quiet += pause
                if quiet >= ALIVE_SECONDS:  # the connection may be dead without a word of it
                    quiet = 0.0
                    if state(one).ended:
                        raise ConnectionError
                yield ""
            quiet, piece = 0.0, coming.result()
            if piece is None:
                return
            yield piece
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                loop.run_until_complete(task)
        with contextlib.suppress(Exception):
            loop.run_until_complete(pieces.aclose())
        loop.close()


async def _next(pieces: Any) -> str | None:
    """The next piece; None if there are no more."""
    return await anext(pieces, None)


def client_of(address: str) -> Any:
    """Ray's client of the job server, which answers.

    Raises:
        HtsweepError: none answers there, it asks for another token, or a part of Ray is missing.
    """
    _version_at(address)
    from ray.job_submission import JobSubmissionClient

    # Each upload and each end of a log would be a line in Ray's format.
    for name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", *PACKING):
        logging.getLogger(f"ray.{name}").setLevel(logging.WARNING)
    with told(address), _address_given():
        return JobSubmissionClient(address)


def _version_at(address: str) -> str:
    """The version of Ray of the job server; "" if it tells that only to those with a token.

    Asked without Ray's client, which would wait for ever for a server that does not answer.

    Raises:
        HtsweepError: no job server answers there.
    """
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=ANSWER_SECONDS) as answer:
            return str(json.load(answer)["ray_version"])
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            return ""
        raise HtsweepError(_unreachable(address, f"it answers with {error.code}")) from None
    except urllib.error.URLError as error:
        raise HtsweepError(_unreachable(address, str(error.reason))) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, OSError) else "what answers is no job server of Ray"
        raise HtsweepError(_unreachable(address, why)) from None


def _unreachable(address: str, why: str) -> str:
    return (
        f"--address {address}: no job server of Ray answers there ({why}). For a cluster of `ray "
        "up`, keep this open in another terminal: ray dashboard cluster.yaml"
    )


@contextlib.contextmanager
def told(address: str, number: str = "") -> Iterator[None]:
    """Turns what Ray's client raises into an HtsweepError with the remedy."""
    try:
        yield
    except ConnectionError as error:
        raise HtsweepError(_unreachable(address, str(error))) from None
    except RuntimeError as error:
        text = str(error)
        if "ray[default]" in text:
            text = (
                "this machine lacks the client of Ray's job server: pip install 'htsweep[cluster]'"
            )
        elif number and "404" in text:
            text = (
                f"the job server at {address} knows no job {number}: the cluster was started anew "
                "since. Results in its storage are still there"
            )
        raise HtsweepError(text) from None
    except Exception as error:
        if type(error).__name__ != "AuthenticationError":
            raise
        raise HtsweepError(
            f"--address {address}: the cluster asks for its token. Set RAY_AUTH_MODE=token here, "
            "and put the cluster's token into ~/.ray/auth_token, or its path into "
            "RAY_AUTH_TOKEN_PATH"
        ) from None


@contextlib.contextmanager
def _address_given() -> Iterator[None]:
    """Hides what would count instead of the address that the user gave."""
    names = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
