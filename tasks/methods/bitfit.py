"""BitFit: biases alone (Ben Zaken et al., ACL 2022, arXiv:2106.10199)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.methods.method import Method

if TYPE_CHECKING:
    from torch import nn

    from tasks.model import Model


def bitfit() -> Method:
    """Trains the biases of the backbone, those of norms included, and the head."""

    def trains(student: Model) -> list[nn.Parameter]:
        from tasks import adapters

        return adapters.biases(student)

    return Method(trains=trains)
