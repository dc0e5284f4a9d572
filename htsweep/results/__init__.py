"""What came out of a study: the ledger's objects come in, tidy tables of the study's own trials go out.

Whatever reads results is handed a `Results`, which reads the ledger once.
"""

from htsweep.results.results import Results, measurements, trials
from htsweep.results.tables import Members

__all__ = ["Members", "Results", "measurements", "trials"]
