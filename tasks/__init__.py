"""Shared training tasks; they import neither htsweep nor what it is built on (README.md)."""

NAMES = ("holistic_transfer", "fine_tuning", "transferability", "toy")
"""The tasks: module `tasks.NAME` has the function `NAME`. Importing them does not import torch."""
HIDDEN = ("toy",)
"""Those of `NAMES` that are for tests, and not offered to users."""
