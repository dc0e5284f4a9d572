"""The ledger: immutable Parquet objects on any file system, the only truth about what was measured.

No rename, append or lock is needed, so that a laptop's disk, a network file system and an object
store are one case:

    RESULTS/trials/NAME.parquet         ended trials: one row each; this object commits its namesake
    RESULTS/measurements/NAME.parquet   what those trials measured: one row a yield
    RESULTS/remeasured/NAME.parquet     what was measured of trials after they had ended
    RESULTS/artifacts/STAGE/DIGEST-FILE what stages made
    RESULTS/logits/TRIAL/DIGEST.npz     what a trial's model answered, named by the trial's record
    RESULTS/states/TRIAL/...            states of running trials, so that a killed one goes on
    RESULTS/logs/TRIAL-ATTEMPT.txt      what a trial printed
    RESULTS/leases/NAME/OWNER.json      who holds what

NAME is `TRIAL-DIGEST` where a worker wrote one trial, `all-DIGEST` where compaction wrote many.
"""

from htsweep.ledger.lease import Lease, clear
from htsweep.ledger.record import Record
from htsweep.ledger.store import Store
from htsweep.ledger.tables import Ledger, Table

__all__ = ["Lease", "Ledger", "Record", "Store", "Table", "clear"]
