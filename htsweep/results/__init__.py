"""A study's results: the ledger's objects in, tidy tables of the study's own trials out.

Everything that reads results gets a `Results`, which reads the ledger once.
"""

from htsweep.results.results import Results, measurements, trials
from htsweep.results.tables import Members

__all__ = ["Members", "Results", "measurements", "trials"]
