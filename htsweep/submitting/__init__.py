"""A study comes in, and goes out as a job of a batch system, which launches it."""

from htsweep.submitting.slurm import Job, submit

__all__ = ["Job", "submit"]
