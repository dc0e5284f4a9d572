"""A submitted study, wherever it runs: how it stands, what it prints, its end and its results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, final

from htsweep.commands import given, on_results, quoted
from htsweep.errors import HtsweepError
from htsweep.ledger import Store
from htsweep.results.gather import FOLDERS, gather
from htsweep.study.schema import Study
from htsweep.submitting import ray_fetching, ray_jobs, slurm_jobs
from htsweep.submitting.states import State
from htsweep.submitting.submission import Submission, recall

PAUSE_SECONDS = 1.0


class System(Protocol):
    """What runs jobs: Ray's job server, or Slurm."""

    def state(self, one: Submission) -> State:
        """Whether the job waits, runs or has ended, and how."""
        ...

    def log(self, one: Submission) -> str:
        """What the job has printed so far."""
        ...

    def follow(self, one: Submission, pause: float) -> Iterator[str]:
        """What the job prints, until it ends; "" at least every `pause` seconds."""
        ...

    def stop(self, one: Submission) -> bool:
        """Asks the job to end as Ctrl-C does; returns at once, False if it had ended."""
        ...


SYSTEMS: dict[str, System] = {"ray": ray_jobs, "slurm": slurm_jobs}


def is_here(place: str) -> bool:
    """Whether this machine sees results in the folder."""
    return Path(place, "trials").is_dir()


@final
class Submitted:
    """A study's job.

    Args:
        study: which was submitted, from this folder or by anyone.
        address: of the job server to ask for the study's last job; "": the job that was submitted
            from the study's folder.

    Raises:
        HtsweepError: there is no such job.
    """

    def __init__(self, study: Study, address: str = "") -> None:
        found = ray_jobs.find(address, study) if address else recall(study)
        if found is None:
            where = f"the job server at {address}" if address else str(study.file.resolve().parent)
            raise HtsweepError(
                f"study '{study.name}' was not submitted, as far as {where} knows. A job that was "
                "submitted from another machine is found by --address http://HEAD:8265. To submit "
                f"it: {given(study).verb('submit')} --address http://HEAD:8265 --results URI"
            )
        self.job, self._study = found, study
        self._system = SYSTEMS[found.system]

    @property
    def called(self) -> str:
        """The job in words: `job 42 of Slurm`."""
        if self.job.system == "slurm":
            return f"job {self.job.number} of Slurm"
        return f"job {self.job.number} of Ray at {self.job.address}"

    def state(self) -> State:
        """How the job stands now."""
        return self._system.state(self.job)

    def log(self) -> str:
        """What the launch has printed so far."""
        return self._system.log(self.job)

    def follow(self) -> Iterator[str]:
        """What the launch prints, until the job ends; "" at least every second."""
        return self._system.follow(self.job, PAUSE_SECONDS)

    def stop(self, patience: float) -> State:
        """Ends the launch as Ctrl-C does, waits for that up to `patience` s; how it stands then."""
        if self._system.stop(self.job):
            over = time.monotonic() + patience
            while not self.state().ended and time.monotonic() < over:
                time.sleep(PAUSE_SECONDS)
        return self.state()

    def fetch(self, into: str) -> list[str]:
        """Copies what the job's results have and `into` lacks; lines that say what was done.

        Raises:
            HtsweepError: this machine does not see the results, and no job server can send them;
                the message says where they are.
        """
        place = self.job.results
        if "://" in place or is_here(place):
            lines = gather([place], into).lines()
        elif self.job.system == "ray":
            lines = self._sent(into)
        else:
            raise HtsweepError(self._elsewhere(into))
        report = given(self._study, into).verb("report")
        return [*lines, f"To read them: {report}"]

    def _sent(self, into: str) -> list[str]:
        """Copies the results from the machine that runs jobs; lines that say what was done."""
        store = Store(into)
        have = {entry.name for folder in FOLDERS for entry in store.list(folder)}
        try:
            with ray_fetching.fetched(self.job, have) as (folder, left):
                if not any(folder.iterdir()):
                    return [f"{into} has all that {self.job.results} at {self.job.address} has"]
                said = gather([str(folder)], into).lines()
        except HtsweepError as error:
            raise HtsweepError(f"{self._elsewhere(into)}. The reason: {error}") from None
        return [
            line.replace(str(folder), f"{self.job.results} on the cluster") for line in said
        ] + left

    def _elsewhere(self, into: str) -> str:
        place = self.job.results
        return (
            f"the results are in {place} where the job ran ({self.called}), and this machine "
            "has no results there, so that they cannot be copied from here. "
            f"{self._by_hand(f'{place}/', f'{into}/')}. Submitted with --results in a bucket, "
            "such as s3://BUCKET/results, a study can be read from anywhere"
        )

    def _by_hand(self, place: str, into: str) -> str:
        """How a folder of the machine that the job runs on is copied here."""
        sync = quoted(["rsync", "-a", f"LOGIN_HOST:{place}", into])
        if self.job.system == "slurm":
            return f"Copy them from a machine that mounts that folder: {sync}"
        up = quoted(["ray", "rsync-down", "cluster.yaml", place, into])
        pod = quoted(["kubectl", "cp", f"HEAD_POD:{place}", into])
        return (
            f"Copy them from the head of the cluster: {up} (a cluster of `ray up`), {pod} (KubeRay)"
            f" or {sync.replace('LOGIN_HOST', 'HEAD')}"
        )

    def reading(self) -> list[str]:
        """The options with which other commands read the job's results where they are."""
        return on_results(self.job.results)
