"""A ledger, its records, and all that it holds."""

from pathlib import Path

from htsweep.ledger import Ledger, Record, Store


def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store(tmp_path))


def record(
    trial: str, status: str = "done", attempt: int = 1, steps: int = 0, **more: object
) -> Record:
    return Record(trial, "trial", status, "toy", "{}", 0, attempt=attempt, steps=steps, **more)  # type: ignore[arg-type]


def rows(ledger: Ledger) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for row in ledger.measurements().to_pylist():
        found.setdefault(str(row.pop("trial")), []).append(
            {key: value for key, value in row.items() if value is not None}
        )
    return found


def filled(ledger: Ledger) -> Ledger:
    for index in range(5):
        ledger.append(
            record(f"t{index}", steps=2),
            [{"step": step, "x": float(index + step)} for step in range(2)],
        )
    return ledger
