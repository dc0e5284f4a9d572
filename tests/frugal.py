"""Lets the suite's processes take less; imported before numpy, which reads part of it once.

Several of them share few cores: more than one thread each would only wait for the others' turns.
What they write need not outlive a loss of power: to wait for the disk is a tenth of the time of a
test that launches.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")


def _nothing(descriptor: int) -> None:
    """In place of `os.fsync`."""


os.fsync = _nothing
