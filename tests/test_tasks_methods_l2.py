"""L2 regularisation against its equation in numpy."""

import pytest
import regularised
from regularised import arrays, view_of

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return regularised.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return regularised.student(transfer)


def test_l2_formula(transfer, student):
    found = methods.find("l2")(backbone=0.3, head=0.7).penalty(view_of(student, transfer), None)
    squares = {"backbone": 0.0, "head": 0.0}
    for name, parameter in student.named_parameters():
        squares[name.partition(".")[0]] += (arrays(parameter)[0] ** 2).sum()
    assert found.item() == pytest.approx(
        0.15 * squares["backbone"] + 0.35 * squares["head"], rel=1e-5
    )
