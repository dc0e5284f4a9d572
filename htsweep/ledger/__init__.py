"""The ledger: immutable Parquet objects on any file system, the only record of results.

It needs no rename, append or lock, so that a laptop's disk, a network file system and an object
store all work the same way:

    RESULTS/trials/NAME.parquet         ended trials, one row each; commits its namesake below
    RESULTS/measurements/NAME.parquet   what those trials measured, one row per step
    RESULTS/remeasured/NAME.parquet     what was measured of trials after they ended
    RESULTS/artifacts/STAGE/DIGEST-FILE what stages made
    RESULTS/logits/TRIAL/DIGEST.npz     the outputs of a trial's model, named in its record
    RESULTS/states/TRIAL/...            states of running trials, so that a killed one continues
    RESULTS/logs/TRIAL-ATTEMPT.txt      what a trial printed
    RESULTS/leases/NAME/OWNER.json      which process holds a name
    RESULTS/leases/claims/TRIAL.TURN    which of several launches runs a trial or a stage
    RESULTS/running/STUDY/OWNER.json    what a launch does now (htsweep/execution/pulse.py)

NAME is `TRIAL-DIGEST` if a worker wrote one trial, `all-DIGEST` if compaction merged many.
"""

from htsweep.ledger.lease import Lease
from htsweep.ledger.record import Record
from htsweep.ledger.store import Store
from htsweep.ledger.tables import Ledger, Table

__all__ = ["Lease", "Ledger", "Record", "Store", "Table"]
